use super::{Shared, Totals};
use socketserver_proto::Endpoint;
use std::sync::Arc;
use std::time::Duration;

/// Stops a server and tells about it, from anywhere: another thread, a signal, a handler, a child process.
///
/// A handle speaks of one run: the one that goes on when it is made, or else the next. So stopping works before `serve`
/// (which then returns at once), during, twice and after, and a second `serve` on the same server is not stopped by an
/// old handle. Calls of [`serve_one`](crate::Server::serve_one) are one run until one of them says `Stopped`.
///
/// Nothing here waits: what `serve` or [`join`](crate::Running::join) returns says that it is over.
///
/// ```
/// use socketserver::{Serial, Server, blocking};
/// let mut server = Server::bind("tcp://127.0.0.1:0")?;
/// let handle = server.handle();
/// handle.shutdown();
/// handle.shutdown();
/// server.serve(Serial::default(), |_: &mut blocking::Stream| Ok(()))?;
/// handle.shutdown();
/// # Ok::<_, socketserver::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Handle {
    /// A connection made by `client::connect` has no server.
    shared: Option<Arc<Shared>>,
    run: u64,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>, run: u64) -> Self {
        Self { shared: Some(shared), run }
    }

    pub(crate) fn nobodys() -> Self {
        Self { shared: None, run: 0 }
    }

    /// Stops accepting and lets connections end, for as long as the server's own drain deadline says
    /// ([`Server::drain_deadline`](crate::Server::drain_deadline), 10 s).
    pub fn shutdown(&self) {
        if let Some(shared) = &self.shared {
            shared.control.ask_to_stop(self.run, shared.control.patience());
        }
    }

    /// Stops accepting and lets connections end within `deadline`; what is left then is cut. Zero cuts at once.
    ///
    /// Called again the nearest deadline counts.
    pub fn drain(&self, deadline: Duration) {
        if let Some(shared) = &self.shared {
            shared.control.ask_to_stop(self.run, deadline);
        }
    }

    /// Whether this run was asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.control.is_stopping(self.run))
    }

    /// Where the server listens, with the real ports, in the order they were given.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.shared.as_ref().map(|shared| shared.endpoints.clone()).unwrap_or_default()
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.control.open())
    }

    /// The sums so far. Inside a child of [`Forks`](crate::Forks) the bytes of open connections are left out.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let Some(shared) = &self.shared else { return Totals::default() };
        let mut totals = shared.control.totals();
        let (read, written) = shared.registry.bytes();
        totals.read += read;
        totals.written += written;
        totals
    }

    /// What a wait of a connection is dated with.
    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.control.epoch())
    }

    /// A signal asks for an end without delay.
    pub(crate) fn hurry(&self, signal: i32) {
        if let Some(shared) = &self.shared {
            shared.hurried.store(signal, std::sync::atomic::Ordering::SeqCst);
            self.drain(Duration::ZERO);
        }
    }
}
