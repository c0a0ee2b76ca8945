//! What load to put on a server.

use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::SockAddr;
use socketserver_proto::Rate;
use socketserver_proto::framing::AnyFraming;

use crate::meter::Meter;
use crate::payload::{Form, Payload};
use crate::plan::{Plan, Replies};
use crate::poller::Poller;
use crate::progress::{Observer, Progress, Watch};
use crate::tls::{Tls, Trust};
use crate::websocket::Request;
use crate::{LoadError, Outcome, Target, connect, crowd, echo, packets, room};

/// A load to put on a server: build it, then [`run`](Self::run) it.
///
/// By default one connection with one message of 64 bytes in flight, for one second, without warm-up.
///
/// ```no_run
/// use std::time::Duration;
/// use socketserver_load::{ConnectClose, Load, Target};
///
/// let target = Target::Unix("/tmp/echo.sock".into());
/// let outcome = Load::new(target)
///     .connections(16)
///     .requests(10_000)
///     .connect_per_request(ConnectClose::Reset)
///     .run()?;
/// println!("{} connections served, {}", outcome.messages, outcome.errors);
/// # Ok::<(), socketserver_load::LoadError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Load {
    target: Target,
    message: Message,
    plan: Plan,
}

#[derive(Debug, Clone)]
struct Message {
    size: usize,
    fixed: Option<Vec<u8>>,
    form: Form,
}

/// How the client ends each connection when every request has its own.
///
/// ```
/// use socketserver_load::{ConnectClose, Load, Target};
///
/// let target = Target::Tcp("127.0.0.1:8080".parse().unwrap());
/// let load = Load::new(target).connect_per_request(ConnectClose::HalfClose);
/// # let _ = load;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectClose {
    /// By reset (`SO_LINGER` of zero, see `socket(7)`): no port is left waiting in TIME_WAIT, so that any
    /// number of connections can follow each other.
    Reset,
    /// In good order: shut down the sending side, read until the server closes too, close. The client
    /// closed first, so its port stays in TIME_WAIT for a minute: some 28,000 connections to one address, then
    /// the ports are used up and the rest is counted under [`Errors::other`](crate::Errors::other).
    HalfClose,
}

/// An edge of the measured window, told by [`Load::run_watched`].
///
/// ```no_run
/// use socketserver_load::{Load, Target, Window};
///
/// let target = Target::Tcp("127.0.0.1:8080".parse()?);
/// let outcome = Load::new(target).run_watched(|edge| match edge {
///     Window::Opened => println!("warm: read the server's clocks now"),
///     Window::Closed => println!("over: read them again"),
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// The warm-up is over; from here on everything counts.
    Opened,
    /// Counting is over; the connections are still open.
    Closed,
}

impl Load {
    /// A load on `target` with the defaults told above.
    #[must_use]
    pub fn new(target: impl Into<Target>) -> Self {
        Self {
            target: target.into(),
            message: Message { size: 64, fixed: None, form: Form::Bytes },
            plan: Plan::default(),
        }
    }

    /// Connections open at a time; default 1. They are all opened before anything is sent.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.plan.connections = connections;
        self
    }

    /// Messages in flight on each connection; default 1. Ignored with [`connect_per_request`](Self::connect_per_request).
    #[must_use]
    pub fn depth(mut self, depth: usize) -> Self {
        self.plan.depth = depth;
        self
    }

    /// Bytes of each message, its newline included and its length not; default 64. Each message differs from every other as far as its size allows.
    #[must_use]
    pub fn size(mut self, bytes: usize) -> Self {
        self.message.size = bytes;
        self
    }

    /// Sends these bytes each time instead of made-up ones. With equal messages a doubled one may go unseen.
    #[must_use]
    pub fn message(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.message.fixed = Some(bytes.into());
        self
    }

    /// Every message is a line: it ends in `\n` and has no other newline.
    #[must_use]
    pub fn lines(mut self) -> Self {
        self.message.form = Form::Line;
        self.plan.replies = Replies::Bytes;
        self
    }

    /// Every message is a frame: its length, 4 bytes in network byte order, then the message. The length is verified too.
    #[must_use]
    pub fn framed(mut self) -> Self {
        self.message.form = Form::Framed;
        self.plan.replies = Replies::Bytes;
        self
    }

    /// Every message is a frame of this framing, and a reply is one whose message is the same, however its frame may be written
    /// (as a line that ends in CRLF in place of LF). [`size`](Self::size) is of the message alone. With a
    /// [connection a request](Self::connect_per_request) the frame has to be the same too. Not for UDP, where a packet is a
    /// message, nor for a [room](Self::room).
    ///
    /// ```no_run
    /// use socketserver_load::{Load, Target};
    ///
    /// let target = Target::Tcp("127.0.0.1:8080".parse()?);
    /// let outcome = Load::new(target).framing("netstring".parse()?).size(100).run()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn framing(mut self, framing: AnyFraming) -> Self {
        self.plan.replies = Replies::Frames(framing);
        self
    }

    /// The messages go over WebSocket (RFC 6455), as binary ones, once the server has agreed to speak it at `path`; `host` is
    /// what it is told that it was asked as. Replies may be text or binary, in one frame or several; pings are answered.
    /// Connections stay, and there are no framings beside it, nor [lines](Self::lines) or [frames](Self::framed): the last said holds.
    ///
    /// ```no_run
    /// use socketserver_load::{Load, Target};
    ///
    /// let target = Target::Tcp("127.0.0.1:8081".parse()?);
    /// let outcome = Load::new(target).websocket("localhost:8081", "/echo").connections(100).run()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn websocket(mut self, host: impl Into<String>, path: impl Into<String>) -> Self {
        self.message.form = Form::Bytes;
        self.plan.replies = Replies::WebSocket(Request { host: host.into(), path: path.into() });
        self
    }

    /// Sends messages at this rate, whatever comes back: an open loop. The latency of each counts from when it was to leave, so
    /// that a server which stalls is not asked less for that, and what had to wait meanwhile shows in the latency ("coordinated
    /// omission" is what hides it). Default: each connection sends the next when a reply has come, a closed loop.
    ///
    /// The messages go to the connections in turn. No more than [`connections`](Self::connections) times [`depth`](Self::depth) are in
    /// flight; what is due beyond that is [held](crate::OpenLoop::held) until there is room, and its latency grows. Not for a
    /// [room](Self::room), many [peers](Self::peers) and [trains](Self::trains).
    #[must_use]
    pub fn rate(mut self, rate: Rate) -> Self {
        self.plan.rate = Some(rate);
        self
    }

    /// How long a reply may take from when its message left, and a connection until it is of use; default: without end but for
    /// the [stall](Self::stall) bound, which does not hold beside it, or, in an open loop, as long as that bound. It is
    /// looked at eight times in that time.
    ///
    /// Connections are opened one after the other: of those behind one that was not open in time each has to be open at once, until
    /// one is. So a server that nobody reaches costs this time once, and not once for each of them.
    ///
    /// A connection of which a message has no reply is given up: it counts as one [time-out](crate::Errors::timeout), and all that it
    /// had in flight as [lost](crate::Outcome::lost). Over UDP the packet is lost, and its socket goes on.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.plan.timeout = Some(limit);
        self
    }

    /// How long to measure, after the warm-up; default 1 s, or unbounded when [`requests`](Self::requests) is given.
    #[must_use]
    pub fn duration(mut self, duration: Duration) -> Self {
        self.plan.duration = Some(duration);
        self
    }

    /// Stop after this many messages in the measured window, and start no more than these; whichever of this and
    /// [`duration`](Self::duration) comes first. With a connection a request, failed ones count too.
    #[must_use]
    pub fn requests(mut self, requests: u64) -> Self {
        self.plan.requests = Some(requests);
        self
    }

    /// How long to run before anything is counted; default 0.
    #[must_use]
    pub fn warmup(mut self, warmup: Duration) -> Self {
        self.plan.warmup = warmup;
        self
    }

    /// Give up when nothing at all has come back for this long; default 10 s. Everything then waiting is a
    /// [timeout](crate::Errors::timeout).
    #[must_use]
    pub fn stall(mut self, limit: Duration) -> Self {
        self.plan.stall = limit;
        self
    }

    /// Make a connection for each message: connect, send one, read its echo, close as told, and again;
    /// [`connections`](Self::connections) of them in parallel.
    #[must_use]
    pub fn connect_per_request(mut self, close: ConnectClose) -> Self {
        self.plan.connect = Some(close);
        self
    }

    /// UDP packets leave in trains of so many, each sent at once and cut up by the system (`UDP_SEGMENT`, `udp(7)`), and are
    /// received in trains (`UDP_GRO`); default: each by itself. The next train leaves when there is room for all of it, so
    /// [`depth`](Self::depth) is at least as many. At most 64, and 65,507 bytes together.
    #[must_use]
    pub fn trains(mut self, packets: usize) -> Self {
        self.plan.trains = Some(packets);
        self
    }

    /// UDP packets come from so many peers in turn, 127.1.0.0, 127.1.0.1 and so on, so that the server takes each of them for
    /// somebody else; default: there is one, the [connection](Self::connections). It is one socket that forges their addresses
    /// (`IP_PKTINFO`, `ip(7)`) and is given the replies to all of them, for every address of 127.0.0.0/8 is this machine's. So
    /// the server's is to be one of those too, and [`depth`](Self::depth) is of all peers together. With as many
    /// [`requests`](Self::requests) each is heard once.
    ///
    /// A reply counts if it came to the peer that sent the message. A message that was not answered for 200 ms is sent again
    /// from the same peer: it counts once, and its latency begins when it was sent first. At most 16,646,144 peers; no trains
    /// and no [`sources`](Self::sources).
    ///
    /// ```
    /// use socketserver_load::{Load, Target};
    ///
    /// let server = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// let load = Load::new(Target::Udp(server.local_addr()?)).peers(3).depth(3).requests(3);
    /// # std::thread::spawn(move || {
    /// #     let mut buffer = [0; 100];
    /// #     while let Ok((received, from)) = server.recv_from(&mut buffer) {
    /// #         server.send_to(&buffer[..received], from).unwrap();
    /// #     }
    /// # });
    /// let outcome = load.run()?;
    /// assert_eq!((outcome.messages, outcome.opened), (3, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn peers(mut self, peers: usize) -> Self {
        self.plan.peers = Some(peers);
        self
    }

    /// The server is a room: what one says comes to all others. The [connections](Self::connections) are members that say
    /// nothing, and one more publishes: [`depth`](Self::depth) messages ahead of the slowest member. A message counts once
    /// for each member, as soon as that one has heard all of it, and so it does for [`requests`](Self::requests).
    ///
    /// The server greets each connection with a line, of whatever, once it is in the room; nothing is published before all
    /// were greeted. A connection that is lost, and a member that hears anything but what was published, in its order and
    /// without a gap, ends the run.
    ///
    /// ```no_run
    /// use socketserver_load::{Load, Target};
    ///
    /// let chat = Target::Tcp("127.0.0.1:8080".parse()?);
    /// let outcome = Load::new(chat).room().connections(1000).depth(16).size(100).lines().run()?;
    /// println!("{:.0} deliveries a second", outcome.rate());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn room(mut self) -> Self {
        self.plan.room = true;
        self
    }

    /// The connections are TLS 1.3, with `TLS_AES_128_GCM_SHA256` and X25519 (RFC 8446), each after a full handshake: no
    /// session goes on. It asks for `localhost`, and takes whatever certificate is shown without verifying its signature,
    /// which would cost the generator more than the handshake costs the server. Not for UDP, nor for a [room](Self::room).
    ///
    /// Connections that stay have shaken hands before anything is counted; with a connection a request the handshake is
    /// part of it. A server that speaks no TLS, or another, is counted under [`Errors::tls`](crate::Errors::tls).
    ///
    /// ```no_run
    /// use socketserver_load::{ConnectClose, Load, Target};
    ///
    /// let target = Target::Tcp("127.0.0.1:8443".parse()?);
    /// let outcome = Load::new(target).tls().connections(16).connect_per_request(ConnectClose::Reset).run()?;
    /// println!("{:.0} handshakes a second", outcome.rate());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.plan.tls = Some(Trust::Anybody);
        self
    }

    /// The connections are TLS as these settings say, and the server shows a certificate for that name; see
    /// [`tls`](Self::tls), which believes anybody. Each handshake is a full one: no session goes on.
    #[must_use]
    pub fn tls_with(mut self, config: Arc<ClientConfig>, name: ServerName<'static>) -> Self {
        self.plan.tls = Some(Trust::Given(config, name));
        self
    }

    /// Numbers the messages from here on; default 0. Loads that run on one server at a time want their numbers far
    /// apart, so that a reply meant for another load is a mismatch too. A message shows 48 bits of its number.
    #[must_use]
    pub fn numbered_from(mut self, first: u64) -> Self {
        self.plan.first = first;
        self
    }

    /// Binds the connections to these addresses of the client in turn; default: the kernel chooses.
    ///
    /// One address has as many connections to a server as there are ephemeral ports, see `ip_local_port_range` in
    /// `ip(7)`, and finding the last of them takes the kernel long. Every address of 127.0.0.0/8 is this machine's.
    #[must_use]
    pub fn sources(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let unspecific = |address| SockAddr::from(SocketAddr::new(address, 0));
        self.plan.sources = addresses.into_iter().map(unspecific).collect();
        self
    }

    /// Runs the load on the calling thread.
    ///
    /// # Errors
    ///
    /// When the load makes no sense or this machine refuses what the generator needs. What the server does
    /// wrong is counted in [`Outcome::errors`].
    pub fn run(&self) -> Result<Outcome, LoadError> {
        self.run_watched(|_| {})
    }

    /// The same, and tells `watch` when the measured window opens and closes, for reading other clocks just there.
    /// What `watch` takes is outside the window. Neither is told when the run ends before its warm-up is over.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_watched(&self, mut watch: impl FnMut(Window)) -> Result<Outcome, LoadError> {
        self.run_with(&mut watch)
    }

    /// The same, and tells `observe` about each so long how it comes along, from when connections are opened, and once more at
    /// the end. While one of them is on its way nothing is told. [`Break`](ControlFlow::Break) ends the load early, and the outcome
    /// is of what there was so far. It is called on the thread that makes the load: what it takes is missing there.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_observed(
        &self,
        every: Duration,
        observe: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Outcome, LoadError> {
        self.run_with(&mut Observer { every, observe })
    }

    fn run_with(&self, watch: &mut dyn Watch) -> Result<Outcome, LoadError> {
        let payload = self.payload()?;
        let plan = self.plan.resolve(&self.target, payload.len())?;
        let crowd = plan.peers.map(|peers| Ok((peers, crowd::check(&plan, peers, &self.target)?))).transpose()?;
        if plan.room {
            room::check(&plan, &self.target)?;
        }
        let address = self.target.address();
        let address: SockAddr = address.map_err(LoadError::system("use that address"))?;
        let poller = if plan.rate.is_some() { Poller::with_alarm() } else { Poller::new() };
        let poller = poller.map_err(LoadError::system("make an epoll instance"))?;
        let tls = plan.tls.as_ref().map(Tls::new).transpose();
        let tls = tls.map_err(|error| LoadError::system("speak TLS")(std::io::Error::other(error)))?;
        let meter = Meter::new(&plan, watch);
        if let Some((peers, server)) = crowd {
            return crowd::run(&plan, peers, &payload, server, poller, meter);
        }
        match plan.connect {
            _ if matches!(self.target, Target::Udp(_)) => packets::run(&plan, &payload, &address, poller, meter),
            None if plan.room => room::run(&plan, &payload, &address, poller, meter),
            None => echo::run(&plan, &payload, &address, tls.as_ref(), poller, meter),
            Some(close) => connect::run(&plan, close, &payload, &address, tls.as_ref(), poller, meter),
        }
    }

    fn payload(&self) -> Result<Payload, LoadError> {
        let Message { size, fixed, form } = &self.message;
        let size = fixed.as_ref().map_or(*size, Vec::len);
        if size == 0 {
            return Err(LoadError::invalid("a message needs at least one byte"));
        }
        if let Replies::Frames(framing) = &self.plan.replies {
            return Payload::in_frames(fixed.as_deref(), size, framing);
        }
        if *form == Form::Framed && u32::try_from(size).is_err() {
            return Err(LoadError::invalid("a length of 4 bytes tells of 4 GiB at most"));
        }
        let Some(bytes) = fixed else {
            return Ok(Payload::distinct(size, *form));
        };
        if *form == Form::Line && bytes.iter().position(|&byte| byte == b'\n') != Some(bytes.len() - 1) {
            return Err(LoadError::invalid("a line ends in a newline and has no other"));
        }
        Ok(Payload::fixed(bytes, *form))
    }
}
