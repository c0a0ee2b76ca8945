use super::{Registry, control::Control};
use crate::admission::{Crowd, Door};
#[cfg(feature = "tls")]
use crate::tls::Acceptor;
use socketserver_proto::Endpoint;
use std::io;
use std::sync::atomic::AtomicI32;
#[cfg(feature = "tls")]
use std::sync::{Arc, OnceLock};
use std::sync::{Mutex, PoisonError};

/// What a server, its handles and its connections have in common, for as long as any of them lives.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) control: Control,
    pub(crate) registry: Registry,
    pub(crate) door: Door,
    /// The last run that was told to stop, for tasks that wait for that.
    #[cfg(feature = "tokio")]
    pub(crate) stopping: tokio::sync::watch::Sender<u64>,
    /// Whether nobody is let in for now, for tasks that wait for the end of that.
    #[cfg(feature = "tokio")]
    suspended: tokio::sync::watch::Sender<bool>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// The process that made it.
    process: u32,
    /// The number of the signal that asked for an end without delay; 0 if none did.
    pub(crate) hurried: AtomicI32,
    /// Why the model that runs it has no hub, if so.
    without_hub: Mutex<Option<&'static str>>,
    /// What it shakes hands with, if it does.
    #[cfg(feature = "tls")]
    acceptor: OnceLock<Arc<Acceptor>>,
}

impl Shared {
    pub(crate) fn new(endpoints: Vec<Endpoint>) -> io::Result<Self> {
        let has_udp = endpoints.iter().any(|endpoint| matches!(endpoint, Endpoint::Udp { .. }));
        let crowd = has_udp.then(Crowd::new).transpose()?;
        Ok(Self {
            control: Control::new()?,
            registry: Registry::default(),
            door: Door::new(crowd),
            #[cfg(feature = "tokio")]
            stopping: tokio::sync::watch::Sender::new(0),
            #[cfg(feature = "tokio")]
            suspended: tokio::sync::watch::Sender::new(false),
            endpoints,
            process: std::process::id(),
            hurried: AtomicI32::new(0),
            without_hub: Mutex::default(),
            #[cfg(feature = "tls")]
            acceptor: OnceLock::new(),
        })
    }

    /// Whether it has certificates to show.
    pub(crate) fn has_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.acceptor.get().is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// What it shakes hands with, if it does.
    #[cfg(feature = "tls")]
    pub(crate) fn acceptor(&self) -> Option<&Arc<Acceptor>> {
        self.acceptor.get()
    }

    /// Another number means that it shakes hands in another way from now on.
    pub(crate) fn generation(&self) -> u64 {
        #[cfg(feature = "tls")]
        return self.acceptor().map_or(0, |acceptor| acceptor.generation());
        #[cfg(not(feature = "tls"))]
        0
    }

    /// A child is about to be forked.
    pub(crate) fn before_fork(&self) {
        #[cfg(feature = "tls")]
        if let Some(acceptor) = self.acceptor() {
            acceptor.before_fork();
        }
    }

    /// It shakes hands with this from now on. One that is refused comes back: there is one already.
    #[cfg(feature = "tls")]
    pub(crate) fn set_acceptor(&self, acceptor: Arc<Acceptor>) -> Result<(), Arc<Acceptor>> {
        self.acceptor.set(acceptor)
    }

    /// Why the model that runs it has no hub, if so.
    pub(crate) fn without_hub(&self) -> Option<&'static str> {
        *self.without_hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A model is about to run it that has no hub for this reason, or has one.
    pub(crate) fn set_without_hub(&self, why: Option<&'static str>) {
        *self.without_hub.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Lets nobody in for now, or whoever comes.
    pub(crate) fn suspend(&self, suspended: bool) {
        // Under its lock, so that tasks are told last what was said last.
        #[cfg(feature = "tokio")]
        self.suspended.send_modify(|told| {
            self.control.suspend(suspended);
            *told = suspended;
        });
        #[cfg(not(feature = "tokio"))]
        self.control.suspend(suspended);
    }

    /// Somebody may be let in again.
    #[cfg(feature = "tokio")]
    pub(crate) async fn until_resumed(&self) {
        // The sender is ours, so it is there.
        let _ = self.suspended.subscribe().wait_for(|suspended| !suspended).await;
    }

    /// Whether this is the process that made it, and no child of it.
    pub(crate) fn is_ours(&self) -> bool {
        std::process::id() == self.process
    }
}
