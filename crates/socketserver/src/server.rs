#[cfg(feature = "tls")]
mod tls;

use crate::admission::{Next, OverLimit, ProxySource};
use crate::endpoint::{Accept, Endpoints, ListenOptions, Listener, Listeners};
#[cfg(feature = "tokio")]
use crate::engine::Async;
use crate::engine::Blocking;
use crate::events::Observer;
use crate::handler::{RunsOn, Service};
use crate::lifecycle::{Duties, Handle, Report, Run, Settings, Shared, Signal};
use crate::model::{Model, Serial, Work};
use crate::suits::{self, AnyEngine, Suits};
use crate::{Error, ErrorKind, Result, Running};
use socketserver_proto::{Cidr, Endpoint, Rate};
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where sockets are bound and deadlines are set; then told to serve.
///
/// ```
/// use socketserver::{Server, Threads, blocking};
/// use std::time::Duration;
///
/// let mut server = Server::bind(["tcp://127.0.0.1:0", "unix:@doc-example"])?
///     .idle(Duration::from_secs(30))
///     .drain_deadline(Duration::from_secs(5))
///     .stop_on_signals()?;
/// # server.handle().shutdown();
/// let report = server.serve(Threads::default(), |c: &mut blocking::Stream| {
///     c.write_all(b"hello\n")?;
///     Ok(())
/// })?;
/// println!("{} connections, {} cut", report.served, report.cut.len());
/// # Ok::<_, socketserver::Error>(())
/// ```
///
/// The parameter says which engine's sources of connections it was given; sockets suit every engine. Nobody writes it.
pub struct Server<E = AnyEngine> {
    shared: Arc<Shared>,
    listeners: Arc<Listeners>,
    settings: Settings,
    duties: Arc<Mutex<Duties>>,
    engine: PhantomData<fn() -> E>,
}

/// What [`Server::serve_one`] came to.
///
/// ```
/// use socketserver::{Served, Server, blocking, client};
/// use std::time::Duration;
///
/// let hello = |c: &mut blocking::Stream| Ok(c.write_all(b"hello")?);
/// let mut server = Server::bind("tcp://127.0.0.1:0")?;
/// assert_eq!(server.serve_one(hello, Duration::ZERO)?, Served::TimedOut);
/// let c = client::connect(&server.endpoints()[0])?;
/// # drop(c);
/// assert_eq!(server.serve_one(hello, Duration::from_secs(10))?, Served::One);
/// server.handle().shutdown();
/// assert_eq!(server.serve_one(hello, Duration::from_secs(10))?, Served::Stopped);
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Served {
    /// One connection was served to its end.
    One,
    /// Nobody came in time.
    TimedOut,
    /// The server was asked to stop.
    Stopped,
}

impl Server {
    /// Binds one or many places with the default [`ListenOptions`], and listens there from now on.
    ///
    /// | address | where |
    /// |---|---|
    /// | `tcp://host:port`, `host:port` | TCP; of a name's addresses the first IPv4 one |
    /// | `:port`, `*:port` | 127.0.0.1; every address, IPv6 and IPv4 |
    /// | `unix:/path?mode=600`, `unix:@name` | a Unix socket with that mode (600 is the default); an abstract one |
    /// | `udp://host:port`, `udp://*:port` | UDP, with the same hosts; packets come to it, for a [`DatagramHandler`](crate::DatagramHandler) |
    /// | `unixgram:/path?mode=600`, `unixgram:@name` | a Unix datagram socket, as `unix:` |
    /// | `seqpacket:/path?mode=600`, `seqpacket:@name` | a Unix socket whose connections keep messages apart (`SOCK_SEQPACKET`), as `unix:`; for a [`MessageHandler`](crate::MessageHandler) |
    /// | `ws://host:port/path`, `ws://*:port/path` | WebSocket over TCP, for a [`MessageHandler`](crate::MessageHandler); the feature `websocket` has it |
    /// | `fd:3` | a socket that this process was started with: one that listens, or a bound one for packets |
    ///
    /// Port 0 picks a free one: [`endpoints`](Self::endpoints) tells which.
    ///
    /// # Errors
    /// An address that is not understood or not to be had; then none is bound. A Unix path is refused while somebody
    /// listens there or when it is not a socket; a dead socket is replaced.
    pub fn bind(endpoints: impl Endpoints) -> Result<Self, Error> {
        ListenOptions::new().bind(endpoints)
    }

    pub(crate) fn from_listeners(listeners: Vec<Listener>) -> Result<Self, Error> {
        let failed = |error| Error::io("cannot set up the server", error);
        let endpoints = listeners.iter().map(|listener| listener.endpoint.clone()).collect();
        let shared = Shared::new(endpoints).map_err(failed)?;
        let listeners = Listeners::new(listeners, &shared.control.stop).map_err(failed)?;
        Ok(Self {
            shared: Arc::new(shared),
            listeners: Arc::new(listeners),
            settings: Settings::default(),
            duties: Arc::default(),
            engine: PhantomData,
        })
    }

    /// Serves the connections of a source of your own, beside its endpoints.
    ///
    /// # Errors
    /// When the source's descriptor cannot be waited for; [`ErrorKind::Unsupported`] once a handle has been made.
    pub fn accept_from_blocking(self, source: impl Accept + 'static) -> Result<Server<Blocking>, Error> {
        let failed = |error| Error::io("cannot wait for the source", error);
        let endpoint = Endpoint::Fd(u32::try_from(std::os::fd::AsRawFd::as_raw_fd(&source.as_fd())).unwrap_or(0));
        self.with_source(Listener::own(endpoint, Box::new(source)).map_err(failed)?)
    }

    /// Serves the async connections of a source of your own, beside its endpoints.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] once a handle has been made.
    #[cfg(feature = "tokio")]
    pub fn accept_from(self, source: impl crate::Accept + 'static) -> Result<Server<Async>, Error> {
        self.with_source(Listener::task(Box::new(source)))
    }

    fn with_source<E>(mut self, listener: Listener) -> Result<Server<E>, Error> {
        let late = || Error::new(ErrorKind::Unsupported, "a source must be added before the first handle is made");
        let failed = |error| Error::io("cannot wait for the source", error);
        let endpoint = listener.endpoint.clone();
        Arc::get_mut(&mut self.listeners).ok_or_else(late)?.push(listener).map_err(failed)?;
        Arc::get_mut(&mut self.shared).ok_or_else(late)?.endpoints.push(endpoint);
        Ok(Server {
            shared: self.shared,
            listeners: self.listeners,
            settings: self.settings,
            duties: self.duties,
            engine: PhantomData,
        })
    }
}

impl<E> Server<E> {
    /// How long a handler may wait for its peer; 60 s unless said otherwise. `None` is for ever, zero ends each wait
    /// within milliseconds.
    ///
    /// It is looked after in steps of an eighth, so a wait ends up to that much later.
    #[must_use]
    pub fn idle(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.settings.deadlines.idle = time.into();
        self
    }

    /// How long after accept a handler may still wait for its peer's first byte; off unless said otherwise. Where the header
    /// of a proxy or TLS comes before the handler, it counts from the end of that. Looked after as [`idle`](Self::idle)
    /// is, zero too.
    #[must_use]
    pub fn first_byte(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.settings.deadlines.first_byte = time.into();
        self
    }

    /// How long after accept it may take to agree with the peer how to speak, before the handler: the TLS handshake; 5 s
    /// unless said otherwise. `None` is for ever. Whoever takes longer is gone, as
    /// [`Reason::Handshake`](crate::Reason::Handshake) tells.
    #[must_use]
    pub fn handshake(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.settings.handshake = time.into();
        self
    }

    /// Connections come through proxies, which say by the PROXY protocol for whom: those of these sources have to, and nobody
    /// else may connect. By no source at all, as it is unless said otherwise, everybody speaks for himself.
    ///
    /// A connection of anybody else is closed at accept, unread ([`Refusal::Untrusted`](crate::Refusal::Untrusted)). For the
    /// header there is the time of [`handshake`](Self::handshake), together with TLS, which begins behind it; until it is there
    /// the connection counts towards [`max_connections`](Self::max_connections) alone (and to what its model can do at a
    /// time). A wrong one, or none in time, ends the
    /// connection ([`Refusal::BadHeader`](crate::Refusal::BadHeader)). Then [`Peer`](crate::Peer) is who is behind the proxy,
    /// for handlers, events, `verify`, [`allow`](Self::allow), [`deny`](Self::deny) and the limits a peer. A proxy that speaks for
    /// itself (`LOCAL`), or does not know for whom (`UNKNOWN`), is its own peer. Both versions are understood, with what else
    /// version 2 tells: see [`Proxied`](crate::Proxied). Packets are not concerned.
    ///
    /// ```
    /// use socketserver::proxy::Header;
    /// use socketserver::{ProxySource, Server, Threads, blocking, client};
    ///
    /// let server = Server::bind("tcp://127.0.0.1:0")?.proxy_protocol(["127.0.0.0/8".parse::<ProxySource>()?]);
    /// let server = server.spawn(Threads::default(), |c: &mut blocking::Stream| {
    ///     Ok(c.write_all(format!("hello, {}", c.peer()).as_bytes())?)
    /// })?;
    /// let header = Header::proxied("192.0.2.7:56324".parse()?, "192.0.2.1:443".parse()?)?;
    /// let proxy = client::Connector::new().proxy_header(header);
    /// let mut c = proxy.connect(&server.handle().endpoints()[0])?;
    /// assert_eq!(c.read_to_end(100)?, b"hello, 192.0.2.7:56324");
    /// # server.stop()?;
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    #[must_use]
    pub fn proxy_protocol(mut self, sources: impl IntoIterator<Item = impl Into<ProxySource>>) -> Self {
        self.settings.proxies = sources.into_iter().map(Into::into).collect();
        self
    }

    /// How long a connection may be open; off unless said otherwise. Looked after as [`idle`](Self::idle) is. Then it is
    /// cut, whatever it does. Zero cuts each within milliseconds.
    #[must_use]
    pub fn lifetime(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.settings.deadlines.lifetime = time.into();
        self
    }

    /// How many bytes a second a peer must send once a line, a frame or an exact read has begun; off unless said
    /// otherwise, and at zero. The input of one that sends fewer, over 5 s in which the handler waits for it, is over
    /// (`TimedOut`): it holds up a place with next to nothing (slowloris).
    #[must_use]
    pub fn min_rate(mut self, bytes_per_second: impl Into<Option<u64>>) -> Self {
        self.settings.deadlines.min_rate = bytes_per_second.into().and_then(std::num::NonZero::new);
        self
    }

    /// How many connections may be open at a time, over all endpoints, shards, threads and children; 10,000 unless said
    /// otherwise. `None` is any number, zero lets nobody in. What happens to the next one says
    /// [`over_limit`](Self::over_limit).
    #[must_use]
    pub fn max_connections(self, max: impl Into<Option<u64>>) -> Self {
        self.handle().set_max_connections(max);
        self
    }

    /// How many connections one peer may have open at a time; off unless said otherwise. A peer is an IPv4 address or an
    /// IPv6 network ([`peer_prefix`](Self::peer_prefix)); loopback is no exception. Those over Unix sockets are not counted.
    /// Zero turns away everybody who has an address.
    #[must_use]
    pub fn max_per_peer(self, max: impl Into<Option<usize>>) -> Self {
        self.handle().set_max_per_peer(max);
        self
    }

    /// How many bits of an IPv6 address say who it is; 64 unless said otherwise, which is what one subscriber commonly has
    /// (RFC 6177).
    ///
    /// ```
    /// use socketserver::Server;
    /// // Whoever has a network of 48 bits is one peer, with however many subnets.
    /// let server = Server::bind("tcp://127.0.0.1:0")?.max_per_peer(100).peer_prefix(48);
    /// # Ok::<_, socketserver::Error>(())
    /// ```
    #[must_use]
    pub fn peer_prefix(self, bits: u8) -> Self {
        self.handle().set_peer_prefix(bits);
        self
    }

    /// How many connections are accepted in a time; off unless said otherwise. Those that are then turned away count.
    /// As many as the rate allows in a second, at least one, may come at once; who comes faster waits in the backlog.
    ///
    /// ```
    /// use socketserver::Server;
    /// let server = Server::bind("tcp://127.0.0.1:0")?.accept_rate("100/s".parse::<socketserver::Rate>()?);
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    #[must_use]
    pub fn accept_rate(self, rate: impl Into<Option<Rate>>) -> Self {
        self.handle().set_accept_rate(rate);
        self
    }

    /// How many packets one peer may send in a time, over UDP; off unless said otherwise. A peer is an IPv4 address or an
    /// IPv6 network ([`peer_prefix`](Self::peer_prefix)), whatever its ports; loopback is no exception. As many as the rate
    /// allows in a second, at least one, may come at once. Those that come faster are dropped before the handler sees them,
    /// and counted ([`Totals::over_rate`](crate::Totals::over_rate)).
    ///
    /// It is exact over all endpoints, shards, threads and children, for 65,536 peers at a time. If there are more, those that
    /// are furthest below their rate are forgotten, which loses nothing; somebody with that many addresses gets past it, but
    /// makes it no stricter for anybody.
    ///
    /// It keeps two servers that answer one another from doing so without bound: what one sends too fast the other drops.
    ///
    /// ```
    /// use socketserver::Server;
    /// let server = Server::bind("udp://127.0.0.1:0")?.packet_rate("1000/s".parse::<socketserver::Rate>()?);
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    #[must_use]
    pub fn packet_rate(self, rate: impl Into<Option<Rate>>) -> Self {
        self.handle().set_packet_rate(rate);
        self
    }

    /// How many times the bytes of a peer's first packet may be sent to it, over UDP, before a second packet comes: 3 on
    /// sockets that are bound beyond the loopback, any number on the loopback, unless said otherwise. `None` is any number
    /// everywhere, zero answers no first packet. A reply that would go over it fails with `PermissionDenied` and is counted
    /// ([`Totals::withheld`](crate::Totals::withheld)).
    ///
    /// Anybody can write anybody's address into a packet and have the answer sent there: if that is larger, the server
    /// multiplies the attack. A peer is an address and a port, as in RFC 9000, section 8.1, and is known once a second packet
    /// came from it; after 5 minutes without any it begins anew. Packets that are sent to somebody else
    /// ([`Datagram::send_to`](crate::Datagram::send_to)) are held to what that one has sent, if it has; to whom a handler
    /// writes first is its own affair. 65,536 peers are known at a time, and those that were heard from once give way
    /// first.
    ///
    /// It makes a server a poor amplifier, and no proof of who asks: whoever forges two packets gets past it. A
    /// protocol with large answers has to see to that itself, with something that only the true owner of the address can
    /// send back (a token, RFC 9000, section 8.1; a cookie, RFC 7873). [`packet_rate`](Self::packet_rate) bounds the rest.
    ///
    /// ```
    /// use socketserver::{Datagram, Serial, Server};
    /// let server = Server::bind("udp://127.0.0.1:0")?
    ///     .max_amplification(3)
    ///     .spawn(Serial::default(), |d: &mut Datagram| {
    ///         // Too much for a stranger; then not even an error leaves.
    ///         Ok(d.reply(&[b'x'; 1000])?)
    ///     })?;
    /// let socketserver::Endpoint::Udp { port, .. } = server.handle().endpoints()[0] else { unreachable!() };
    /// let client = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// client.send_to(b"who's there?", ("127.0.0.1", port))?;
    /// client.send_to(b"still here", ("127.0.0.1", port))?;
    /// assert_eq!(client.recv(&mut [0; 2000])?, 1000);
    /// assert_eq!(server.stop()?.totals.withheld, 1);
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    #[must_use]
    pub fn max_amplification(self, factor: impl Into<Option<u32>>) -> Self {
        self.handle().set_max_amplification(factor);
        self
    }

    /// Only peers in these blocks may come in. Without any, everybody may. Peers without an address are not spoken of.
    ///
    /// ```
    /// use socketserver::Server;
    /// let server = Server::bind("tcp://127.0.0.1:0")?
    ///     .allow(["10.0.0.0/8".parse()?, "::1".parse()?])
    ///     .deny(["10.0.13.0/24".parse()?]);
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    #[must_use]
    pub fn allow(self, blocks: impl IntoIterator<Item = Cidr>) -> Self {
        self.handle().set_allow(blocks);
        self
    }

    /// Peers in these blocks may not come in, even if they are allowed to.
    #[must_use]
    pub fn deny(self, blocks: impl IntoIterator<Item = Cidr>) -> Self {
        self.handle().set_deny(blocks);
        self
    }

    /// What becomes of a peer that comes when the server is full; it waits unless said otherwise.
    #[must_use]
    pub fn over_limit(self, policy: OverLimit) -> Self {
        self.handle().set_over_limit(policy);
        self
    }

    /// Calls `duty` when `above` connections are open, and again only after there were no more than `below` of them in
    /// between: so a number that wavers about a limit does not call it each time. `below` is less than `above`.
    ///
    /// It runs where [`every`](Self::every) does. Exempted connections do not count.
    ///
    /// ```
    /// use socketserver::{Server, Threads, blocking, client};
    ///
    /// let (tell, told) = std::sync::mpsc::channel();
    /// let server = Server::bind("tcp://127.0.0.1:0")?
    ///     .alarm(2, 1, move |handle| Ok(tell.send(handle.open())?))
    ///     .spawn(Threads::default(), |c: &mut blocking::Stream| {
    ///         c.read_line(100)?;
    ///         Ok(())
    ///     })?;
    /// let at = &server.handle().endpoints()[0];
    /// let crowd = [client::connect(at)?, client::connect(at)?];
    /// assert_eq!(told.recv()?, 2);
    /// # drop(crowd);
    /// # server.stop()?;
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    #[must_use]
    pub fn alarm(self, above: u64, below: u64, duty: impl FnMut(&Handle) -> Result + Send + 'static) -> Self {
        self.lock_duties().add_alarm(above, below, Box::new(duty));
        self
    }

    /// How long a write may make no progress; 30 s unless said otherwise. `None` is for ever, zero fails each write
    /// that would have to wait.
    #[must_use]
    pub fn write_timeout(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.settings.write = time.into();
        self
    }

    /// How long connections may go on after [`Handle::shutdown`]; 10 s unless said otherwise.
    #[must_use]
    pub fn drain_deadline(self, time: Duration) -> Self {
        self.shared.control.set_patience(time);
        self
    }

    /// Who is told what happens.
    #[must_use]
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.settings.observer = Some(Arc::new(observer));
        self
    }

    /// Calls `duty` each `period` while the server serves, for the first time after one period; never two at a time. One that fails or panics is an event
    /// and is called again.
    ///
    /// It runs beside the handlers on the thread that watches over deadlines and the drain, under
    /// [`Forks`](crate::Forks) in the parent that accepts: it holds those up for as long as it takes, so it must not
    /// take long.
    #[must_use]
    pub fn every(self, period: Duration, duty: impl FnMut(&Handle) -> Result + Send + 'static) -> Self {
        self.lock_duties().add_every(period, Box::new(duty));
        self
    }

    /// Calls `duty` when a signal comes, where [`every`](Self::every) runs: any code may run there.
    ///
    /// The signal's own effect is off from now on, and stays off when the server is gone. Children swallow it.
    ///
    /// # Errors
    /// When no descriptor is left for it.
    pub fn on_signal(
        self,
        signal: Signal,
        duty: impl FnMut(&Handle) -> Result + Send + 'static,
    ) -> Result<Self, Error> {
        let failed = |error| Error::io(format!("cannot wait for {signal:?}"), error);
        self.lock_duties().add_signal(signal, Box::new(duty)).map_err(failed)?;
        Ok(self)
    }

    /// The first TERM or INT drains, a second one ends at once ([`Report::hurried`] tells).
    ///
    /// # Errors
    /// As [`on_signal`](Self::on_signal).
    pub fn stop_on_signals(mut self) -> Result<Self, Error> {
        for signal in [Signal::Terminate, Signal::Interrupt] {
            self = self.on_signal(signal, move |handle| {
                if handle.is_stopping() {
                    handle.hurry(signal.number())
                } else {
                    handle.shutdown()
                }
                Ok(())
            })?;
        }
        Ok(self)
    }

    /// A handle to the run that is next.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self.shared.clone(), self.shared.control.current_run())
    }

    /// Where it listens, with the real ports, in the order they were given.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.shared.endpoints.clone()
    }

    fn lock_duties(&self) -> std::sync::MutexGuard<'_, Duties> {
        self.duties.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check<M: Model, S: Service<M::Engine>>(&self, service: &S) -> Result<(), Error> {
        suits::check_server(&self.listeners, self.shared.has_tls(), !self.settings.proxies.is_empty())?;
        suits::check::<M, S>(&self.listeners, service)
    }

    fn begin<M: Model>(&self) -> Arc<Run> {
        self.shared.set_without_hub(M::WITHOUT_HUB);
        Run::new(self.shared.clone(), self.listeners.clone(), self.duties.clone(), self.settings.clone())
    }

    /// Serves until told to stop, and until every connection has ended or the drain's deadline has passed.
    ///
    /// The sockets stay bound: the same server can serve again.
    ///
    /// # Errors
    /// A model that cannot run here, a listener that is of no use any more. Nothing that a single connection does.
    pub fn serve<M, H, K>(&mut self, model: M, handler: H) -> Result<Report, Error>
    where
        M: Model,
        E: Suits<M::Engine>,
        H: RunsOn<M, K> + Send + Sync + 'static,
    {
        let service = handler.into_service();
        self.check::<M, _>(&service)?;
        let before = self.shared.control.totals().accepted;
        let run = self.begin::<M>();
        let work = Work::new(run.clone(), service);
        // A model of a user's own may panic: what it leaves is drained all the same.
        let result = catch_unwind(AssertUnwindSafe(|| model.run(work)));
        let report = run.finish(before);
        result.unwrap_or_else(|panic| resume_unwind(panic)).map(|()| report)
    }

    /// Serves inside the tokio runtime that polls this future, on one thread of it, as [`serve`](Self::serve) does with
    /// [`Tasks`](crate::Tasks) in runtimes of their own. The runtime's clock is the server's, so a test can pause it.
    ///
    /// The future is not `Send`: await it in `main`, in a `LocalSet` or a `block_on`. (In a tokio `LocalRuntime` it must not
    /// be awaited.) What a handler does without waiting holds up whatever else runs on that thread.
    ///
    /// Dropping the future ends the run at once: connections are closed as aborted, and there is no report.
    ///
    /// ```
    /// use socketserver::{Server, Stream};
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// let mut server = Server::bind("tcp://127.0.0.1:0")?;
    /// let handle = server.handle();
    /// # handle.shutdown();
    /// let report = server.run(async |c: &mut Stream| {
    ///     c.write_all(b"hello\n").await?;
    ///     Ok(())
    /// }).await?;
    /// # Ok::<_, socketserver::Failure>(())
    /// # })?;
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    #[cfg(feature = "tokio")]
    pub async fn run<H, K>(&mut self, handler: H) -> Result<Report, Error>
    where
        E: Suits<Async>,
        H: RunsOn<crate::Tasks, K> + Send + Sync + 'static,
    {
        let service = handler.into_service();
        self.check::<crate::Tasks, _>(&service)?;
        let before = self.shared.control.totals().accepted;
        let run = self.begin::<crate::Tasks>();
        // Whatever becomes of this future, the run ends; and its tasks end before that.
        let ends = crate::lifecycle::Ends::new(run.clone());
        let tasks = tokio::task::LocalSet::new();
        let work = Work::new(run.clone(), service);
        let result = tasks.run_until(crate::model::tasks::serve_here(work)).await;
        drop(tasks);
        ends.in_order();
        let report = run.finish(before);
        result.map(|()| report)
    }

    /// Waits for one connection and serves it on this thread, or for packets, which it handles.
    ///
    /// While it waits a second thread does the duties and watches over a drain, as under `serve`.
    /// `serve_one` in a loop is one run: a handle made before it stops whichever call comes next.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub fn serve_one<H, K>(&mut self, handler: H, timeout: Duration) -> Result<Served, Error>
    where
        E: Suits<Blocking>,
        H: RunsOn<Serial, K> + Send + Sync + 'static,
    {
        let service = handler.into_service();
        self.check::<Serial, _>(&service)?;
        let before = self.shared.control.totals().accepted;
        let run = self.begin::<Serial>();
        let work = Work::<Blocking, _>::new(run.clone(), service);
        // A time beyond the clock's end is no limit.
        let until = Instant::now().checked_add(timeout);
        let served = loop {
            let job = match work.next_until(until) {
                Ok(Next::Admitted(admitted)) => work.job(admitted),
                Ok(Next::Packets(batch)) => work.packets(batch),
                Ok(Next::Session(newcomer, place)) => work.session(newcomer, place),
                Ok(Next::TimedOut) => break Ok(Served::TimedOut),
                Ok(Next::Stopped) => break Ok(Served::Stopped),
                Err(error) => break Err(error),
            };
            // Whoever is turned away is not the one, whenever that is.
            if job.run_through() {
                break Ok(Served::One);
            }
        };
        match served {
            // A stop that came while the one was served is the next call's.
            Ok(Served::One | Served::TimedOut) => run.dismiss(),
            _ => drop(run.finish(before)),
        }
        served
    }

    /// Serves on a thread of its own, so that the caller goes on. Not for [`Forks`](crate::Forks).
    ///
    /// # Errors
    /// When no thread can be had. What `serve` would say comes out of [`Running::join`].
    pub fn spawn<M, H, K>(mut self, model: M, handler: H) -> Result<Running, Error>
    where
        M: Model + Send + 'static,
        E: Suits<M::Engine> + 'static,
        H: RunsOn<M, K> + Send + Sync + 'static,
        K: 'static,
    {
        let handle = self.handle();
        let thread = std::thread::Builder::new()
            .name("socketserver-main".into())
            .spawn(move || self.serve(model, handler))
            .map_err(|error| Error::io("cannot start a thread", error))?;
        Ok(Running::new(handle, thread))
    }
}

/// A descriptor that is readable when a connection waits on any endpoint or a stop was asked for (`epoll(7)`): for
/// programs that poll by themselves and then call [`serve_one`](Server::serve_one).
impl<E> AsFd for Server<E> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listeners.as_fd()
    }
}

impl<E> fmt::Debug for Server<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("endpoints", &self.shared.endpoints).finish_non_exhaustive()
    }
}
