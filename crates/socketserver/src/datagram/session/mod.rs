//! Conversations over packets: one a peer.

mod budget;
mod conversation;
mod mailbox;
mod newcomers;
mod router;
mod sync_session;
mod table;
#[cfg(feature = "tokio")]
mod task_session;

pub use budget::Budget;
pub(crate) use conversation::conversation;
pub use conversation::{Heard, Talk};
pub use mailbox::Mailbox;
pub(crate) use mailbox::Ready;
pub(crate) use newcomers::{Newcomer, Newcomers};
pub(crate) use router::{Host, Router};
pub use sync_session::Session as SyncSession;
#[cfg(feature = "tokio")]
pub(crate) use task_session::Post;
#[cfg(feature = "tokio")]
pub use task_session::Session as TaskSession;

use std::fmt;
use std::time::Duration;

/// What becomes of a newcomer when there are as many sessions as there may be.
///
/// ```
/// use socketserver::{Result, Server, Threads, WhenFull, blocking, sessions};
/// fn echo(s: &mut blocking::Session) -> Result {
///     while let Some(packet) = s.recv()? {
///         s.send(&packet)?;
///     }
///     Ok(())
/// }
/// // Whoever is there stays.
/// let few = sessions(echo).max(100).when_full(WhenFull::Refuse);
/// let server = Server::bind("udp://127.0.0.1:0")?.spawn(Threads::default(), few)?;
/// # server.stop()?;
/// # Ok::<_, socketserver::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// It takes the place of the session that has been silent for longest, of those that came to the same socket (every
    /// endpoint has its own, and on `Tasks` every shard); on `Tasks`, of those whose handler waits for a packet. Those whose
    /// peer was heard from once alone go first; one that was heard from more often is let alone for an eighth of the idle
    /// deadline after each packet. So a flood of packets with forged addresses displaces its own kind, and whoever keeps up a
    /// conversation keeps it. Who forges two packets from each address, and enough of them, keeps newcomers out.
    #[default]
    EvictIdle,
    /// Its packets are dropped.
    Refuse,
}

/// Options of [`Sessions`], as they are given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) max: usize,
    pub(crate) idle: Option<Duration>,
    pub(crate) queue: usize,
    pub(crate) memory: usize,
    pub(crate) when_full: WhenFull,
}

/// A session handler, and how many sessions it may have; made by [`sessions`], where their defaults are, and an example.
pub struct Sessions<H> {
    pub(crate) handler: H,
    pub(crate) options: Options,
}

/// Turns packets into one conversation a peer: the handler is run once for each, and its session gives whole packets, one
/// after the other, and takes replies. What is the peer's is a local variable of the handler.
///
/// A session begins with the first packet that a peer sends to one of our addresses. It is over when the handler returns;
/// when nothing comes for as long as the idle deadline allows, when it is evicted, or when the server drains, the handler is
/// given what is in the queue and then the end of input. The next packet of that peer begins another one. (On `Threads` a
/// session that waits for a thread when the server drains, or is evicted meanwhile, is called off, and its handler never run.)
///
/// To events and totals it is a connection: it has a number, it is opened, and closed for a
/// [`Reason`](crate::Reason). Its maximum is its own, and [`Handle::connections`](crate::Handle::connections) does not list it.
///
/// | option | default |
/// |---|---|
/// | [`max`](Sessions::max) | 10,000 |
/// | [`idle`](Sessions::idle) | 60 s |
/// | [`queue`](Sessions::queue) | 64 packets a session |
/// | [`memory`](Sessions::memory) | 64 MiB in all queues |
/// | [`when_full`](Sessions::when_full) | the session that was silent for longest gives way |
///
/// Packets that find no room in a queue are dropped and counted ([`Totals::queue_full`](crate::Totals::queue_full)), and so
/// are those that were cut on the way: a session never gives part of a packet.
///
/// [`Threads`](crate::Threads) runs blocking handlers, a thread of its pool each, with one more thread that sorts the packets;
#[cfg_attr(feature = "tokio", doc = "[`Tasks`](crate::Tasks) runs async ones, as many as there may be.")]
/// The other models have nobody who would sort the packets while a handler is at work.
///
/// ```
/// use socketserver::{Server, Threads, blocking, sessions};
///
/// let counting = sessions(|s: &mut blocking::Session| {
///     let mut count = 0;
///     while let Some(packet) = s.recv()? {
///         count += 1;
///         s.send(format!("{count}: {}", String::from_utf8_lossy(&packet)).as_bytes())?;
///     }
///     Ok(())
/// });
/// let server = Server::bind("udp://127.0.0.1:0")?.spawn(Threads::default(), counting.max(1_000))?;
/// # let socketserver::Endpoint::Udp { port, .. } = server.handle().endpoints()[0] else { unreachable!() };
/// let client = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// client.connect(("127.0.0.1", port))?;
/// let mut reply = [0; 100];
/// for (said, heard) in [("one", "1: one"), ("more", "2: more")] {
///     client.send(said.as_bytes())?;
///     let count = client.recv(&mut reply)?;
///     assert_eq!(&reply[..count], heard.as_bytes());
/// }
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[must_use]
pub fn sessions<H>(handler: H) -> Sessions<H> {
    let options = Options {
        max: 10_000,
        idle: Some(Duration::from_secs(60)),
        queue: 64,
        memory: 64 * 1024 * 1024,
        when_full: WhenFull::default(),
    };
    Sessions { handler, options }
}

impl<H> Sessions<H> {
    /// How many sessions there may be at a time, over all endpoints and shards; at least 1, and at most 2^31. On
    /// [`Threads`](crate::Threads) no more than it has threads, one each; those that were evicted, and whose handlers are about
    /// to return, do not count.
    #[must_use]
    pub fn max(mut self, sessions: usize) -> Self {
        self.options.max = sessions.clamp(1, 1 << 31);
        self
    }

    /// How long nothing may come from a peer before its session is over. `None` is for ever. What is sent to it does not
    /// count: nobody may be there any more.
    #[must_use]
    pub fn idle(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.options.idle = time.into();
        self
    }

    /// How many packets may wait for a handler that is busy; at least 1.
    #[must_use]
    pub fn queue(mut self, packets: usize) -> Self {
        self.options.queue = packets.max(1);
        self
    }

    /// How many bytes the packets in all queues may have together.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.options.memory = bytes;
        self
    }

    /// What becomes of a newcomer when there are as many sessions as there may be.
    #[must_use]
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.options.when_full = policy;
        self
    }
}

impl<H> fmt::Debug for Sessions<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("options", &self.options).finish_non_exhaustive()
    }
}
