use crate::admission::Next;
use crate::endpoint::{Accept, Endpoints, ListenOptions, Listener, Listeners};
use crate::engine::{Blocking, Engine};
use crate::events::Observer;
use crate::handler::RunsOn;
use crate::lifecycle::{Duties, Handle, Report, Run, Settings, Shared, Signal};
use crate::model::{Model, Serial, Work};
use crate::{Error, ErrorKind, Result};
use socketserver_proto::Endpoint;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
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

/// A server that was given nothing but sockets: models of every engine can run it.
#[derive(Debug)]
pub enum AnyEngine {}

/// A server that was given sources for `Self` can be run by models of the engine `E`.
#[diagnostic::on_unimplemented(
    message = "a source of {Self} connections cannot feed a model of the {E} engine",
    label = "this model runs on the {E} engine",
    note = "`accept_from_blocking` takes sources for `Serial`, `Threads` and `Forks`"
)]
pub trait Suits<E> {}
impl<E: Engine> Suits<E> for AnyEngine {}
impl Suits<Self> for Blocking {}

/// What [`Server::serve_one`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// | `fd:3` | a listening socket that this process was started with |
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
    pub fn accept_from_blocking(mut self, source: impl Accept + 'static) -> Result<Server<Blocking>, Error> {
        let late = || Error::new(ErrorKind::Unsupported, "a source must be added before the first handle is made");
        let failed = |error| Error::io("cannot wait for the source", error);
        let endpoint = Endpoint::Fd(u32::try_from(std::os::fd::AsRawFd::as_raw_fd(&source.as_fd())).unwrap_or(0));
        let listener = Listener::own(endpoint.clone(), Box::new(source)).map_err(failed)?;
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
    /// How long a handler may wait for its peer; 60 s unless said otherwise. `None` is for ever.
    ///
    /// It is looked after in steps of an eighth, so a wait ends up to that much later.
    #[must_use]
    pub fn idle(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.settings.idle = time.into();
        self
    }

    /// How long a write may make no progress; 30 s unless said otherwise. `None` is for ever.
    #[must_use]
    pub fn write_timeout(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.settings.write = time.into();
        self
    }

    /// How long connections may go on after [`Handle::shutdown`]; 10 s unless said otherwise.
    #[must_use]
    pub fn drain_deadline(self, time: Duration) -> Self {
        self.shared.control.set_patience(time);
        self
    }

    /// Who is told what happens.
    #[must_use]
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.settings.observer = Some(Arc::new(observer));
        self
    }

    /// Calls `duty` each `period` while the server serves, for the first time after one period; never two at a time. One that fails or panics is an event
    /// and is called again.
    ///
    /// It runs beside the handlers on the thread that watches over deadlines and the drain, under
    /// [`Forks`](crate::Forks) in the parent that accepts: it holds those up for as long as it takes, so it must not
    /// take long.
    #[must_use]
    pub fn every(self, period: Duration, duty: impl FnMut(&Handle) -> Result + Send + 'static) -> Self {
        self.lock_duties().add_every(period, Box::new(duty));
        self
    }

    /// Calls `duty` when a signal comes, where [`every`](Self::every) runs: any code may run there.
    ///
    /// The signal's own effect is off from now on, and stays off when the server is gone. Children swallow it.
    ///
    /// # Errors
    /// When no descriptor is left for it.
    pub fn on_signal(
        self,
        signal: Signal,
        duty: impl FnMut(&Handle) -> Result + Send + 'static,
    ) -> Result<Self, Error> {
        let failed = |error| Error::io(format!("cannot wait for {signal:?}"), error);
        self.lock_duties().add_signal(signal, Box::new(duty)).map_err(failed)?;
        Ok(self)
    }

    /// The first TERM or INT drains, a second one ends at once ([`Report::hurried`] tells).
    ///
    /// # Errors
    /// As [`on_signal`](Self::on_signal).
    pub fn stop_on_signals(mut self) -> Result<Self, Error> {
        for signal in [Signal::Terminate, Signal::Interrupt] {
            self = self.on_signal(signal, move |handle| {
                if handle.is_stopping() {
                    handle.hurry(signal.number())
                } else {
                    handle.shutdown()
                }
                Ok(())
            })?;
        }
        Ok(self)
    }

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

    fn begin(&self) -> Arc<Run> {
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
        let before = self.shared.control.totals().accepted;
        let run = self.begin();
        let work = Work::new(run.clone(), handler.into_service());
        // A model of a user's own may panic: what it leaves is drained all the same.
        let result = catch_unwind(AssertUnwindSafe(|| model.run(work)));
        let report = run.finish(before);
        result.unwrap_or_else(|panic| resume_unwind(panic)).map(|()| report)
    }

    /// Waits for one connection and serves it on this thread.
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
        let before = self.shared.control.totals().accepted;
        let run = self.begin();
        let work = Work::<Blocking, _>::new(run.clone(), handler.into_service());
        // A time beyond the clock's end is no limit.
        let until = Instant::now().checked_add(timeout);
        let served = match work.next_until(until) {
            Ok(Next::Admitted(admitted)) => {
                work.job(admitted).run();
                Ok(Served::One)
            }
            Ok(Next::TimedOut) => Ok(Served::TimedOut),
            Ok(Next::Stopped) => Ok(Served::Stopped),
            Err(error) => Err(error),
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
        Ok(Running { handle, thread })
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

/// A server on a thread of its own. Dropping it lets the server go on.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    thread: JoinHandle<Result<Report, Error>>,
}

impl Running {
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
    /// What [`Server::serve`] says.
    pub fn join(self) -> Result<Report, Error> {
        // Only a model of a user's own can panic there.
        self.thread.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Unsupported, "the model panicked")))
    }
}
