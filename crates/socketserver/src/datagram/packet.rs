use super::Standing;
use crate::Peer;
use crate::lifecycle::Handle;
use rustix::net::SocketAddrAny;
use socketserver_sys::{Inbox, Local, Outbox};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;

/// How many packets are received in one call, at most.
pub(super) const AT_A_TIME: usize = 64;
/// How many trains of packets: so many that the replies to all of them may gather.
pub(super) const TRAINS_AT_A_TIME: usize = GATHER / SIZE;
/// How large a packet may be: as large as any of UDP (RFC 768) is.
const SIZE: usize = 65_535;
/// How many bytes of replies one batch may gather before they have to leave.
pub(super) const GATHER: usize = 1024 * 1024;

/// A packet, and the replies to it: UDP and Unix datagrams alike.
///
/// Replying waits for nothing: replies gather (to 1 MiB) and leave, many in one call, when the packets that came in
/// together are handled. None leaves unless the handler replies, and an empty reply is a packet too. They leave from the
/// address that the packet was sent to.
///
/// Where peers send their packets in trains (`UDP_SEGMENT`, `udp(7)`) the system gives a whole train at a time; that is seen,
/// switched on and off by itself, and a handler is given one packet after the other all the same. Replies of one size to one
/// peer that follow each other leave as trains too, when they answer a train or a handler makes several of one packet.
///
/// ```
/// use socketserver::{Datagram, Serial, Server};
/// let server = Server::bind("udp://127.0.0.1:0")?.spawn(Serial::default(), |d: &mut Datagram| {
///     let upper = d.packet().to_ascii_uppercase();
///     d.reply(&upper)?;
///     Ok(())
/// })?;
/// let socketserver::Endpoint::Udp { port, .. } = server.handle().endpoints()[0] else { unreachable!() };
/// let client = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"hello", ("127.0.0.1", port))?;
/// let mut reply = [0; 10];
/// assert_eq!(client.recv(&mut reply)?, 5);
/// assert_eq!(&reply[..5], b"HELLO");
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub struct Datagram {
    pub(super) inbox: Inbox,
    pub(crate) outbox: Outbox,
    pub(super) handle: Handle,
    pub(super) endpoint: usize,
    /// In which of those in the inbox it is.
    at: usize,
    /// What part of it: all, if that is no train.
    part: Range<usize>,
    /// How long a part is at most, and how much there is.
    segment: usize,
    len: usize,
    /// The one in the inbox that is next.
    next: usize,
    /// The socket takes trains.
    may_join: bool,
    /// What is in it, if it is one by itself.
    own: Option<Vec<u8>>,
    peer: Peer,
    from: Option<SocketAddrAny>,
    /// What `from` says.
    pub(super) source: Option<SocketAddr>,
    local: Option<Local>,
    /// Where the socket is bound; `None` over Unix sockets.
    pub(super) bound: Option<SocketAddr>,
    truncated: bool,
    pub(super) standing: Standing,
}

impl Datagram {
    pub(super) fn new(handle: Handle, endpoint: usize) -> Self {
        Self {
            inbox: Inbox::new(AT_A_TIME, SIZE),
            outbox: Outbox::default(),
            handle,
            endpoint,
            at: 0,
            part: 0..0,
            segment: 0,
            len: 0,
            next: 0,
            may_join: false,
            own: None,
            peer: Peer::unnamed(),
            from: None,
            source: None,
            local: None,
            bound: None,
            truncated: false,
            standing: Standing::Unasked,
        }
    }

    /// One by itself, with no room to receive any.
    #[cfg(feature = "tokio")]
    pub(crate) fn single(of: &Self) -> Self {
        Self { inbox: Inbox::new(1, 0), own: Some(Vec::new()), ..Self::new(of.handle.clone(), of.endpoint) }
    }

    /// Becomes a copy of that one.
    #[cfg(feature = "tokio")]
    pub(crate) fn copy(&mut self, of: &Self) {
        let own = self.own.get_or_insert_default();
        own.clear();
        own.extend_from_slice(of.packet());
        self.outbox.clear();
        (self.handle, self.endpoint) = (of.handle.clone(), of.endpoint);
        (self.peer, self.from, self.source) = (of.peer.clone(), of.from.clone(), of.source);
        (self.local, self.bound, self.truncated) = (of.local, of.bound, of.truncated);
        self.may_join = of.may_join;
        self.standing = of.standing;
    }

    /// Comes before the first of those that were received just now. Whether replies may leave in trains is told too.
    pub(super) fn begin(&mut self, may_join: bool) {
        self.rewind();
        self.may_join = may_join;
    }

    /// Comes before the first of them again.
    pub(super) fn rewind(&mut self) {
        (self.part, self.len, self.next) = (0..0, 0, 0);
    }

    /// Becomes the next packet of the first `count` in the inbox. `false`: there is no other.
    pub(super) fn turn(&mut self, count: usize) -> bool {
        let is_train = self.part.end < self.len;
        if is_train {
            self.part = self.part.end..self.len.min(self.part.end + self.segment);
        } else if self.next < count {
            self.turn_to(self.next);
            self.next += 1;
        } else {
            return false;
        }
        // Whose packets come in trains is answered in trains. Others do not pay for the comparison.
        self.outbox.join(self.may_join && (is_train || self.part.end < self.len));
        true
    }

    /// Becomes the first in that one of the inbox.
    fn turn_to(&mut self, at: usize) {
        let packet = self.inbox.packet(at);
        self.source = packet.from.clone().and_then(|from| SocketAddr::try_from(from).ok());
        self.peer = self.source.map_or_else(|| Peer::unix(packet.credentials), Peer::from);
        self.from = packet.from;
        self.local = packet.local;
        self.truncated = packet.truncated;
        self.len = packet.bytes.len();
        self.segment = packet.segment.map_or(self.len, usize::from);
        self.part = 0..self.len.min(self.segment);
        self.at = at;
    }

    /// Who sent it, as the system names it.
    pub(super) fn from(&self) -> Option<&SocketAddrAny> {
        self.from.as_ref()
    }

    /// Our end, where there are several.
    pub(super) fn local_end(&self) -> Option<Local> {
        self.local
    }

    /// What is in it; it may be empty.
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        self.own.as_deref().unwrap_or_else(|| &self.inbox.bytes(self.at)[self.part.clone()])
    }

    /// Who sent it. Anybody can write any address into a UDP packet.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The address that it was sent to; `None` over Unix sockets.
    #[must_use]
    pub fn local(&self) -> Option<std::net::IpAddr> {
        let bound = || self.bound.map(|bound| bound.ip());
        self.local.map(|local| local.to.to_canonical()).or_else(bound)
    }

    /// Whether there was more of it than the 65,535 bytes that are taken.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        // Of a train the end is missing.
        self.truncated && self.part.end == self.len
    }

    /// Which of the server's endpoints it came in by, counted as in [`Handle::endpoints`].
    #[must_use]
    pub fn endpoint(&self) -> usize {
        self.endpoint
    }

    /// The server, to stop it or to ask it things.
    #[must_use]
    pub fn server(&self) -> &Handle {
        &self.handle
    }

    /// Sends a packet to whoever sent this one. It may be called any number of times.
    ///
    /// # Errors
    /// `AddrNotAvailable` for a Unix peer without a name, which cannot be answered; `WouldBlock` when 1 MiB of replies
    /// waits already; `PermissionDenied` for more than a peer that was heard from once may be sent
    /// ([`Server::max_amplification`](crate::Server::max_amplification)). What goes wrong later, on the way, is an event.
    pub fn reply(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.split().1.send(bytes)
    }

    /// Sends a packet to somebody else, from the same socket.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn send_to(&mut self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        self.split().1.send_to(bytes, to)
    }

    /// The packet, and what replies to it: for replies that are made of the packet itself.
    ///
    /// ```
    /// # use socketserver::{Datagram, Result};
    /// fn echo(d: &mut Datagram) -> Result {
    ///     let (packet, mut replies) = d.split();
    ///     Ok(replies.send(packet)?)
    /// }
    /// # socketserver::Server::bind("udp://:0")?.spawn(socketserver::Serial::default(), echo)?.stop()?;
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    pub fn split(&mut self) -> (&[u8], Replies<'_>) {
        let Self { inbox, outbox, own, from, local, may_join, source, standing, handle, .. } = self;
        let (local, may_join, source, standing) = (*local, *may_join, *source, *standing);
        let replies = Replies { outbox, from: from.as_ref(), local, may_join, source, standing, handle };
        let packet = own.as_deref().unwrap_or_else(|| &inbox.bytes(self.at)[self.part.clone()]);
        (packet, replies)
    }
}

/// What replies to a packet; [`Datagram::split`] gives it.
///
/// ```
/// use socketserver::{Datagram, Result};
///
/// /// Gives the first half back, and then the other.
/// fn halves(d: &mut Datagram) -> Result {
///     let (packet, mut replies) = d.split();
///     let (first, other) = packet.split_at(packet.len() / 2);
///     replies.send(first)?;
///     Ok(replies.send(other)?)
/// }
/// # socketserver::Server::bind("udp://:0")?.spawn(socketserver::Serial::default(), halves)?.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub struct Replies<'a> {
    outbox: &'a mut Outbox,
    from: Option<&'a SocketAddrAny>,
    local: Option<Local>,
    may_join: bool,
    source: Option<SocketAddr>,
    standing: Standing,
    handle: &'a Handle,
}

impl Replies<'_> {
    /// As [`Datagram::reply`].
    ///
    /// # Errors
    /// As there.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(from) = self.from else {
            let words = "this peer has no address to reply to: its socket is bound to no name";
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, words));
        };
        self.make_room(bytes)?;
        self.standing.permit_reply(self.handle, self.source, bytes.len())?;
        self.outbox.push(bytes, Some(from), self.local);
        self.outbox.join(self.may_join);
        Ok(())
    }

    /// As [`Datagram::send_to`].
    ///
    /// # Errors
    /// As there.
    pub fn send_to(&mut self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        self.make_room(bytes)?;
        self.standing.permit(self.handle, to, bytes.len())?;
        self.outbox.push(bytes, Some(&to.into()), None);
        self.outbox.join(self.may_join);
        Ok(())
    }

    fn make_room(&self, bytes: &[u8]) -> io::Result<()> {
        if self.outbox.bytes() + bytes.len() > GATHER {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "1 MiB of replies waits to be sent already"));
        }
        Ok(())
    }
}

impl fmt::Debug for Replies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").field("waiting", &self.outbox).finish_non_exhaustive()
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram")
            .field("peer", &self.peer)
            .field("bytes", &self.packet().len())
            .finish_non_exhaustive()
    }
}
