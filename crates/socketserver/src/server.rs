mod settings;
#[cfg(feature = "tls")]
mod tls;

use crate::admission::Next;
use crate::endpoint::{Accept, Endpoints, ListenOptions, Listener, Listeners};
#[cfg(feature = "tokio")]
use crate::engine::Async;
use crate::engine::Blocking;
use crate::handler::{RunsOn, Service};
use crate::lifecycle::{Duties, Handle, Report, Run, Settings, Shared};
use crate::model::{Model, Serial, Work};
use crate::suits::{self, AnyEngine, Suits};
use crate::{Error, ErrorKind, Result, Running};
use socketserver_proto::Endpoint;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where sockets are bound and deadlines are set; then told to serve.
///
/// ```
/// use socketserver::{Server, Threads, blocking};
/// use std::time::Duration;
///
/// let mut server = Server::bind(["tcp://127.0.0.1:0", "unix:@doc-example"])?
///     .idle(Duration::from_secs(30))
///     .drain_deadline(Duration::from_secs(5))
///     .stop_on_signals()?;
/// # server.handle().shutdown();
/// let report = server.serve(Threads::default(), |c: &mut blocking::Stream| {
///     c.write_all(b"hello\n")?;
///     Ok(())
/// })?;
/// println!("{} connections, {} cut", report.served, report.cut.len());
/// # Ok::<_, socketserver::Error>(())
/// ```
///
/// The parameter says which engine's sources of connections it was given; sockets suit every engine. Nobody writes it.
pub struct Server<E = AnyEngine> {
    shared: Arc<Shared>,
    listeners: Arc<Listeners>,
    settings: Settings,
    duties: Arc<Mutex<Duties>>,
    engine: PhantomData<fn() -> E>,
}

/// What [`Server::serve_one`] came to.
///
/// ```
/// use socketserver::{Served, Server, blocking, client};
/// use std::time::Duration;
///
/// let hello = |c: &mut blocking::Stream| Ok(c.write_all(b"hello")?);
/// let mut server = Server::bind("tcp://127.0.0.1:0")?;
/// assert_eq!(server.serve_one(hello, Duration::ZERO)?, Served::TimedOut);
/// let c = client::connect(&server.endpoints()[0])?;
/// # drop(c);
/// assert_eq!(server.serve_one(hello, Duration::from_secs(10))?, Served::One);
/// server.handle().shutdown();
/// assert_eq!(server.serve_one(hello, Duration::from_secs(10))?, Served::Stopped);
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Served {
    /// One connection was served to its end.
    One,
    /// Nobody came in time.
    TimedOut,
    /// The server was asked to stop.
    Stopped,
}

impl Server {
    /// Binds one or many places with the default [`ListenOptions`], and listens there from now on.
    ///
    /// | address | where |
    /// |---|---|
    /// | `tcp://host:port`, `host:port` | TCP; of a name's addresses the first IPv4 one |
    /// | `:port`, `*:port` | 127.0.0.1; every address, IPv6 and IPv4 |
    /// | `unix:/path?mode=600`, `unix:@name` | a Unix socket with that mode (600 is the default); an abstract one |
    /// | `udp://host:port`, `udp://*:port` | UDP, with the same hosts; packets come to it, for a [`DatagramHandler`](crate::DatagramHandler) |
    /// | `unixgram:/path?mode=600`, `unixgram:@name` | a Unix datagram socket, as `unix:` |
    /// | `seqpacket:/path?mode=600`, `seqpacket:@name` | a Unix socket whose connections keep messages apart (`SOCK_SEQPACKET`), as `unix:`; for a [`MessageHandler`](crate::MessageHandler) |
    /// | `tls://host:port` | TLS over TCP, with the certificates of `Server::tls`; the feature `tls` has it |
    /// | `ws://host:port/path`, `ws://*:port/path` | WebSocket over TCP, for a [`MessageHandler`](crate::MessageHandler); the feature `websocket` has it |
    /// | `wss://host:port/path` | the same over TLS; it takes both features |
    /// | `fd:3` | a socket that this process was started with: one that listens, or a bound one for packets |
    ///
    /// Port 0 picks a free one: [`endpoints`](Self::endpoints) tells which.
    ///
    /// # Errors
    /// An address that is not understood or not to be had; then none is bound. A Unix path is refused while somebody
    /// listens there or when it is not a socket; a dead socket is replaced.
    pub fn bind(endpoints: impl Endpoints) -> Result<Self, Error> {
        ListenOptions::new().bind(endpoints)
    }

    pub(crate) fn from_listeners(listeners: Vec<Listener>) -> Result<Self, Error> {
        let failed = |error| Error::io("cannot set up the server", error);
        let endpoints = listeners.iter().map(|listener| listener.endpoint.clone()).collect();
        let shared = Shared::new(endpoints).map_err(failed)?;
        let listeners = Listeners::new(listeners, &shared.control.stop).map_err(failed)?;
        Ok(Self {
            shared: Arc::new(shared),
            listeners: Arc::new(listeners),
            settings: Settings::default(),
            duties: Arc::default(),
            engine: PhantomData,
        })
    }

    /// Serves the connections of a source of your own, beside its endpoints.
    ///
    /// # Errors
    /// When the source's descriptor cannot be waited for; [`ErrorKind::Unsupported`] once a handle has been made.
    pub fn accept_from_blocking(self, source: impl Accept + 'static) -> Result<Server<Blocking>, Error> {
        let failed = |error| Error::io("cannot wait for the source", error);
        let endpoint = Endpoint::Fd(u32::try_from(std::os::fd::AsRawFd::as_raw_fd(&source.as_fd())).unwrap_or(0));
        self.with_source(Listener::own(endpoint, Box::new(source)).map_err(failed)?)
    }

    /// Serves the async connections of a source of your own, beside its endpoints.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] once a handle has been made.
    #[cfg(feature = "tokio")]
    pub fn accept_from(self, source: impl crate::Accept + 'static) -> Result<Server<Async>, Error> {
        self.with_source(Listener::task(Box::new(source)))
    }

    fn with_source<E>(mut self, listener: Listener) -> Result<Server<E>, Error> {
        let late = || Error::new(ErrorKind::Unsupported, "a source must be added before the first handle is made");
        let failed = |error| Error::io("cannot wait for the source", error);
        let endpoint = listener.endpoint.clone();
        Arc::get_mut(&mut self.listeners).ok_or_else(late)?.push(listener).map_err(failed)?;
        Arc::get_mut(&mut self.shared).ok_or_else(late)?.endpoints.push(endpoint);
        Ok(Server {
            shared: self.shared,
            listeners: self.listeners,
            settings: self.settings,
            duties: self.duties,
            engine: PhantomData,
        })
    }
}

impl<E> Server<E> {
    /// A handle to the run that is next.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self.shared.clone(), self.shared.control.current_run())
    }

    /// Where it listens, with the real ports, in the order they were given.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.shared.endpoints.clone()
    }

    fn lock_duties(&self) -> std::sync::MutexGuard<'_, Duties> {
        self.duties.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check<M: Model, S: Service<M::Engine>>(&self, service: &S) -> Result<(), Error> {
        suits::check_server(&self.listeners, self.shared.has_tls(), !self.settings.proxies.is_empty())?;
        suits::check::<M, S>(&self.listeners, service)
    }

    fn begin<M: Model>(&self) -> Arc<Run> {
        self.shared.set_without_hub(M::WITHOUT_HUB);
        Run::new(self.shared.clone(), self.listeners.clone(), self.duties.clone(), self.settings.clone())
    }

    /// Serves until told to stop, and until every connection has ended or the drain's deadline has passed.
    ///
    /// The sockets stay bound: the same server can serve again.
    ///
    /// # Errors
    /// A model that cannot run here, a listener that is of no use any more. Nothing that a single connection does.
    pub fn serve<M, H, K>(&mut self, model: M, handler: H) -> Result<Report, Error>
    where
        M: Model,
        E: Suits<M::Engine>,
        H: RunsOn<M, K> + Send + Sync + 'static,
    {
        let service = handler.into_service();
        self.check::<M, _>(&service)?;
        let before = self.shared.control.totals().accepted;
        let run = self.begin::<M>();
        let work = Work::new(run.clone(), service);
        // A model of a user's own may panic: what it leaves is drained all the same.
        let result = catch_unwind(AssertUnwindSafe(|| model.run(work)));
        let report = run.finish(before);
        result.unwrap_or_else(|panic| resume_unwind(panic)).map(|()| report)
    }

    /// Serves inside the tokio runtime that polls this future, on one thread of it, as [`serve`](Self::serve) does with
    /// [`Tasks`](crate::Tasks) in runtimes of their own. The runtime's clock is the server's, so a test can pause it.
    ///
    /// The future is not `Send`: await it in `main`, in a `LocalSet` or a `block_on`. (In a tokio `LocalRuntime` it must not
    /// be awaited.) What a handler does without waiting holds up whatever else runs on that thread.
    ///
    /// Dropping the future ends the run at once: connections are closed as aborted, and there is no report.
    ///
    /// ```
    /// use socketserver::{Server, Stream};
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// let mut server = Server::bind("tcp://127.0.0.1:0")?;
    /// let handle = server.handle();
    /// # handle.shutdown();
    /// let report = server.run(async |c: &mut Stream| {
    ///     c.write_all(b"hello\n").await?;
    ///     Ok(())
    /// }).await?;
    /// # Ok::<_, socketserver::Failure>(())
    /// # })?;
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    #[cfg(feature = "tokio")]
    pub async fn run<H, K>(&mut self, handler: H) -> Result<Report, Error>
    where
        E: Suits<Async>,
        H: RunsOn<crate::Tasks, K> + Send + Sync + 'static,
    {
        let service = handler.into_service();
        self.check::<crate::Tasks, _>(&service)?;
        let before = self.shared.control.totals().accepted;
        let run = self.begin::<crate::Tasks>();
        // Whatever becomes of this future, the run ends; and its tasks end before that.
        let ends = crate::lifecycle::Ends::new(run.clone());
        let tasks = tokio::task::LocalSet::new();
        let work = Work::new(run.clone(), service);
        let result = tasks.run_until(crate::model::tasks::serve_here(work)).await;
        drop(tasks);
        ends.in_order();
        let report = run.finish(before);
        result.map(|()| report)
    }

    /// Waits for one connection and serves it on this thread, or for packets, which it handles.
    ///
    /// While it waits a second thread does the duties and watches over a drain, as under `serve`.
    /// `serve_one` in a loop is one run: a handle made before it stops whichever call comes next.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub fn serve_one<H, K>(&mut self, handler: H, timeout: Duration) -> Result<Served, Error>
    where
        E: Suits<Blocking>,
        H: RunsOn<Serial, K> + Send + Sync + 'static,
    {
        let service = handler.into_service();
        self.check::<Serial, _>(&service)?;
        let before = self.shared.control.totals().accepted;
        let run = self.begin::<Serial>();
        let work = Work::<Blocking, _>::new(run.clone(), service);
        // A time beyond the clock's end is no limit.
        let until = Instant::now().checked_add(timeout);
        let served = loop {
            let job = match work.next_until(until) {
                Ok(Next::Admitted(admitted)) => work.job(admitted),
                Ok(Next::Packets(batch)) => work.packets(batch),
                Ok(Next::Session(newcomer, place)) => work.session(newcomer, place),
                Ok(Next::TimedOut) => break Ok(Served::TimedOut),
                Ok(Next::Stopped) => break Ok(Served::Stopped),
                Err(error) => break Err(error),
            };
            // Whoever is turned away is not the one, whenever that is.
            if job.run_through() {
                break Ok(Served::One);
            }
        };
        match served {
            // A stop that came while the one was served is the next call's.
            Ok(Served::One | Served::TimedOut) => run.dismiss(),
            _ => drop(run.finish(before)),
        }
        served
    }

    /// Serves on a thread of its own, so that the caller goes on. Not for [`Forks`](crate::Forks).
    ///
    /// # Errors
    /// When no thread can be had. What `serve` would say comes out of [`Running::join`].
    pub fn spawn<M, H, K>(mut self, model: M, handler: H) -> Result<Running, Error>
    where
        M: Model + Send + 'static,
        E: Suits<M::Engine> + 'static,
        H: RunsOn<M, K> + Send + Sync + 'static,
        K: 'static,
    {
        let handle = self.handle();
        let thread = std::thread::Builder::new()
            .name("socketserver-main".into())
            .spawn(move || self.serve(model, handler))
            .map_err(|error| Error::io("cannot start a thread", error))?;
        Ok(Running::new(handle, thread))
    }
}

/// A descriptor that is readable when a connection waits on any endpoint or a stop was asked for (`epoll(7)`): for
/// programs that poll by themselves and then call [`serve_one`](Server::serve_one).
impl<E> AsFd for Server<E> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listeners.as_fd()
    }
}

impl<E> fmt::Debug for Server<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("endpoints", &self.shared.endpoints).finish_non_exhaustive()
    }
}
