use super::{Model, Work};
use crate::Error;
use crate::engine::Blocking;
use crate::events::SpawnFailed;
use crate::handler::Service;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A pool of threads: each accepts a connection for itself and serves it to its end.
///
/// One thread at a time, the leader, waits for connections. When one comes it makes sure that another leads, and serves:
/// so a connection never changes thread and no queue stands between (leader/followers). The pool grows with the load up
/// to [`max`](Self::max); threads that had nothing to do for [`keep_alive`](Self::keep_alive) end, down to
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

    /// How long a thread with nothing to do stays.
    #[must_use]
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.keep_alive = time;
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

    fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), Error> {
        // The drain is what tells that the run is over.
        work.run.start_keeper()?;
        let pool = Arc::new(Pool { options: self, work, state: Mutex::default(), changed: Condvar::new() });
        pool.state().workers = 1;
        pool.start()?;
        pool.work.run.wait_until_over();
        pool.join()
    }
}

/// The threads of one run.
struct Pool<S> {
    options: Threads,
    work: Work<Blocking, S>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Threads that are, or are being started.
    workers: usize,
    /// Of these, those that wait for their turn to lead.
    followers: usize,
    /// Whether somebody waits for connections.
    led: bool,
    stopping: bool,
    failed: Option<Error>,
    threads: Vec<JoinHandle<()>>,
}

impl<S: Service<Blocking> + Send + Sync> Pool<S> {
    fn state(&self) -> MutexGuard<'_, State> {
        // No user's code runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread that `workers` counts already.
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
                let mut state = self.state();
                state.workers -= 1;
                let alone = state.workers == 0;
                drop(state);
                let event = SpawnFailed { what: "thread", error: &error };
                self.work.run.observe(|observer| observer.spawn_failed(&event));
                if alone { Err(Error::io("cannot start a thread", error)) } else { Ok(()) }
            }
        }
    }

    /// The life of a thread: lead, serve, follow.
    fn work(self: &Arc<Self>) {
        while self.take_lead() {
            let next = self.work.next();
            let mut state = self.state();
            state.led = false;
            let Ok(Some(job)) = next else {
                state.stopping = true;
                state.workers -= 1;
                if let Err(error) = next {
                    state.failed.get_or_insert(error);
                    self.work.handle().shutdown();
                }
                break;
            };
            // From here on another must lead: a follower, or a new thread, or the first that has served.
            let grow = state.followers == 0 && state.workers < self.options.max;
            let wake = state.followers > 0;
            if grow {
                state.workers += 1;
            }
            drop(state);
            if wake {
                self.changed.notify_one();
            }
            if grow {
                // Should it fail, this thread leads again when it has served; the event tells.
                let _ = self.start();
            }
            job.run();
        }
        self.changed.notify_all();
    }

    /// Waits for this thread's turn to lead. `false`: it is to end, and counts no more.
    fn take_lead(&self) -> bool {
        let mut state = self.state();
        while state.led && !state.stopping {
            state.followers += 1;
            let (woken, waited) =
                self.changed.wait_timeout(state, self.options.keep_alive).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.followers -= 1;
            if waited.timed_out() && state.led && state.workers > self.options.min.min(self.options.max) {
                state.workers -= 1;
                return false;
            }
        }
        if state.stopping {
            state.workers -= 1;
            return false;
        }
        state.led = true;
        true
    }

    /// The run is over: all threads but those that the drain abandoned come to their end now.
    fn join(&self) -> Result<(), Error> {
        let abandoned = self.work.run.abandoned();
        let mut state = self.state();
        state.stopping = true;
        self.changed.notify_all();
        let ended = self.changed.wait_while(state, |state| state.workers > abandoned);
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
