//! The catalogue of everything that can happen.

#[cfg(feature = "metrics")]
mod metrics;
mod pair;
#[cfg(feature = "tracing")]
mod tracing;

#[cfg(feature = "metrics")]
pub use self::metrics::MetricsObserver;
#[cfg(feature = "tracing")]
pub use self::tracing::TracingObserver;

use crate::{Fingerprint, Peer, Reason};
use socketserver_proto::Endpoint;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Is told what happens. The library prints and logs nothing by itself; whoever wants to know implements this and hands
/// it to [`Server::observe`](crate::Server::observe). Every method does nothing unless you write it.
///
/// | event | when |
/// |---|---|
/// | [`opened`](Self::opened) | a connection was let in, before its handler runs |
/// | [`closed`](Self::closed) | it ended, however that came about; exactly one for each `opened` |
/// | [`refused`](Self::refused) | a peer was turned away before its connection was opened |
/// | [`accept_failed`](Self::accept_failed) | `accept(2)` failed |
/// | [`unsent`](Self::unsent) | a packet could not be sent |
/// | [`undelivered`](Self::undelivered) | a packet was sent over UDP and did not arrive: an ICMP message says so |
/// | [`spawn_failed`](Self::spawn_failed) | no thread or process could be had |
/// | [`child_ended`](Self::child_ended) | a child process ended that should not have |
/// | [`hook_failed`](Self::hook_failed) | one of your hooks that stands beside the handler failed or panicked |
/// | [`hogged`](Self::hogged) | an async handler went on for over 100 ms without a wait: all others on its shard stood still |
/// | [`tls_reloaded`](Self::tls_reloaded) | other certificates, keys or authorities are in use |
/// | [`tls_reload_failed`](Self::tls_reload_failed) | those that are there now are of no use: the last good ones stay; or changes go unseen |
/// | [`draining`](Self::draining) | the server stopped accepting |
/// | [`cut`](Self::cut) | the drain's deadline passed and this connection is cut |
///
/// Two observers at once are a pair, `observe((this, that))`, and more are pairs in pairs. Ready-made ones are
/// `TracingObserver` (the feature `tracing`) and `MetricsObserver` (the feature `metrics`); `docs/events.md` has their
/// fields and names.
///
/// Methods are called from the threads that serve (under [`Forks`](crate::Forks) always in the parent): they must not
/// wait for long. A panic in one is swallowed.
///
/// ```
/// use socketserver::{Closed, Observer, Server};
///
/// struct Print;
/// impl Observer for Print {
///     fn closed(&self, c: &Closed<'_>) {
///         println!("{} left after {:?}: {}", c.peer, c.duration, c.reason);
///     }
/// }
/// let server = Server::bind("tcp://127.0.0.1:0")?.observe(Print);
/// # Ok::<_, socketserver::Error>(())
/// ```
pub trait Observer: Send + Sync + 'static {
    /// A connection was let in.
    fn opened(&self, event: &Opened<'_>) {
        let _ = event;
    }
    /// A connection ended.
    fn closed(&self, event: &Closed<'_>) {
        let _ = event;
    }
    /// A peer was turned away.
    fn refused(&self, event: &Refused<'_>) {
        let _ = event;
    }
    /// `accept(2)` failed.
    fn accept_failed(&self, event: &AcceptFailed<'_>) {
        let _ = event;
    }
    /// A packet could not be sent.
    fn unsent(&self, event: &Unsent<'_>) {
        let _ = event;
    }
    /// A packet did not arrive.
    fn undelivered(&self, event: &Undelivered<'_>) {
        let _ = event;
    }
    /// No thread or process could be had.
    fn spawn_failed(&self, event: &SpawnFailed<'_>) {
        let _ = event;
    }
    /// A child process ended that should not have.
    fn child_ended(&self, event: &ChildEnded) {
        let _ = event;
    }
    /// A hook failed.
    fn hook_failed(&self, event: &HookFailed<'_>) {
        let _ = event;
    }
    /// A handler kept its shard from all others.
    fn hogged(&self, event: &Hogged) {
        let _ = event;
    }
    /// Other certificates are in use.
    fn tls_reloaded(&self, event: &TlsReloaded<'_>) {
        let _ = event;
    }
    /// New certificates are of no use.
    fn tls_reload_failed(&self, event: &TlsReloadFailed<'_>) {
        let _ = event;
    }
    /// The server stopped accepting.
    fn draining(&self, event: &Draining) {
        let _ = event;
    }
    /// The drain's deadline passed for this connection.
    fn cut(&self, event: &Cut) {
        let _ = event;
    }
}

/// An observer that you keep a hand on.
impl<O: Observer> Observer for Arc<O> {
    fn opened(&self, event: &Opened<'_>) {
        (**self).opened(event);
    }
    fn closed(&self, event: &Closed<'_>) {
        (**self).closed(event);
    }
    fn refused(&self, event: &Refused<'_>) {
        (**self).refused(event);
    }
    fn accept_failed(&self, event: &AcceptFailed<'_>) {
        (**self).accept_failed(event);
    }
    fn unsent(&self, event: &Unsent<'_>) {
        (**self).unsent(event);
    }
    fn undelivered(&self, event: &Undelivered<'_>) {
        (**self).undelivered(event);
    }
    fn spawn_failed(&self, event: &SpawnFailed<'_>) {
        (**self).spawn_failed(event);
    }
    fn child_ended(&self, event: &ChildEnded) {
        (**self).child_ended(event);
    }
    fn hook_failed(&self, event: &HookFailed<'_>) {
        (**self).hook_failed(event);
    }
    fn hogged(&self, event: &Hogged) {
        (**self).hogged(event);
    }
    fn tls_reloaded(&self, event: &TlsReloaded<'_>) {
        (**self).tls_reloaded(event);
    }
    fn tls_reload_failed(&self, event: &TlsReloadFailed<'_>) {
        (**self).tls_reload_failed(event);
    }
    fn draining(&self, event: &Draining) {
        (**self).draining(event);
    }
    fn cut(&self, event: &Cut) {
        (**self).cut(event);
    }
}

/// A connection was let in: see [`Observer`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Opened<'a> {
    /// Its number, unique in its server.
    pub id: u64,
    /// Who it is.
    pub peer: &'a Peer,
    /// Where it came in.
    pub endpoint: &'a Endpoint,
}

/// A connection ended: see [`Observer`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Closed<'a> {
    /// Its number, unique in its server.
    pub id: u64,
    /// Who it was.
    pub peer: &'a Peer,
    /// Where it came in.
    pub endpoint: &'a Endpoint,
    /// Bytes read from the peer.
    pub read: u64,
    /// Bytes that the system took for the peer.
    pub written: u64,
    /// From accept to close.
    pub duration: Duration,
    /// Why.
    pub reason: Reason,
    /// What the handler failed with, or the handshake, when that is the reason.
    pub failure: Option<&'a str>,
}

/// A peer was turned away: see [`Observer`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Refused<'a> {
    /// Who.
    pub peer: &'a Peer,
    /// Where.
    pub endpoint: &'a Endpoint,
    /// Why.
    pub why: Refusal,
    /// What was wrong with the header of a proxy, when that is why.
    pub failure: Option<&'a str>,
}

/// Why a peer was turned away.
///
/// ```
/// assert_eq!(socketserver::Refusal::PeerLimit.to_string(), "peer-limit");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Its address is denied, or not among those that are allowed.
    Denied,
    /// The server is full, and those who come then are not to wait.
    Full,
    /// It has too many connections already.
    PeerLimit,
    /// `verify` said no.
    Unverified,
    /// It is no proxy that is trusted, where one has to be: it was closed before anything was read.
    Untrusted,
    /// The proxy has not said rightly, or not in time, for whom it speaks.
    BadHeader,
}

impl Refusal {
    pub(crate) const ALL: [Self; 6] =
        [Self::Denied, Self::Full, Self::PeerLimit, Self::Unverified, Self::Untrusted, Self::BadHeader];

    /// The name in events, `kebab-case`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Full => "full",
            Self::PeerLimit => "peer-limit",
            Self::Unverified => "unverified",
            Self::Untrusted => "untrusted",
            Self::BadHeader => "bad-header",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `accept(2)` failed: see [`Observer`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AcceptFailed<'a> {
    /// Where.
    pub endpoint: &'a Endpoint,
    /// With what.
    pub error: &'a io::Error,
    /// What the server does about it.
    pub then: AcceptThen,
}

/// What a server does about a failed `accept(2)`.
///
/// ```
/// use socketserver::{AcceptFailed, AcceptThen, Observer};
///
/// struct Alarm;
/// impl Observer for Alarm {
///     fn accept_failed(&self, event: &AcceptFailed<'_>) {
///         if let AcceptThen::BackedOff { delay, shed, .. } = event.then {
///             eprintln!("{}: {}; nobody for {delay:?}, {shed} turned away", event.endpoint, event.error);
///         }
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AcceptThen {
    /// One connection was lost on its way; the next is tried at once.
    Retried,
    /// Descriptors or memory ran out, or 64 connections in a row were lost: `shed` waiting peers were closed with the spare
    /// descriptor, and accepting rests for `delay`.
    BackedOff {
        /// How long.
        delay: Duration,
        /// How many peers were closed.
        shed: usize,
    },
    /// The listener is of no use any more: the server ends.
    GaveUp,
}

impl AcceptThen {
    /// The name in events, `kebab-case`: `retry`, `back-off`, `give-up`.
    ///
    /// ```
    /// assert_eq!(socketserver::AcceptThen::GaveUp.as_str(), "give-up");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retried => "retry",
            Self::BackedOff { .. } => "back-off",
            Self::GaveUp => "give-up",
        }
    }
}

/// A packet could not be sent, and was given up: see [`Observer`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Unsent<'a> {
    /// To whom.
    pub peer: &'a Peer,
    /// From which endpoint.
    pub endpoint: &'a Endpoint,
    /// Why. `WouldBlock`: a Unix peer does not take what it is sent.
    pub error: &'a io::Error,
}

/// A packet was sent over UDP and did not arrive: an ICMP message came back (RFC 792, RFC 4443; `IP_RECVERR`, `ip(7)`). The
/// server goes on. See [`Observer`].
///
/// Not every packet that gets lost is told of, and anybody who knows of a packet can forge such a message: it is a hint, for
/// people.
///
/// ```
/// use socketserver::{Datagram, Observer, Serial, Server, Undelivered};
/// use std::sync::mpsc::{Sender, channel};
///
/// struct Tell(Sender<String>);
/// impl Observer for Tell {
///     fn undelivered(&self, e: &Undelivered<'_>) {
///         let _ = self.0.send(format!("{}: {}", e.peer, e.error));
///     }
/// }
/// let (tell, told) = channel();
/// let server = Server::bind("udp://127.0.0.1:0")?.observe(Tell(tell));
/// let socketserver::Endpoint::Udp { port, .. } = server.endpoints()[0] else { unreachable!() };
/// let client = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// let from = client.local_addr()?;
/// client.send_to(b"anybody there?", ("127.0.0.1", port))?;
/// // It does not wait for the answer.
/// drop(client);
/// let server = server.spawn(Serial::default(), |d: &mut Datagram| Ok(d.reply(b"yes")?))?;
/// assert!(told.recv()?.starts_with(&format!("{from}: Connection refused")));
/// assert_eq!(server.stop()?.totals.undelivered, 1);
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Undelivered<'a> {
    /// To whom it was sent.
    pub peer: &'a Peer,
    /// From which endpoint.
    pub endpoint: &'a Endpoint,
    /// Who says so: the peer's machine, or one on the way.
    pub by: Option<IpAddr>,
    /// What came of it, as `connect(2)` would say it: nobody has that port (`ConnectionRefused`), no way there
    /// (`HostUnreachable`, `NetworkUnreachable`), too large (`EMSGSIZE`).
    pub error: &'a io::Error,
    /// The largest packet that gets through, headers and all, in bytes, if it was too large.
    pub mtu: Option<u32>,
}

/// No thread or process could be had; the server goes on with those it has. See [`Observer`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SpawnFailed<'a> {
    /// `"thread"` or `"process"`.
    pub what: &'a str,
    /// Why.
    pub error: &'a io::Error,
}

/// A child process of [`Forks`](crate::Forks) was killed, aborted or exited by itself: see [`Observer`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChildEnded {
    /// Its process id.
    pub pid: u32,
    /// [`Reason::Killed`] or [`Reason::Exited`].
    pub how: Reason,
    /// The connection that it served, which is lost.
    pub connection: Option<u64>,
}

/// A hook that stands beside the handler failed or panicked: see [`Observer`]. Under [`Forks`](crate::Forks) the `on_error`
/// of packets runs in a child that ends with them, and a panic in it is not told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HookFailed<'a> {
    /// `"verify"`, `"on_error"`, `"every"`, `"alarm"` or `"on_signal"`.
    pub hook: &'a str,
    /// How.
    pub failure: &'a str,
}

/// An async handler goes on without a wait and keeps its shard from all other connections. Told once while it lasts.
/// See [`Observer`].
///
/// Shard 0 accepts for all: while it is kept from that nobody comes in, to no shard.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Hogged {
    /// The number of its connection.
    pub connection: u64,
    /// Which shard, counted from 0.
    pub shard: usize,
    /// For how long already.
    pub time: Duration,
}

/// Certificates, keys or authorities were read again, differ from those before, and are in use for connections from now on: see
/// [`Observer`]. Connections that are open go on as they are. The feature `tls` has it happen.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TlsReloaded<'a> {
    /// Of all certificates of the server, in the order in which they were given.
    pub fingerprints: &'a [Fingerprint],
}

/// Certificates, keys or authorities were read again and are of no use, or cannot be watched for changes: see [`Observer`]. The
/// last good ones stay in use. What came of a change of files is told when it has lasted for half a second, and once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TlsReloadFailed<'a> {
    /// What is wrong, and in which file.
    pub failure: &'a str,
}

/// The server stopped accepting: see [`Observer`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Draining {
    /// How many connections are open.
    pub open: u64,
    /// How long they may take.
    pub deadline: Duration,
}

/// A connection that the drain's deadline cut: in events (see [`Observer`]) and in the [`Report`](crate::Report).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cut {
    /// Its number; 0: it was no connection, but the handler of a packet, or, with no peer, whoever was at work on packets of
    /// that endpoint and never came back.
    pub id: u64,
    /// Who it was.
    pub peer: Peer,
    /// Where it came in.
    pub endpoint: Endpoint,
    /// How long it had been open.
    pub age: Duration,
    /// Its handler did not come back even so. Under [`Threads`](crate::Threads) its thread was abandoned, under
    /// [`Forks`](crate::Forks) its process killed, under `Tasks` its shard, with all that were on it. Only the
    /// report knows: in the event, which comes before, it is `false`.
    pub abandoned: bool,
}
