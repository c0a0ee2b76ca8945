use super::{Registry, control::Control};
use socketserver_proto::Endpoint;
use std::io;
use std::sync::atomic::AtomicI32;

/// What a server, its handles and its connections have in common, for as long as any of them lives.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) control: Control,
    pub(crate) registry: Registry,
    pub(crate) endpoints: Vec<Endpoint>,
    /// The number of the signal that asked for an end without delay; 0 if none did.
    pub(crate) hurried: AtomicI32,
}

impl Shared {
    pub(crate) fn new(endpoints: Vec<Endpoint>) -> io::Result<Self> {
        Ok(Self { control: Control::new()?, registry: Registry::default(), endpoints, hurried: AtomicI32::new(0) })
    }
}
