use crate::Error;
use crate::admission::{Admitted, Gate, Next, Place};
use crate::connection::pipeline::Site;
use crate::connection::{Connection, Core, SyncIo, now, pipeline};
use crate::datagram::Batch;
use crate::datagram::session::{Newcomer, SyncSession, conversation};
use crate::engine::{Blocking, Conn, Engine};
use crate::handler::Service;
use crate::lifecycle::{Handle, Run};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

/// Where a [`Model`](crate::Model) gets its jobs. Clone it for each thread that takes some.
///
/// ```
/// use socketserver::{Blocking, Error, Model, Server, Service, Work, blocking, client};
///
/// /// Two threads, each of which serves one after the other.
/// struct Two;
/// impl Model for Two {
///     type Engine = Blocking;
///     fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), Error> {
///         fn serve<S: Service<Blocking>>(work: &Work<Blocking, S>) -> Result<(), Error> {
///             while let Some(job) = work.next()? {
///                 job.run();
///             }
///             Ok(())
///         }
///         std::thread::scope(|scope| {
///             let other = work.clone();
///             let other = scope.spawn(move || serve(&other));
///             let one = serve(&work);
///             one.and(other.join().expect("a job never panics"))
///         })
///     }
/// }
///
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Two, |c: &mut blocking::Stream| Ok(c.write_all(b"hi")?))?;
/// assert_eq!(client::connect(&server.handle().endpoints()[0])?.read_to_end(10)?, b"hi");
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub struct Work<E: Engine, S> {
    pub(crate) run: Arc<Run>,
    pub(crate) service: Arc<S>,
    pub(crate) gate: Arc<Gate>,
    engine: PhantomData<fn() -> E>,
}

impl<E: Engine, S> Work<E, S> {
    pub(crate) fn new(run: Arc<Run>, service: S) -> Self {
        let gate = Arc::new(Gate::new(run.clone()));
        Self { run, service: Arc::new(service), gate, engine: PhantomData }
    }

    /// The server that the work is for.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.run.handle()
    }
}

impl<S: Service<Blocking>> Work<Blocking, S> {
    /// Waits for the next connection that may come in. `None`: the server stops. Any number of threads may wait in it:
    /// each connection wakes one.
    ///
    /// # Errors
    /// A listener that is of no use any more. Errors of single connections are dealt with inside.
    pub fn next(&self) -> Result<Option<Job<S>>, Error> {
        match self.next_until(None)? {
            Next::Admitted(admitted) => Ok(Some(self.job(admitted))),
            Next::Packets(batch) => Ok(Some(self.packets(batch))),
            Next::Session(newcomer, place) => Ok(Some(self.session(newcomer, place))),
            Next::TimedOut | Next::Stopped => Ok(None),
        }
    }

    pub(crate) fn next_until(&self, until: Option<Instant>) -> Result<Next, Error> {
        self.run.start_keeper()?;
        self.gate.next(until, &|peer| self.service.verify(peer))
    }

    pub(crate) fn job(&self, admitted: Admitted) -> Job<S> {
        Job { what: What::Connection(admitted), service: self.service.clone(), run: self.run.clone() }
    }

    pub(crate) fn packets(&self, batch: Batch) -> Job<S> {
        Job { what: What::Packets(batch), service: self.service.clone(), run: self.run.clone() }
    }

    pub(crate) fn session(&self, newcomer: Newcomer, place: Place) -> Job<S> {
        Job { what: What::Session(newcomer, place), service: self.service.clone(), run: self.run.clone() }
    }
}

impl<E: Engine, S> Clone for Work<E, S> {
    fn clone(&self) -> Self {
        Self { run: self.run.clone(), service: self.service.clone(), gate: self.gate.clone(), engine: PhantomData }
    }
}

impl<E: Engine, S> fmt::Debug for Work<E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("run", &self.run).finish_non_exhaustive()
    }
}

/// One connection to be served, or a session, or a few packets that came in together. Dropping it instead of running it turns the
/// peer away.
///
/// ```
/// use socketserver::{Blocking, Error, Model, Server, Service, Work, blocking, client};
///
/// /// Serves whoever comes, unless there is something better to do.
/// struct Busy(fn() -> bool);
/// impl Model for Busy {
///     type Engine = Blocking;
///     fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), Error> {
///         while let Some(job) = work.next()? {
///             if (self.0)() { drop(job) } else { job.run() }
///         }
///         Ok(())
///     }
/// }
///
/// let hello = |c: &mut blocking::Stream| Ok(c.write_all(b"hello")?);
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Busy(|| true), hello)?;
/// assert_eq!(client::connect(&server.handle().endpoints()[0])?.read_to_end(10)?, b"");
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub struct Job<S> {
    what: What,
    service: Arc<S>,
    run: Arc<Run>,
}

/// A connection that is served on this thread.
pub(super) struct Here<'a, S> {
    pub(super) service: &'a S,
    pub(super) run: &'a Run,
    pub(super) connection: &'a Connection,
}

impl<S> Site<S> for Here<'_, S> {
    fn service(&self) -> &S {
        self.service
    }

    fn run(&self) -> &Run {
        self.run
    }

    fn connection(&self) -> &Connection {
        self.connection
    }
}

#[derive(Debug)]
enum What {
    Connection(Admitted),
    Packets(Batch),
    Session(Newcomer, Place),
}

impl<S: Service<Blocking>> Job<S> {
    /// Runs the handler, closes the connection and tells of it; or handles the packets and sends the replies. It never
    /// panics.
    pub fn run(self) {
        self.run_through();
    }

    /// The same. `false`: it was from a proxy, and nobody whom it speaks for was let in.
    pub(crate) fn run_through(self) -> bool {
        match self.what {
            What::Connection(mut admitted) => {
                let connection = admitted.connection().clone();
                let core = Core::new(SyncIo::new(&connection), connection, self.run.terms.clone());
                let mut conn = Conn::new(core);
                let site = Here { service: &*self.service, run: &self.run, connection: admitted.connection() };
                let ending = now(pipeline::connection::<Blocking, S>(&mut conn, &site));
                admitted.ending = Some(ending);
                // In this order: nothing is left of it when the event tells that it has ended.
                drop(conn);
                return !admitted.connection().slot.awaits_header();
            }
            What::Packets(mut batch) => {
                batch.handle::<Blocking, S>(&self.service);
                batch.send_all();
            }
            What::Session(newcomer, _place) => {
                let mut session = SyncSession::new(newcomer, self.run);
                now(conversation::<Blocking, S>(&*self.service, &mut session));
            }
        }
        true
    }
}

impl<S> fmt::Debug for Job<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("what", &self.what).finish_non_exhaustive()
    }
}
