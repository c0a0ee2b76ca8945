use crate::events::Cut;

/// What happened from `serve` to its return.
///
/// ```
/// # use socketserver::{Serial, Server, blocking};
/// let mut server = Server::bind("tcp://127.0.0.1:0")?;
/// server.handle().shutdown();
/// let report = server.serve(Serial::default(), |_: &mut blocking::Stream| Ok(()))?;
/// assert_eq!(report.served, 0);
/// assert!(report.is_clean());
/// # Ok::<_, socketserver::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many connections were let in.
    pub served: u64,
    /// Those that the drain's deadline found still open: they were cut.
    pub cut: Vec<Cut>,
    /// The number of the signal that asked for an end without delay, if one did
    /// ([`Server::stop_on_signals`](crate::Server::stop_on_signals)).
    pub hurried: Option<i32>,
    /// The sums at the end, over all runs of this server.
    pub totals: Totals,
}

impl Report {
    /// Whether every connection came to its own end.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.cut.is_empty()
    }
}

/// Sums over all connections of a server, the open ones too.
///
/// ```
/// use socketserver::{Serial, Server, blocking, client};
///
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Serial::default(), |c: &mut blocking::Stream| {
///     c.write_all(b"hello")?;
///     Ok(())
/// })?;
/// client::connect(&server.handle().endpoints()[0])?.read_to_end(100)?;
/// let totals = server.stop()?.totals;
/// assert_eq!((totals.accepted, totals.closed, totals.written), (1, 1, 5));
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Connections let in.
    pub accepted: u64,
    /// Of those [accepted](Self::accepted), closed again.
    pub closed: u64,
    /// Peers turned away before their connection was opened, for whatever reason ([`Refusal`](crate::Refusal)): the sum of the
    /// five counts below, and of those whom `verify` turned away.
    pub refused: u64,
    /// Of those [refused](Self::refused), the ones that may not come in by their address.
    pub denied: u64,
    /// Of those refused, the ones that are no proxy that is trusted, where one has to be ([`Server::proxy_protocol`](crate::Server::proxy_protocol)).
    pub untrusted: u64,
    /// Of those refused, connections of proxies that have not said rightly, or not in time, for whom they speak.
    pub bad_headers: u64,
    /// Of those refused, the ones that found the server full.
    pub over_limit: u64,
    /// Of those refused, the ones that had too many connections already.
    pub over_peer_limit: u64,
    /// Connections that were lost before they could be accepted.
    pub lost: u64,
    /// How often accepting had to rest: descriptors or memory ran out, or 64 connections in a row were lost.
    pub exhausted: u64,
    /// Peers that were closed unheard while accepting [had to rest](Self::exhausted).
    pub shed: u64,
    /// How often accepting failed for good, which ends the run.
    pub given_up: u64,
    /// Connections whose handler failed, panicked, or lost its process.
    pub failed: u64,
    /// Connections that came to nothing before the handler, for it was not agreed how to speak: see
    /// [`Reason::Handshake`](crate::Reason::Handshake).
    pub handshakes_failed: u64,
    /// Packets received, whatever became of them.
    pub packets: u64,
    /// Packets sent.
    pub replies: u64,
    /// Packets received that were cut, for they were larger than there was room for.
    pub truncated: u64,
    /// Packets that the system dropped before they were received: they came faster than they were handled.
    pub overflowed: u64,
    /// Packets dropped unread because nobody can have sent them from there: port 0, a broadcast or multicast address, our
    /// own address and port.
    pub nonsense: u64,
    /// Packets dropped unread because their peer may not send any.
    pub unwelcome: u64,
    /// Packets dropped unread because their peer sends them faster than it may
    /// ([`Server::packet_rate`](crate::Server::packet_rate)).
    pub over_rate: u64,
    /// Replies refused because their peer was heard from once, and they would have come to more than may be sent it
    /// ([`Server::max_amplification`](crate::Server::max_amplification)).
    pub withheld: u64,
    /// Packets that could not be sent.
    pub unsent: u64,
    /// Packets that were sent and did not arrive, as far as ICMP tells.
    pub undelivered: u64,
    /// Packets whose handler failed, panicked, or lost its process.
    pub packets_failed: u64,
    /// Packets dropped because the queue of their session was full, or because its handler returned without taking them.
    pub queue_full: u64,
    /// Sessions that gave way to newcomers.
    pub evicted: u64,
    /// Bytes read.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
}
