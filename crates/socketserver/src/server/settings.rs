//! What a server is told before it serves: deadlines, limits, proxies, what it does beside.

use super::Server;
use crate::admission::{OverLimit, ProxySource};
use crate::events::Observer;
use crate::lifecycle::{Handle, Signal};
use crate::{Error, Result};
use socketserver_proto::{Cidr, Rate};
use std::sync::Arc;
use std::time::Duration;

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

    /// How many bits of an IPv6 address say who it is, 128 at most; 64 unless said otherwise, which is what one subscriber
    /// commonly has (RFC 6177).
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

    /// Only peers in these blocks may come in, in place of those that were said before. Without any, everybody may. Peers without
    /// an address are not spoken of.
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

    /// Peers in these blocks may not come in, even if they are [allowed](Self::allow) to; in place of those that were said before.
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
    /// between: so a number that wavers about a limit does not call it each time. `below` is less than `above`: otherwise it is
    /// taken for one less.
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

    /// How long connections may go on after [`Handle::shutdown`]; 10 s unless said otherwise. Zero cuts them at once.
    #[must_use]
    pub fn drain_deadline(self, time: Duration) -> Self {
        self.shared.control.set_patience(time);
        self
    }

    /// Who is told what happens: one observer, or several in a pair, `observe((this, that))`. Called again it takes the place of
    /// what was there before.
    #[must_use]
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.settings.observer = Some(Arc::new(observer));
        self
    }

    /// Calls `duty` each `period`, of 1 ms at least, while the server serves, for the first time after one period; never two at a
    /// time. One that fails or panics is an event and is called again.
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

    /// The first TERM or INT drains, a second one ends at once ([`Report::hurried`](crate::Report::hurried) tells).
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
}
