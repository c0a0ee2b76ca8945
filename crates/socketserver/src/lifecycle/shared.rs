use super::{Registry, control::Control};
use crate::admission::Door;
use socketserver_proto::Endpoint;
use std::io;
use std::sync::atomic::AtomicI32;

/// What a server, its handles and its connections have in common, for as long as any of them lives.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) control: Control,
    pub(crate) registry: Registry,
    pub(crate) door: Door,
    /// The last run that was told to stop, for tasks that wait for that.
    #[cfg(feature = "tokio")]
    pub(crate) stopping: tokio::sync::watch::Sender<u64>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// The process that made it.
    process: u32,
    /// The number of the signal that asked for an end without delay; 0 if none did.
    pub(crate) hurried: AtomicI32,
}

impl Shared {
    pub(crate) fn new(endpoints: Vec<Endpoint>) -> io::Result<Self> {
        Ok(Self {
            control: Control::new()?,
            registry: Registry::default(),
            door: Door::default(),
            #[cfg(feature = "tokio")]
            stopping: tokio::sync::watch::Sender::new(0),
            endpoints,
            process: std::process::id(),
            hurried: AtomicI32::new(0),
        })
    }

    /// Whether this is the process that made it, and no child of it.
    pub(crate) fn is_ours(&self) -> bool {
        std::process::id() == self.process
    }
}
