use crate::{Caller, Carrier, Client, How};
use socketserver::{Endpoint, Forks, Handle, Report, Result, RunsOn, Serial, Server, Tasks, Threads};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// A server in this process, on any model but those that fork, over any carrier, at an address that nobody else has: for
/// tests in the usual way, without a `main` of their own. Where the model forks, or what the process holds matters, a
/// [`Stage`](crate::Stage) gives the server a process.
///
/// Dropped, it is asked to stop, and nobody waits for that.
///
/// ```
/// use socketserver::framing::Line;
/// use socketserver::{Channel, MessageHandler};
/// use socketserver_testkit::{Carrier, Fixture, How};
///
/// let echo = |message: &[u8], c: &mut Channel| Ok(c.send(message)?);
/// for how in [How::Serial, How::Threads(4), How::Tasks(2), How::Run] {
///     for carrier in Carrier::STREAMS {
///         let server = Fixture::start(how, carrier, echo.framed(Line::new()));
///         let mut client = server.connect();
///         client.say("hello\n");
///         client.expect("hello\n");
///         drop(client);
///         assert_eq!(server.stop().served, 1);
///     }
/// }
/// let server = Fixture::start(How::Threads(4), Carrier::Udp, echo);
/// assert_eq!(server.caller().ask("hello"), b"hello");
/// ```
///
/// A handler of streams that both engines run is a [`Part`](crate::Part), [`Played`](crate::Played).
#[derive(Debug)]
pub struct Fixture {
    handle: Handle,
    /// `None`: it was waited for.
    thread: Option<JoinHandle<Result<Report>>>,
    endpoint: Endpoint,
    _directory: Option<TempDir>,
}

impl Fixture {
    /// Starts a server. What `serve` refuses, such as conversations over packets on [`Serial`], is told by
    /// [`stop`](Self::stop).
    ///
    /// # Panics
    /// When it cannot be bound, or the model forks.
    #[must_use]
    pub fn start<H, B, A>(how: How, carrier: Carrier, handler: H) -> Self
    where
        H: RunsOn<Serial, B> + RunsOn<Threads, B> + RunsOn<Forks, B> + RunsOn<Tasks, A> + Send + Sync + 'static,
    {
        Self::start_with(how, carrier, |server| server, handler)
    }

    /// As [`start`](Self::start), with the settings that the server is given here.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_with<H, B, A>(how: How, carrier: Carrier, set: impl FnOnce(Server) -> Server, handler: H) -> Self
    where
        H: RunsOn<Serial, B> + RunsOn<Threads, B> + RunsOn<Forks, B> + RunsOn<Tasks, A> + Send + Sync + 'static,
    {
        let forks = matches!(how, How::Forks(_) | How::Prefork(..));
        assert!(!forks, "`{how}` wants a process that has one thread: put it on a `Stage`");
        let (endpoint, directory) = carrier.endpoint();
        let mut server = set(Server::bind(&endpoint[..]).unwrap_or_else(|error| panic!("{error}")));
        let (handle, endpoint) = (server.handle(), server.endpoints()[0].clone());
        let thread = std::thread::spawn(move || how.serve(&mut server, handler));
        Self { handle, thread: Some(thread), endpoint, _directory: directory }
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// To ask it things, and to steer it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// A plain client of it.
    ///
    /// # Panics
    /// When it cannot connect.
    #[must_use]
    pub fn connect(&self) -> Client {
        Client::connect(&self.endpoint).expect("the server is there")
    }

    /// A plain client that sends it packets.
    ///
    /// # Panics
    /// When there can be no such socket.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller::of(&self.endpoint).expect("the server is there")
    }

    /// Asks it to stop, waits until it has, and gives its report.
    ///
    /// # Panics
    /// When it failed, with what it says.
    #[must_use]
    pub fn stop(mut self) -> Report {
        self.handle.shutdown();
        let thread = self.thread.take().expect("it is waited for once");
        let report = thread.join().expect("a server does not panic");
        report.unwrap_or_else(|failure| panic!("the server failed: {failure}"))
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.handle.shutdown();
        }
    }
}
