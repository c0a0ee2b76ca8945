use super::adopt::adopt;
use super::listener::Listener;
use super::places::{Endpoints, Place, Where};
use super::prepare::{bound, prepare, prepare_udp, unixgram};
use super::resolve::{abstract_name, resolve};
use super::tuning::Tuning;
use super::unix_file::SocketFile;
use crate::datagram::DatagramSocket;
use crate::{Error, ErrorKind, Server};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use socketserver_proto::{Endpoint, Host, UnixName};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

type BindHook = Arc<Mutex<dyn FnMut(&Endpoint, BorrowedFd<'_>) -> io::Result<()> + Send>>;

/// How sockets are made and bound. [`Server::bind`] uses the defaults.
///
/// | option | default |
/// |---|---|
/// | [`reuse_address`](Self::reuse_address) (`SO_REUSEADDR`) | on: a restart need not wait for old connections to time out; never for UDP, where it would let another program take the port as well |
/// | [`reuse_port`](Self::reuse_port) (`SO_REUSEPORT`) | off: two servers on one port are a mistake more often than a wish |
/// | [`backlog`](Self::backlog) | the system's maximum, `/proc/sys/net/core/somaxconn` |
/// | [`receive_buffer`](Self::receive_buffer) (`SO_RCVBUF`), [`send_buffer`](Self::send_buffer) (`SO_SNDBUF`) | the system's: of TCP they grow with the traffic, `tcp(7)`; of UDP see `/proc/sys/net/core/rmem_default`, `wmem_default` |
/// | [`broadcast`](Self::broadcast) (`SO_BROADCAST`) | off |
/// | [`dont_fragment`](Self::dont_fragment) (`IP_MTU_DISCOVER`, `IPV6_MTU_DISCOVER`) | off: what is too large for the way is sent in fragments |
///
/// Any other option can be set in [`on_bind`](Self::on_bind), which comes after these. Sockets that were made elsewhere keep
/// what they have.
///
/// Without delay (`TCP_NODELAY`) is always on. An IPv6 address takes IPv6 alone, `*` takes both families.
///
/// ```
/// use socketserver::ListenOptions;
/// let server = ListenOptions::new()
///     .backlog(64)
///     .on_bind(|endpoint, socket| {
///         println!("about to bind {endpoint}: {socket:?}");
///         Ok(())
///     })
///     .bind("tcp://127.0.0.1:0")?;
/// assert_eq!(server.endpoints().len(), 1);
/// # Ok::<_, socketserver::Error>(())
/// ```
pub struct ListenOptions {
    reuse_address: bool,
    reuse_port: bool,
    backlog: i32,
    tuning: Tuning,
    on_bind: Option<BindHook>,
}

impl ListenOptions {
    /// The defaults above.
    #[must_use]
    pub fn new() -> Self {
        let tuning = Tuning::default();
        Self { reuse_address: true, reuse_port: false, backlog: i32::MAX, tuning, on_bind: None }
    }

    /// `SO_REUSEADDR`, `socket(7)`.
    #[must_use]
    pub fn reuse_address(mut self, on: bool) -> Self {
        self.reuse_address = on;
        self
    }

    /// `SO_REUSEPORT`, `socket(7)`: several servers of one user share a port, and the kernel spreads connections.
    #[must_use]
    pub fn reuse_port(mut self, on: bool) -> Self {
        self.reuse_port = on;
        self
    }

    /// How many established connections wait to be accepted, `listen(2)`. The system caps it.
    #[must_use]
    pub fn backlog(mut self, connections: u16) -> Self {
        self.backlog = connections.into();
        self
    }

    /// `SO_RCVBUF`, `socket(7)`: how much may wait in a socket to be received, in bytes. The system makes twice as much of
    /// it, for what it notes beside each packet, and no more than twice `/proc/sys/net/core/rmem_max`, without saying so:
    /// raise that first.
    ///
    /// Over UDP what comes while it is full is lost ([`Totals::overflowed`](crate::Totals::overflowed)): it says how large a
    /// burst may be. Connections over TCP inherit it, and their buffers do not grow with the traffic any more. On Unix sockets
    /// it has no effect.
    #[must_use]
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.tuning.receive_buffer = Some(bytes);
        self
    }

    /// `SO_SNDBUF`, `socket(7)`: how much may wait in a socket to be sent, in bytes. The system makes twice as much of it, and
    /// no more than twice `/proc/sys/net/core/wmem_max`, without saying so.
    ///
    /// Connections over TCP inherit it, as [`receive_buffer`](Self::receive_buffer) says; those over Unix sockets do not. A
    /// Unix datagram socket sends no packet that is larger.
    #[must_use]
    pub fn send_buffer(mut self, bytes: usize) -> Self {
        self.tuning.send_buffer = Some(bytes);
        self
    }

    /// `SO_BROADCAST`, `socket(7)`: UDP sockets may send to broadcast addresses. Without it that fails
    /// (`PermissionDenied`, as [`Observer::unsent`](crate::Observer::unsent) tells). To receive what is broadcast a socket
    /// has to be bound to every address, and needs no option.
    ///
    /// Binding fails with [`ErrorKind::Unsupported`] when no UDP socket is bound.
    #[must_use]
    pub fn broadcast(mut self, on: bool) -> Self {
        self.tuning.broadcast = on;
        self
    }

    /// `IP_MTU_DISCOVER`, `ip(7)`; `IPV6_MTU_DISCOVER`, `ipv6(7)`: UDP packets are sent whole or not at all. One that is larger
    /// than the way to its peer is known to take fails with `EMSGSIZE`, as [`Observer::unsent`](crate::Observer::unsent)
    /// tells; one that turns out to be larger on the way comes back as [`Observer::undelivered`](crate::Observer::undelivered),
    /// with the size that gets through, which the system minds from then on.
    ///
    /// For protocols that choose the size of their packets themselves (RFC 8899), and those that must not depend on
    /// fragments, of which one that is lost loses all (RFC 8900). Binding fails with [`ErrorKind::Unsupported`] when no UDP
    /// socket is bound.
    #[must_use]
    pub fn dont_fragment(mut self, on: bool) -> Self {
        self.tuning.dont_fragment = on;
        self
    }

    /// A look at each socket before it is bound, for options of your own. An error ends the bind. Sockets that were
    /// bound elsewhere do not come by. A UDP port that several shards of the async engine serve has a socket for each of
    /// them: they come by when the server begins to serve.
    ///
    /// ```
    /// use socketserver::{Endpoint, ListenOptions};
    /// // Packets of this service go before others, on this machine and on the way (`ip(7)`).
    /// let server = ListenOptions::new()
    ///     .on_bind(|endpoint, socket| match endpoint {
    ///         Endpoint::Udp { .. } => Ok(rustix::net::sockopt::set_ip_tos(socket, 0x10)?),
    ///         _ => Ok(()),
    ///     })
    ///     .bind(["udp://127.0.0.1:0", "tcp://127.0.0.1:0"])?;
    /// # Ok::<_, socketserver::Error>(())
    /// ```
    #[must_use]
    pub fn on_bind(mut self, hook: impl FnMut(&Endpoint, BorrowedFd<'_>) -> io::Result<()> + Send + 'static) -> Self {
        self.on_bind = Some(Arc::new(Mutex::new(hook)));
        self
    }

    /// Binds and listens, and gives the server.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn bind(self, endpoints: impl Endpoints) -> Result<Server, Error> {
        Server::from_listeners(self.listeners(endpoints)?)
    }

    /// All or none: an error closes what was bound before it, and unlinks its files.
    fn listeners(mut self, endpoints: impl Endpoints) -> Result<Vec<Listener>, Error> {
        let places = endpoints.places()?;
        self.tuning.suits(places.iter().filter_map(|place| match &place.0 {
            Place::Endpoint(endpoint) => Some(endpoint),
            Place::Listener(_) => None,
        }))?;
        places.into_iter().map(|place| self.listen(place)).collect()
    }

    fn listen(&mut self, place: Where) -> Result<Listener, Error> {
        match place.0 {
            Place::Endpoint(endpoint) => match &endpoint {
                over_tcp if over_tcp.tcp().is_some() => self.listen_over_tcp(&endpoint),
                Endpoint::Unix { name, mode } => self.listen_unix(&endpoint, Type::STREAM, name, *mode),
                Endpoint::Seqpacket { name, mode } => self.listen_unix(&endpoint, Type::SEQPACKET, name, *mode),
                Endpoint::Udp { host: Host::Any, port } => self.everywhere(&endpoint, *port, Self::bind_udp),
                Endpoint::Udp { host, port } => {
                    let addr = resolve(host, *port).map_err(|e| Error::io(format!("`{endpoint}`"), e))?;
                    self.bind_udp(&endpoint, addr, addr.is_ipv6())
                        .map_err(|e| Error::io(format!("cannot bind `{endpoint}`"), e))
                }
                Endpoint::Unixgram { name, mode } => self.bind_unixgram(&endpoint, name, *mode),
                Endpoint::Fd(number) => {
                    let number = i32::try_from(*number).unwrap_or(-1);
                    let fd = socketserver_sys::inherit(number).map_err(|e| {
                        Error::io(format!("`{endpoint}`: this process was started with no such descriptor"), e)
                    })?;
                    adopt(fd, &format!("`{endpoint}`"))
                }
                other => Err(Error::new(ErrorKind::Unsupported, format!("`{other}` cannot be listened on"))),
            },
            Place::Listener(fd) => adopt(fd, "the socket handed in"),
        }
    }

    /// What stands on TCP, as far as this program can speak it.
    fn listen_over_tcp(&mut self, endpoint: &Endpoint) -> Result<Listener, Error> {
        let lacks = [
            (endpoint.path().is_some() && !cfg!(feature = "websocket"), "websocket"),
            (endpoint.is_tls() && !cfg!(feature = "tls"), "tls"),
        ];
        if let Some((_, feature)) = lacks.iter().find(|(lacks, _)| *lacks) {
            let words =
                format!("needs the feature `{feature}` of `socketserver`, which this program was built without");
            return Err(Error::new(ErrorKind::Unsupported, format!("`{endpoint}` {words}")));
        }
        match endpoint.tcp() {
            Some((Host::Any, port)) => self.everywhere(endpoint, port, Self::listen_tcp),
            Some((host, port)) => {
                let addr = resolve(host, port).map_err(|e| Error::io(format!("`{endpoint}`"), e))?;
                self.listen_tcp(endpoint, addr, addr.is_ipv6())
                    .map_err(|e| Error::io(format!("cannot listen on `{endpoint}`"), e))
            }
            None => Err(Error::new(ErrorKind::Unsupported, format!("`{endpoint}` cannot be listened on"))),
        }
    }

    /// IPv6 and IPv4 on one socket; IPv4 alone where the system has no IPv6.
    fn everywhere(
        &mut self,
        endpoint: &Endpoint,
        port: u16,
        bind: fn(&mut Self, &Endpoint, SocketAddr, bool) -> io::Result<Listener>,
    ) -> Result<Listener, Error> {
        let v6 = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
        let listener = match bind(self, endpoint, v6, false) {
            // There is no IPv6 here.
            Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)) => {
                bind(self, endpoint, SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), false)
            }
            result => result,
        };
        let mut listener = listener.map_err(|e| Error::io(format!("cannot listen on `{endpoint}`"), e))?;
        if let Some(port) = listener.endpoint.port() {
            listener.endpoint = listener.endpoint.at(Host::Any, port);
        }
        Ok(listener)
    }

    fn bind_udp(&mut self, endpoint: &Endpoint, addr: SocketAddr, only_v6: bool) -> io::Result<Listener> {
        let (hook, tuning) = (self.on_bind.clone(), self.tuning);
        let endpoint = endpoint.clone();
        let make = move |addr: SocketAddr, reuse_port: bool| {
            let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, None)?;
            if addr.is_ipv6() {
                socket.set_only_v6(only_v6)?;
            }
            // Not the address: then another program could bind the port as well, and take the packets.
            socket.set_reuse_port(reuse_port)?;
            tuning.set_udp(&socket, addr.is_ipv6())?;
            look(hook.as_ref(), &endpoint, &socket)?;
            socket.bind(&addr.into())?;
            let addr = bound(&socket)?.1;
            prepare_udp(&socket, addr)?;
            Ok((socket.into(), addr))
        };
        let socket = DatagramSocket::bind(addr, self.reuse_port, make)?;
        let (host, addr) = bound(&socket.as_fd().try_clone_to_owned()?.into())?;
        Ok(Listener::datagram(Endpoint::Udp { host, port: addr.port() }, socket, None))
    }

    fn bind_unixgram(&mut self, endpoint: &Endpoint, name: &UnixName, mode: Option<u32>) -> Result<Listener, Error> {
        let failed = |e: io::Error| Error::io(format!("cannot bind `{endpoint}`"), e);
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None).map_err(failed)?;
        self.tuning.set(&socket).and_then(|()| self.look(endpoint, &socket)).map_err(failed)?;
        let file = match name {
            UnixName::Path(path) => Some(SocketFile::bind(&socket, path, mode, || Ok(()))?),
            UnixName::Abstract(name) => {
                socket.bind(&abstract_name(name).map_err(failed)?).map_err(failed)?;
                None
            }
            other => return Err(Error::new(ErrorKind::Unsupported, format!("cannot bind {other:?}"))),
        };
        unixgram(socket, endpoint.clone(), file).map_err(failed)
    }

    fn listen_tcp(&mut self, endpoint: &Endpoint, addr: SocketAddr, only_v6: bool) -> io::Result<Listener> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
        if addr.is_ipv6() {
            socket.set_only_v6(only_v6)?;
        }
        socket.set_reuse_address(self.reuse_address)?;
        socket.set_reuse_port(self.reuse_port)?;
        self.tuning.set(&socket)?;
        self.look(endpoint, &socket)?;
        socket.bind(&addr.into())?;
        socket.listen(self.backlog)?;
        let (host, addr) = bound(&socket)?;
        let bound = endpoint.at(host, addr.port());
        prepare(&socket, &bound)?;
        Ok(Listener::socket(bound, socket.into(), None))
    }

    fn listen_unix(
        &mut self,
        endpoint: &Endpoint,
        kind: Type,
        name: &UnixName,
        mode: Option<u32>,
    ) -> Result<Listener, Error> {
        let failed = |e: io::Error| Error::io(format!("cannot listen on `{endpoint}`"), e);
        let socket = Socket::new(Domain::UNIX, kind, None).map_err(failed)?;
        self.tuning.set(&socket).and_then(|()| self.look(endpoint, &socket)).map_err(failed)?;
        let file = match name {
            UnixName::Path(path) => Some(SocketFile::bind(&socket, path, mode, || socket.listen(self.backlog))?),
            UnixName::Abstract(name) => {
                socket.bind(&abstract_name(name).map_err(failed)?).map_err(failed)?;
                socket.listen(self.backlog).map_err(failed)?;
                None
            }
            other => return Err(Error::new(ErrorKind::Unsupported, format!("cannot listen on {other:?}"))),
        };
        prepare(&socket, endpoint).map_err(failed)?;
        Ok(Listener::socket(endpoint.clone(), socket.into(), file))
    }

    fn look(&self, endpoint: &Endpoint, socket: &Socket) -> io::Result<()> {
        look(self.on_bind.as_ref(), endpoint, socket)
    }
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ListenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenOptions")
            .field("reuse_address", &self.reuse_address)
            .field("reuse_port", &self.reuse_port)
            .field("backlog", &self.backlog)
            .field("tuning", &self.tuning)
            .finish_non_exhaustive()
    }
}

fn look(hook: Option<&BindHook>, endpoint: &Endpoint, socket: &Socket) -> io::Result<()> {
    let Some(hook) = hook else { return Ok(()) };
    // One that panicked panics again, or not, as it likes.
    let mut hook = hook.lock().unwrap_or_else(PoisonError::into_inner);
    hook(endpoint, socket.as_fd())
}
