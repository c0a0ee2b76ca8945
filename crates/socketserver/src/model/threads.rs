use super::sorting::Sorting;
use super::{Job, Model, Work};
use crate::Error;
use crate::admission::Next;
use crate::engine::Blocking;
use crate::events::SpawnFailed;
use crate::handler::Service;
use socketserver_proto::census::Census;
use std::num::NonZero;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A pool of threads: each accepts a connection for itself and serves it to its end.
///
/// Threads with nothing to do wait in the kernel for connections, each of which wakes one; that one sees to it that
/// another waits, and serves. So a connection never changes thread and no queue stands between (leader/followers).
///
/// The pool grows with the load up to [`max`](Self::max): at once to two threads a processor, further when for two
/// milliseconds no thread waits and few came free. So short connections are not spread over more threads than help, and
/// long ones hold nobody up. Threads that had nothing to do for [`keep_alive`](Self::keep_alive) end, down to
/// [`min`](Self::min). When all are busy, new connections wait in the backlog.
///
/// | option | default |
/// |---|---|
/// | [`max`](Self::max) | 200 |
/// | [`min`](Self::min) | 1 |
/// | [`keep_alive`](Self::keep_alive) | 10 s |
/// | [`stack_size`](Self::stack_size) | the standard library's, 2 MiB, of which only what is touched costs memory |
///
/// ```
/// use socketserver::{Server, Threads, blocking};
/// let mut server = Server::bind("tcp://127.0.0.1:0")?;
/// # server.handle().shutdown();
/// server.serve(Threads::default().max(50).stack_size(256 * 1024), |c: &mut blocking::Stream| {
///     while let Some(line) = c.read_line(1024)? {
///         c.write_all(line.to_uppercase().as_bytes())?;
///     }
///     Ok(())
/// })?;
/// # Ok::<_, socketserver::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Threads {
    min: usize,
    max: usize,
    keep_alive: Duration,
    stack_size: Option<usize>,
}

impl Threads {
    /// The defaults with another maximum.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self::default().max(max)
    }

    /// How many connections are served at a time; at least 1.
    #[must_use]
    pub fn max(mut self, threads: usize) -> Self {
        self.max = threads.max(1);
        self
    }

    /// How many threads stay however little there is to do; at least 1, and no more than the maximum.
    #[must_use]
    pub fn min(mut self, threads: usize) -> Self {
        self.min = threads.max(1);
        self
    }

    /// How long a thread with nothing to do stays; at least 100 ms.
    #[must_use]
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.keep_alive = time.max(Duration::from_millis(100));
        self
    }

    /// The size of each thread's stack in bytes. The framework's own frames need less than 64 KiB.
    #[must_use]
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }
}

impl Default for Threads {
    fn default() -> Self {
        Self { min: 1, max: 200, keep_alive: Duration::from_secs(10), stack_size: None }
    }
}

impl Model for Threads {
    type Engine = Blocking;
    const SESSIONS: bool = true;

    fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), Error> {
        // The drain is what tells that the run is over.
        work.run.start_keeper()?;
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let pool = Arc::new(Pool {
            at_once: (2 * processors).min(self.max) as u64,
            options: self,
            work,
            census: Census::default(),
            served: AtomicU64::new(0),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        // Before anybody waits for packets, which are not for the pool to take.
        let sorting = Sorting::start(&pool.work, pool.options.max)?;
        // The first of them.
        let _ = pool.census.grow(1);
        pool.start()?;
        pool.oversee();
        let joined = pool.join();
        let abandoned = pool.work.run.abandoned() > 0;
        sorting.map_or(Ok(()), |sorting| sorting.join(abandoned)).and(joined)
    }
}

/// The threads of one run.
struct Pool<S> {
    options: Threads,
    work: Work<Blocking, S>,
    census: Census<AtomicU64>,
    /// Up to so many threads are started as soon as one is missing.
    at_once: u64,
    /// Connections that were taken, to see how fast threads come free.
    served: AtomicU64,
    state: Mutex<State>,
    /// A thread has ended.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    failed: Option<Error>,
    threads: Vec<JoinHandle<()>>,
}

/// How often the pool looks whether it is short of threads, while it may be.
const TICK: Duration = Duration::from_millis(2);
/// The same, when the last thread could not be started.
const SCARCE: Duration = Duration::from_millis(100);
/// So many connections taken in a tick, and none has to wait long for a thread.
const BRISK: u64 = 8;

impl<S: Service<Blocking> + Send + Sync> Pool<S> {
    fn state(&self) -> MutexGuard<'_, State> {
        // No user's code runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread that the census counts already.
    fn start(self: &Arc<Self>) -> Result<(), Error> {
        let mut builder = std::thread::Builder::new().name("socketserver".into());
        if let Some(bytes) = self.options.stack_size {
            builder = builder.stack_size(bytes);
        }
        let pool = self.clone();
        match builder.spawn(move || pool.work()) {
            Ok(thread) => {
                let mut state = self.state();
                state.threads.retain(|thread| !thread.is_finished());
                state.threads.push(thread);
                Ok(())
            }
            Err(error) => {
                self.census.leave();
                let event = SpawnFailed { what: "thread", error: &error };
                self.work.run.observe(|observer| observer.spawn_failed(&event));
                Err(Error::io("cannot start a thread", error))
            }
        }
    }

    /// The life of a thread: wait for a connection, see to it that another waits, serve.
    fn work(self: &Arc<Self>) {
        loop {
            self.census.begin_wait();
            let next = self.wait();
            let job = match next {
                Ok(Some(job)) => job,
                // Counted out already.
                Ok(None) => break,
                Err(error) => {
                    self.state().failed.get_or_insert(error);
                    self.work.handle().shutdown();
                    break;
                }
            };
            self.served.fetch_add(1, Relaxed);
            let grown = self.census.grow(self.at_once) && self.start().is_ok();
            if !grown && self.census.must_wake(self.max()) {
                self.work.run.ring();
            }
            job.run();
        }
        // Under the lock, so that `join` cannot miss it between its look and its wait.
        drop(self.state());
        self.changed.notify_all();
    }

    /// Waits for a connection. `None`: this thread is to end, and counts no more.
    fn wait(&self) -> Result<Option<Job<S>>, Error> {
        loop {
            let next = self.work.next_until(Instant::now().checked_add(self.options.keep_alive));
            match next {
                Ok(Next::Admitted(admitted)) => {
                    self.census.end_wait();
                    return Ok(Some(self.work.job(admitted)));
                }
                Ok(Next::Packets(batch)) => {
                    self.census.end_wait();
                    return Ok(Some(self.work.packets(batch)));
                }
                Ok(Next::Session(newcomer, place)) => {
                    self.census.end_wait();
                    return Ok(Some(self.work.session(newcomer, place)));
                }
                Ok(Next::TimedOut) if self.census.shrink(self.options.min as u64) => return Ok(None),
                Ok(Next::TimedOut) => {}
                Ok(Next::Stopped) | Err(_) => {
                    self.census.end_wait();
                    self.census.leave();
                    return next.map(|_| None);
                }
            }
        }
    }

    fn max(&self) -> u64 {
        self.options.max as u64
    }

    /// The part of the thread that called `serve`: sees to it that the pool grows when connections have to wait, until the
    /// run is over.
    fn oversee(self: &Arc<Self>) {
        let (mut before, mut more) = (0, 1_usize);
        let mut tick = TICK;
        loop {
            let pause = (!self.census.may_sleep(self.max())).then_some(tick);
            if self.work.run.wait_until_over_or_rung(pause) {
                return;
            }
            let served = self.served.load(Relaxed);
            if pause.is_none() || served - before >= BRISK {
                more = 1;
            } else {
                let mut started = (0..more).take_while(|_| self.census.grow(self.max())).map(|_| self.start());
                // If there are none to be had, asking for them all the time makes it no better.
                let scarce = started.any(|started| started.is_err());
                tick = if scarce { SCARCE } else { TICK };
                more = if scarce { 1 } else { (2 * more).min(self.options.max) };
            }
            before = served;
        }
    }

    /// The run is over: all threads but those that the drain abandoned come to their end now.
    fn join(&self) -> Result<(), Error> {
        let abandoned = self.work.run.abandoned();
        let ended = self.changed.wait_while(self.state(), |_| self.census.threads() > abandoned);
        let mut state = ended.unwrap_or_else(PoisonError::into_inner);
        let threads = std::mem::take(&mut state.threads);
        let failed = state.failed.take();
        drop(state);
        for thread in threads {
            // With abandoned threads about, those that are through are told apart by having finished.
            if abandoned == 0 || thread.is_finished() {
                let _ = thread.join();
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
