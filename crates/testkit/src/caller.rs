use crate::{PATIENCE, address};
use socket2::{Domain, SockAddr, Socket, Type};
use socketserver::Endpoint;
use std::io::{self, Read};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

/// A client that sends packets and knows nothing of the framework: a plain socket, connected, so that it hears nobody but
/// the server, and from no other address than the one that it asked. Every wait has a limit.
///
/// Over Unix datagram sockets it has a name that the kernel chose (autobind, `unix(7)`), so it can be answered. To
/// `seqpacket:` it connects, and a packet of no bytes is the end as well.
///
/// ```
/// use socketserver::{Datagram, Serial, Server};
/// use socketserver_testkit::Caller;
/// let server = Server::bind("udp://127.0.0.1:0")?.spawn(Serial::default(), |d: &mut Datagram| Ok(d.reply(b"yes")?))?;
/// let caller = Caller::of(&server.handle().endpoints()[0])?;
/// caller.send("are you there?");
/// caller.expect("yes");
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug)]
pub struct Caller {
    socket: Socket,
}

/// More than any packet of UDP has, and as much as one over a Unix socket has unless somebody raised the system's limits.
const ROOM: usize = 256 * 1024;

impl Caller {
    /// A socket that sends there.
    ///
    /// # Errors
    /// What `socket(2)`, `bind(2)` and `connect(2)` say.
    pub fn of(endpoint: &Endpoint) -> io::Result<Self> {
        let (domain, kind, server) = address::of_packets(endpoint)?;
        // No name at all: then the kernel gives one.
        let source = if matches!(endpoint, Endpoint::Unixgram { .. }) { Some(SockAddr::unix("")?) } else { None };
        Self::new(domain, kind, source, &server)
    }

    /// A socket at `source` that sends to the server's port at `asked`: a machine has all of 127.0.0.0/8 to itself, and a
    /// server that is bound to every address is there at each.
    ///
    /// # Errors
    /// As [`of`](Self::of); an endpoint that is not of UDP.
    pub fn at(endpoint: &Endpoint, asked: IpAddr, source: IpAddr) -> io::Result<Self> {
        let Endpoint::Udp { port, .. } = endpoint else {
            return Err(io::Error::other(format!("{endpoint} is not of UDP")));
        };
        let asked = SocketAddr::new(asked, *port);
        Self::new(Domain::for_address(asked), Type::DGRAM, Some(SocketAddr::new(source, 0).into()), &asked.into())
    }

    fn new(domain: Domain, kind: Type, source: Option<SockAddr>, server: &SockAddr) -> io::Result<Self> {
        let socket = Socket::new(domain, kind, None)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        if let Some(source) = source {
            socket.bind(&source)?;
        }
        socket.connect(server)?;
        Ok(Self { socket })
    }

    /// Sends a packet, which may be empty.
    ///
    /// # Panics
    /// When it does not go.
    #[track_caller]
    pub fn send(&self, packet: impl AsRef<[u8]>) {
        self.try_send(packet).expect("the server is there");
    }

    /// Sends a packet, perhaps to nobody.
    ///
    /// # Errors
    /// What `send(2)` says.
    pub fn try_send(&self, packet: impl AsRef<[u8]>) -> io::Result<()> {
        let packet = packet.as_ref();
        let sent = self.socket.send(packet)?;
        assert_eq!(sent, packet.len(), "packets go whole");
        Ok(())
    }

    /// The next packet that comes.
    ///
    /// # Errors
    /// What `recv(2)` says; `WouldBlock` when for [`PATIENCE`] none came.
    pub fn hear(&self) -> io::Result<Vec<u8>> {
        let mut packet = vec![0; ROOM];
        let count = (&self.socket).read(&mut packet)?;
        packet.truncate(count);
        Ok(packet)
    }

    /// The next packet that comes is this.
    ///
    /// # Panics
    /// When it is another one, or none comes.
    #[track_caller]
    pub fn expect(&self, packet: impl AsRef<[u8]>) {
        let (expected, got) = (packet.as_ref(), self.hear().expect("the server answers"));
        assert!(got == expected, "got {} bytes, {:?}", got.len(), String::from_utf8_lossy(&got[..got.len().min(200)]));
    }

    /// Sends a packet and gives the reply.
    ///
    /// # Panics
    /// When the packet does not go, or no reply comes.
    #[track_caller]
    pub fn ask(&self, packet: impl AsRef<[u8]>) -> Vec<u8> {
        self.send(packet);
        self.hear().expect("the server answers")
    }

    /// Says that nothing more comes, and still listens: over `seqpacket:` alone.
    ///
    /// # Panics
    /// When the server is gone.
    pub fn end(&self) {
        self.socket.shutdown(Shutdown::Write).expect("the connection is there");
    }

    /// Waits for the server to close.
    ///
    /// # Panics
    /// When something comes instead, or the connection is reset.
    #[track_caller]
    pub fn expect_end(&self) {
        self.expect("");
    }

    /// Our own address as the server sees it; `None` for Unix sockets.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }
}

impl AsFd for Caller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
