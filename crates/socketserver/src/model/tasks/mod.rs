mod accepting;
mod conversing;
mod here;
mod packets;
mod shard;
mod spinner;
mod station;
mod waiting;

pub(crate) use self::here::serve_here;

use self::shard::{Post, Shard, Start};
use super::{Model, Work};
use crate::engine::Async;
use crate::handler::Service;
use crate::lifecycle::{Keeper, Pulse};
use crate::{Error, ErrorKind};
use std::num::NonZero;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Async handlers on a runtime a core ("shard"), each on a thread of its own. A connection stays on the shard that it was
/// given to, the one with the fewest, so a handler's future need not be `Send`: `Rc` and plain borrows are fine.
///
/// | option | default |
/// |---|---|
/// | [`shards`](Self::shards) | one a processor that the process may use |
/// | [`spin`](Self::spin) | off |
///
/// Packets come to every shard: each has a socket of its own on a UDP port (`SO_REUSEPORT`, `socket(7)`), and all packets of
/// a peer come to the same of them. Unix datagram sockets, and sockets that were bound elsewhere, are served by one shard.
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

    /// A shard that was busy a moment ago polls for so long before it sleeps: that halves the latency of a connection, or
    /// of packets, that go back and forth, at the price of a core that is busy as long. An idle server uses none. `None` is off.
    #[must_use]
    pub fn spin(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.spin = time.into();
        self
    }
}

impl Model for Tasks {
    type Engine = Async;
    const SESSIONS: bool = true;

    fn run<S: Service<Async> + Send + Sync>(self, work: Work<Async, S>) -> Result<(), Error> {
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "`serve(Tasks)` would block the tokio runtime that it is called in: await `server.run(handler)`, which \
                 serves inside it, or call `server.spawn(Tasks::default(), handler)`",
            ));
        }
        let shards = self.shards.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZero::get);
        let Some(listeners) = work.run.listeners() else { return Ok(()) };
        let shares = packets::share_out(&listeners, shards)?;
        let _left = listeners.leave_packets().map_err(|error| Error::io("cannot wait for packets", error))?;
        drop(listeners);
        let pulses: Vec<Arc<Pulse>> = (0..shards).map(|_| Arc::default()).collect();
        work.run.watch_pulses(pulses.clone());
        let (posts, boxes): (Vec<Post>, Vec<_>) = (0..shards).map(|_| Post::new()).unzip();
        let posts: Arc<[Post]> = posts.into();
        let (ended, ends) = mpsc::channel();
        let (starts, all_started) = tokio::sync::mpsc::channel(1);
        let mut all_started = Some(all_started);
        let mut started = Vec::with_capacity(shards);
        let mut failed = None;
        for (index, ((letters, pulse), sockets)) in boxes.into_iter().zip(pulses).zip(shares).enumerate() {
            let shard = Shard { index, work: work.clone(), posts: posts.clone(), pulse, spin: self.spin, sockets };
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
        if let Some(listeners) = work.run.listeners() {
            listeners.all.iter().filter_map(|listener| listener.packets()).for_each(|socket| socket.share_no_more());
        }
        failed.map_or(joined, Err)
    }
}
