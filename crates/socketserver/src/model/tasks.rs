use super::{Model, Work};
use crate::admission::{Admitted, Ears};
use crate::connection::pipeline::Ending;
use crate::connection::task_stream::Stream;
use crate::connection::{Core, Reason, TaskIo, pipeline};
use crate::endpoint::Transport;
use crate::engine::{Async, Conn};
use crate::handler::Service;
use crate::lifecycle::{Keeper, Pulse};
use crate::{Error, ErrorKind};
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::num::NonZero;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::LocalOptions;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinError, spawn_local};

/// Async handlers on a runtime a core ("shard"), each on a thread of its own. A connection stays on the shard that it was
/// given to, the one with the fewest, so a handler's future need not be `Send`: `Rc` and plain borrows are fine.
///
/// | option | default |
/// |---|---|
/// | [`shards`](Self::shards) | one a processor that the process may use |
/// | [`spin`](Self::spin) | off |
///
/// A program that has a tokio runtime of its own serves in it with [`Server::run`](crate::Server::run) instead;
/// `serve(Tasks)` there is refused with [`ErrorKind::Unsupported`].
///
/// ```
/// use socketserver::{Server, Stream, Tasks};
/// let mut server = Server::bind("tcp://127.0.0.1:0")?;
/// # server.handle().shutdown();
/// server.serve(Tasks::default(), async |c: &mut Stream| {
///     while let Some(line) = c.read_line(1024).await? {
///         c.write_all(line.to_uppercase().as_bytes()).await?;
///     }
///     Ok(())
/// })?;
/// # Ok::<_, socketserver::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    shards: Option<NonZero<usize>>,
    spin: Option<Duration>,
}

impl Tasks {
    /// The defaults with so many shards, at least one.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self::default().shards(shards)
    }

    /// How many shards there are, at least one.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(NonZero::new(shards).unwrap_or(NonZero::<usize>::MIN));
        self
    }

    /// A shard that was busy a moment ago polls for so long before it sleeps: that halves the latency of a connection that
    /// goes back and forth, at the price of a core that is busy as long. An idle server uses none. `None` is off.
    #[must_use]
    pub fn spin(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.spin = time.into();
        self
    }
}

impl Model for Tasks {
    type Engine = Async;

    fn run<S: Service<Async> + Send + Sync>(self, work: Work<Async, S>) -> Result<(), Error> {
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "`serve(Tasks)` would block the tokio runtime that it is called in: await `server.run(handler)`, which \
                 serves inside it, or call `server.spawn(Tasks::default(), handler)`",
            ));
        }
        let shards = self.shards.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZero::get);
        let pulses: Vec<Arc<Pulse>> = (0..shards).map(|_| Arc::default()).collect();
        work.run.watch_pulses(pulses.clone());
        let (posts, boxes): (Vec<Post>, Vec<_>) = (0..shards).map(|_| Post::new()).unzip();
        let posts: Arc<[Post]> = posts.into();
        let (ended, ends) = mpsc::channel();
        let (starts, all_started) = tokio::sync::mpsc::channel(1);
        let mut all_started = Some(all_started);
        let mut started = Vec::with_capacity(shards);
        let mut failed = None;
        for (index, (letters, pulse)) in boxes.into_iter().zip(pulses).enumerate() {
            let shard = Shard { index, work: work.clone(), posts: posts.clone(), pulse, spin: self.spin };
            // The first one accepts.
            let start = Start { this: starts.clone(), all: all_started.take() };
            let ended = ended.clone();
            let thread = std::thread::Builder::new()
                .name(format!("socketserver-{index}"))
                .spawn(move || {
                    let handle = shard.work.handle();
                    let result = shard.run(letters, start);
                    if result.is_err() {
                        handle.shutdown();
                    }
                    // Nobody listens when the drain has abandoned this thread.
                    let _ = ended.send(result);
                })
                .map_err(|error| Error::io("cannot start a thread for a shard", error));
            match thread {
                Ok(thread) => started.push(thread),
                Err(error) => {
                    // Those that run already come to their end.
                    work.handle().shutdown();
                    failed = Some(error);
                    break;
                }
            }
        }
        drop((ended, posts, starts));
        // This thread has nothing else to do, and sees what happens when a shard sees nothing any more.
        Keeper::new(work.run.clone()).keep();
        let joined = work.run.join_shards(started, &ends);
        failed.map_or(joined, Err)
    }
}

/// How connections come to a shard.
#[derive(Debug)]
struct Post {
    letters: UnboundedSender<Admitted>,
    /// How many it has.
    load: Arc<Load>,
}

/// Alone on its cache line: others look at it while its shard changes it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Load(AtomicUsize);

/// A connection that a shard has.
struct Burden(Arc<Load>);

impl Drop for Burden {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}

impl Post {
    fn new() -> (Self, UnboundedReceiver<Admitted>) {
        // The limit on connections bounds it.
        let (letters, received) = unbounded_channel();
        (Self { letters, load: Arc::default() }, received)
    }
}

/// Nobody is let in before every shard has its runtime: connections could take the descriptors that it needs.
struct Start {
    /// Dropped once this one has its runtime, or has failed to get it.
    this: tokio::sync::mpsc::Sender<()>,
    /// Ends when all were dropped.
    all: Option<tokio::sync::mpsc::Receiver<()>>,
}

/// One runtime on one thread.
struct Shard<S> {
    index: usize,
    work: Work<Async, S>,
    posts: Arc<[Post]>,
    pulse: Arc<Pulse>,
    spin: Option<Duration>,
}

impl<S: Service<Async> + Send + Sync> Shard<S> {
    fn run(self, letters: UnboundedReceiver<Admitted>, start: Start) -> Result<(), Error> {
        let (run, pulse) = (self.work.run.clone(), self.pulse.clone());
        let asleep = self.pulse.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .on_thread_park(move || asleep.fall_asleep())
            .on_thread_unpark(move || pulse.wake_up(&run))
            .build_local(LocalOptions::default())
            .map_err(|error| Error::io("cannot make a runtime for a shard", error))?;
        drop(start.this);
        runtime.block_on(async {
            if let Some(mut all) = start.all {
                let _ = all.recv().await;
            }
            let spinner = self.spin.map(|time| {
                let spinner = Rc::new(Spinner::default());
                spawn_local(spin(spinner.clone(), time));
                spinner
            });
            let station = Rc::new(Station { work: self.work.clone(), pulse: Some(self.pulse), spinner });
            let load = self.posts[self.index].load.clone();
            spawn_local(receive(station.clone(), letters, load));
            let accepted = if self.index == 0 {
                let posts = self.posts;
                until_stop(&self.work, async move { accept(station, posts).await }).await
            } else {
                drop(self.posts);
                Ok(())
            };
            self.work.run.is_over().await;
            accepted
        })
    }
}

/// Lets connections in and gives each to the shard that has the fewest.
async fn accept<S: Service<Async> + Send + Sync>(station: Rc<Station<S>>, posts: Arc<[Post]>) -> Result<(), Error> {
    let work = &station.work;
    let mut ears = Ears::new(&work.run, &work.gate)?;
    let mut after = 0;
    while let Some(admitted) = ears.next(&|peer| work.service.verify(peer)).await? {
        // Of several with as few, each in turn.
        let order = (0..posts.len()).map(|at| (after + at) % posts.len());
        let chosen = order.min_by_key(|at| posts[*at].load.0.load(Relaxed)).unwrap_or(0);
        after = chosen + 1;
        posts[chosen].load.0.fetch_add(1, SeqCst);
        if chosen == 0 {
            station.serve(admitted, Some(Burden(posts[0].load.clone())));
        } else {
            // A shard that failed has told why, and the server stops.
            let _ = posts[chosen].letters.send(admitted);
        }
    }
    Ok(())
}

/// Serves what other shards let in for this one.
async fn receive<S: Service<Async> + Send + Sync>(
    station: Rc<Station<S>>,
    mut letters: UnboundedReceiver<Admitted>,
    load: Arc<Load>,
) {
    while let Some(admitted) = letters.recv().await {
        station.serve(admitted, Some(Burden(load.clone())));
    }
}

/// Serves inside the runtime that polls it: lets connections in until the server stops, then keeps until the run is over.
pub(crate) async fn serve_here<S: Service<Async> + Send + Sync>(work: Work<Async, S>) -> Result<(), Error> {
    let keeper = Keeper::new(work.run.clone());
    let accepting = spawn_local(async move {
        let station = Rc::new(Station { work: work.clone(), pulse: None, spinner: None });
        let accept = async move {
            let mut ears = Ears::new(&station.work.run, &station.work.gate)?;
            let verify = |peer: &crate::Peer| station.work.service.verify(peer);
            while let Some(admitted) = ears.next(&verify).await? {
                station.serve(admitted, None);
            }
            Ok(())
        };
        until_stop(&work, accept).await
    });
    crate::lifecycle::keeper_task::keep(keeper).await?;
    accepting.await.unwrap_or_else(|error| Err(accepting_failed(error)))
}

/// Lets connections in until the server stops. If that fails the server stops, and those who are in are given their time.
async fn until_stop<S: Service<Async>>(
    work: &Work<Async, S>,
    accept: impl Future<Output = Result<(), Error>> + 'static,
) -> Result<(), Error> {
    // In a task of its own, which may panic.
    let accepted = spawn_local(accept).await.unwrap_or_else(|error| Err(accepting_failed(error)));
    if accepted.is_err() {
        work.handle().shutdown();
    }
    accepted
}

fn accepting_failed(error: JoinError) -> Error {
    Error::io("the task that accepts failed", error.into())
}

/// Where the connections of one runtime are served.
struct Station<S> {
    work: Work<Async, S>,
    pulse: Option<Arc<Pulse>>,
    spinner: Option<Rc<Spinner>>,
}

impl<S: Service<Async> + Send + Sync> Station<S> {
    fn serve(self: &Rc<Self>, mut admitted: Admitted, burden: Option<Burden>) {
        let mut stream = match self.stream(&mut admitted) {
            Ok(stream) => stream,
            Err(error) => {
                let failure = Some(format!("the runtime cannot watch its socket: {error}"));
                admitted.ending = Some(Ending::with(Reason::Failed, failure));
                return;
            }
        };
        // What is dropped with its runtime was given its time.
        admitted.ending = Some(Ending::of(Reason::Aborted));
        let mut guest = Box::new(Guest { admitted, _burden: burden, station: self.clone() });
        // What is moved into this block lies in it once; what it moved on would lie in it twice.
        drop(spawn_local(async move {
            let ending = {
                let mut serving = pin!(pipeline::connection::<Async, S>(&mut stream, &guest.station.work.service));
                poll_fn(|cx| guest.poll(cx, serving.as_mut())).await
            };
            guest.admitted.ending = Some(ending);
            // In this order: nothing is left of it when the event tells that it has ended.
            drop((stream, guest));
        }));
    }

    fn stream(&self, admitted: &mut Admitted) -> io::Result<Stream> {
        let connection = admitted.connection().clone();
        let io = match admitted.transport.take() {
            Some(Transport::Own(transport)) => TaskIo::own(transport),
            _ => TaskIo::socket(&connection)?,
        };
        let run = &self.work.run;
        Ok(Stream::new(Core::new(io, connection, run.terms.clone())))
    }
}

/// What a connection holds of the server while it is served, beside its stream. In a box of its own, for a task has room
/// for all that it ever holds.
struct Guest<S> {
    admitted: Admitted,
    /// Leaves last: the shard has the connection until all is gone.
    _burden: Option<Burden>,
    station: Rc<Station<S>>,
}

impl<S> Guest<S> {
    /// A turn of its task.
    #[inline]
    fn poll(&self, cx: &mut Context<'_>, serving: Pin<&mut impl Future<Output = Ending>>) -> Poll<Ending> {
        let connection = self.admitted.connection();
        connection.serve_in(cx.waker());
        if let Some(spinner) = &self.station.spinner {
            spinner.go_on();
        }
        let Some(pulse) = &self.station.pulse else { return serving.poll(cx) };
        pulse.begin(connection.id);
        let polled = serving.poll(cx);
        pulse.end();
        polled
    }
}

/// Keeps a shard from going to sleep for a while after it had something to do.
#[derive(Default)]
struct Spinner {
    busy: Cell<bool>,
    sleeping: Cell<Option<Waker>>,
}

impl Spinner {
    /// The shard has something to do.
    #[inline]
    fn go_on(&self) {
        self.busy.set(true);
        if let Some(sleeping) = self.sleeping.take() {
            sleeping.wake();
        }
    }
}

async fn spin(spinner: Rc<Spinner>, time: Duration) {
    loop {
        poll_fn(|cx| {
            if spinner.busy.take() {
                return Poll::Ready(());
            }
            spinner.sleeping.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
        let mut until = Instant::now() + time;
        while Instant::now() < until {
            // The runtime looks for events before it comes back, and does not wait for any.
            tokio::task::yield_now().await;
            if spinner.busy.take() {
                until = Instant::now() + time;
            }
        }
    }
}
