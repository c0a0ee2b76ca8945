use super::core::{Came, Core, find};
use super::{LOOK_AGAIN, Packet, Undelivered, nothing_came, nothing_left};
use crate::Error;
use crate::client::Target;
use crate::connection::{IDLE, WRITE};
use crate::endpoint::poll_until;
use rustix::event::{PollFd, PollFlags};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Packets to and from one peer: `udp://host:port` (`*` is this machine) or `unixgram:…`. Names are looked up, which
/// takes what the system lets it; nothing is sent yet.
///
/// # Errors
/// An address that is not understood or takes no packets, a name without an address; over Unix sockets, nobody there.
pub fn datagram(endpoint: impl Target) -> Result<DatagramClient, Error> {
    let endpoint = endpoint.endpoint()?;
    Ok(DatagramClient(Waits::new(Core::connect(&endpoint, &find(&endpoint)?)?)))
}

/// A UDP socket for packets to and from any number of peers, bound at an address as [`datagram`] takes them:
/// `udp://*:0` is every address of this machine, IPv6 and IPv4, at a port of the system's choice.
///
/// # Errors
/// An address that is not understood, is not of UDP or not of this machine; a port that is taken.
pub fn datagram_socket(endpoint: impl Target) -> Result<DatagramSocket, Error> {
    Ok(DatagramSocket(Waits::new(Core::bind(&endpoint.endpoint()?)?)))
}

/// Exchanges packets with one peer, over UDP or Unix sockets, and waits for them on its thread. [`datagram`] makes it.
///
/// Packets of others do not come. Over Unix sockets it has a name of the system's choice, so that it can be answered.
///
/// **Receiving** waits for 60 s at most, **sending** for 30 s, should the socket have no room at once; then they fail
/// with `TimedOut`. A packet may be lost either way, and nobody tells: who asks has to ask again. What ICMP does tell
/// is an [`Undelivered`], which [`recv`](Self::recv) fails with; it never comes in place of sending another packet. A
/// Unix socket whose peer is gone is of no more use: sending fails, with `ConnectionRefused` first.
///
/// Several threads may use one. For async code there is one in `client::task`; for many peers there is
/// [`DatagramSocket`].
///
/// ```
/// use socketserver::{Datagram, Serial, Server, client};
/// let server = Server::bind("unixgram:@doc-datagram-client")?.spawn(Serial::default(), |d: &mut Datagram| {
///     let upper = d.packet().to_ascii_uppercase();
///     Ok(d.reply(&upper)?)
/// })?;
/// let c = client::datagram("unixgram:@doc-datagram-client")?;
/// c.send(b"hello")?;
/// let mut buf = [0; 1500];
/// assert_eq!(c.recv(&mut buf)?.bytes(), b"HELLO");
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug)]
pub struct DatagramClient(Waits);

impl DatagramClient {
    /// How long [`recv`](Self::recv) waits: 60 s unless told otherwise; `None`: for ever. Zero takes what has come, and
    /// does not wait.
    pub fn set_timeout(&mut self, time: impl Into<Option<Duration>>) {
        self.0.receive = time.into();
    }

    /// How long [`send`](Self::send) waits for room: 30 s unless told otherwise; `None`: for ever.
    pub fn set_write_timeout(&mut self, time: impl Into<Option<Duration>>) {
        self.0.send = time.into();
    }

    /// Sends a packet, which may be empty. Over UDP there is room nearly always; over Unix sockets there is none while
    /// the peer has enough of them unread.
    ///
    /// # Errors
    /// `TimedOut`; `InvalidInput` for one that is too large (65,507 bytes over IPv4, 65,527 over IPv6; over Unix
    /// sockets the system says how many); what `send(2)` says of this packet. Of earlier ones it says nothing.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.0.send(packet, None)
    }

    /// Waits for the next packet, and gives as much of it as `buf` has room for.
    ///
    /// # Errors
    /// `TimedOut`; an [`Undelivered`]; what `recv(2)` says.
    pub fn recv<'b>(&self, buf: &'b mut [u8]) -> io::Result<Packet<'b>> {
        let came = self.0.recv(buf)?;
        Ok(Packet::new(&buf[..came.len], came.truncated))
    }

    /// The next packet of which it is known that it did not arrive; `None`: of no other. It does not wait: for who
    /// sends and does not receive.
    ///
    /// # Errors
    /// What `recvmsg(2)` says.
    pub fn next_undelivered(&self) -> io::Result<Option<Undelivered>> {
        self.0.core.undelivered()
    }

    /// The peer's address; `None` over Unix sockets.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.core.peer()
    }

    /// Our own address; `None` over Unix sockets.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.0.core.local()
    }
}

/// Exchanges packets with any number of peers over UDP, and waits for them on its thread. [`datagram_socket`] makes it.
///
/// It waits, and fails, as [`DatagramClient`] does; [`Undelivered`] names the peer that it is about, and the packets of
/// others come as before. Whoever knows its address can send to it.
///
/// ```
/// use socketserver::client::{self, Undelivered};
/// use socketserver::{Datagram, Endpoint, Serial, Server};
/// let server = Server::bind("udp://127.0.0.1:0")?
///     .spawn(Serial::default(), |d: &mut Datagram| Ok(d.reply(b"here")?))?;
/// # let Endpoint::Udp { port, .. } = server.handle().endpoints()[0] else { unreachable!() };
/// # let somebody = std::net::SocketAddr::from(([127, 0, 0, 1], port));
/// let nobody = std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
/// let socket = client::datagram_socket("udp://*:0")?;
/// for peer in [nobody, somebody] {
///     socket.send_to(b"who is there?", peer)?;
/// }
/// let mut buf = [0; 1500];
/// let (mut there, mut gone) = (vec![], vec![]);
/// while there.len() + gone.len() < 2 {
///     match socket.recv_from(&mut buf) {
///         Ok((_, peer)) => there.push(peer),
///         Err(error) => gone.push(Undelivered::of(&error).ok_or("it took too long")?.peer()),
///     }
/// }
/// assert_eq!((there, gone), (vec![somebody], vec![nobody]));
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug)]
pub struct DatagramSocket(Waits);

impl DatagramSocket {
    /// How long [`recv_from`](Self::recv_from) waits: 60 s unless told otherwise; `None`: for ever. Zero takes what has
    /// come, and does not wait.
    pub fn set_timeout(&mut self, time: impl Into<Option<Duration>>) {
        self.0.receive = time.into();
    }

    /// How long [`send_to`](Self::send_to) waits for room: 30 s unless told otherwise; `None`: for ever.
    pub fn set_write_timeout(&mut self, time: impl Into<Option<Duration>>) {
        self.0.send = time.into();
    }

    /// Sends a packet, which may be empty.
    ///
    /// # Errors
    /// As [`DatagramClient::send`]; `InvalidInput` for an IPv6 address where the socket is bound to an IPv4 one, and
    /// the reverse.
    pub fn send_to(&self, packet: &[u8], to: SocketAddr) -> io::Result<()> {
        self.0.send(packet, Some(to))
    }

    /// Waits for the next packet, and gives as much of it as `buf` has room for, and who sent it. Anybody can write any
    /// address into a UDP packet.
    ///
    /// # Errors
    /// As [`DatagramClient::recv`].
    pub fn recv_from<'b>(&self, buf: &'b mut [u8]) -> io::Result<(Packet<'b>, SocketAddr)> {
        let came = self.0.recv(buf)?;
        let from = came.from.ok_or(io::ErrorKind::InvalidData)?;
        Ok((Packet::new(&buf[..came.len], came.truncated), from))
    }

    /// As [`DatagramClient::next_undelivered`].
    ///
    /// # Errors
    /// As there.
    pub fn next_undelivered(&self) -> io::Result<Option<Undelivered>> {
        self.0.core.undelivered()
    }

    /// Where it is bound.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.0.core.local()
    }
}

impl AsFd for DatagramClient {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.core.as_fd()
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.core.as_fd()
    }
}

/// The core, and waits with `poll(2)`.
#[derive(Debug)]
struct Waits {
    core: Core,
    receive: Option<Duration>,
    send: Option<Duration>,
}

impl Waits {
    fn new(core: Core) -> Self {
        Self { core, receive: IDLE, send: WRITE }
    }

    fn send(&self, packet: &[u8], to: Option<SocketAddr>) -> io::Result<()> {
        let mut until = None;
        loop {
            match self.core.try_send(packet, to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return sent,
            }
            // Nearly always there was room, and nobody asked what time it is.
            let until = *until.get_or_insert_with(|| deadline(self.send));
            let mut ready = [PollFd::new(&self.core, PollFlags::OUT)];
            if poll_until(&mut ready, until)? == 0 {
                return Err(nothing_left());
            }
            if !ready[0].revents().contains(PollFlags::OUT) {
                std::thread::sleep(LOOK_AGAIN);
                if until.is_some_and(|until| until <= Instant::now()) {
                    return Err(nothing_left());
                }
            }
        }
    }

    fn recv(&self, buf: &mut [u8]) -> io::Result<Came> {
        let mut until = None;
        loop {
            match self.core.try_recv(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                came => return came,
            }
            let until = *until.get_or_insert_with(|| deadline(self.receive));
            if poll_until(&mut [PollFd::new(&self.core, PollFlags::IN)], until)? == 0 {
                return Err(nothing_came());
            }
        }
    }
}

fn deadline(time: Option<Duration>) -> Option<Instant> {
    // One that is too far away for the clock is none.
    time.and_then(|time| Instant::now().checked_add(time))
}
