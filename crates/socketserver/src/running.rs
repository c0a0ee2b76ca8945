use crate::lifecycle::{Handle, Report};
use crate::{Error, ErrorKind};
use std::thread::JoinHandle;

/// A server on a thread of its own. Dropping it lets the server go on.
///
/// ```
/// use socketserver::{Serial, Server, blocking, client};
///
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Serial::default(), |c: &mut blocking::Stream| {
///     c.write_all(b"hello")?;
///     Ok(())
/// })?;
/// let mut c = client::connect(&server.handle().endpoints()[0])?;
/// assert_eq!(c.read_to_end(100)?, b"hello");
/// assert_eq!(server.stop()?.served, 1);
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    thread: JoinHandle<Result<Report, Error>>,
}

impl Running {
    pub(crate) fn new(handle: Handle, thread: JoinHandle<Result<Report, Error>>) -> Self {
        Self { handle, thread }
    }

    /// To stop it and to ask it things.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Asks it to stop, as [`Handle::shutdown`] does, and waits until it has.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn stop(self) -> Result<Report, Error> {
        self.handle.shutdown();
        self.join()
    }

    /// Waits until it has ended; it does not ask it to.
    ///
    /// # Errors
    /// What [`Server::serve`](crate::Server::serve) says.
    pub fn join(self) -> Result<Report, Error> {
        // Only a model of a user's own can panic there.
        self.thread.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Unsupported, "the model panicked")))
    }
}
