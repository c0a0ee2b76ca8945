//! The servers that the tests talk to.

use socketserver::framing::Line;
use socketserver::{
    Channel, Datagram, Forks, MessageHandler, Peer, ProxySource, Report, Result, Serial, Server, ServerTls, Tasks,
    Threads, blocking,
};
use socketserver_testkit::{Cast, Connection, How, Part, Role};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

pub(crate) const ALL: &[(&str, Role)] = &[
    ("plain", |cast| cast.serve(proxied(cast)?, Script)),
    ("tls", |cast| cast.serve(tls(proxied(cast)?, ServerTls::new())?, Script)),
    ("or-plain", |cast| cast.serve(tls(proxied(cast)?, ServerTls::new().or_plain())?, Script)),
    ("one-each-tls", |cast| {
        let server = proxied(cast)?.max_per_peer(1).over_limit(socketserver::OverLimit::reply("busy"));
        cast.serve(tls(server, ServerTls::new())?, Script)
    }),
    ("first-byte-tls", |cast| cast.serve(tls(proxied(cast)?.first_byte(FIRST_BYTE), ServerTls::new())?, Script)),
    ("messages", messages),
    ("beside", beside),
    ("source", source),
];

/// How long a peer may be silent, where that is limited.
pub(crate) const FIRST_BYTE: Duration = Duration::from_millis(500);

/// Tells of the peer what is known of it, for each line.
struct Script;

impl Part for Script {
    async fn handle(&self, c: &mut impl Connection) -> Result {
        while let Some(line) = c.read_line(1000).await? {
            let answer = format!("{line} {}\n", known_of(c.peer()));
            c.write_all(answer.as_bytes()).await?;
        }
        Ok(())
    }
}

fn known_of(peer: &Peer) -> String {
    let Some(proxied) = peer.proxied() else { return peer.to_string() };
    let header = proxied.header();
    let id = header.unique_id().map(|id| format!(" id={}", String::from_utf8_lossy(id))).unwrap_or_default();
    let name = header.ssl().and_then(|ssl| Some(format!(" cn={}", ssl.common_name()?))).unwrap_or_default();
    let version = header.ssl().and_then(|ssl| Some(format!(" tls={}", ssl.version()?))).unwrap_or_default();
    let by = if proxied.by().addr().is_some_and(|by| by.ip().is_loopback()) { "loopback" } else { "unix" };
    format!("{peer} by {by} {:?}{id}{name}{version}", header.version())
}

fn trusted() -> [ProxySource; 3] {
    ["127.0.0.1", "::1", "unix"].map(|source| source.parse().unwrap())
}

fn proxied(cast: &Cast) -> Result<Server> {
    Ok(cast.server()?.proxy_protocol(trusted()))
}

/// With a certificate of its own, of which it tells the fingerprint.
fn tls(server: Server, tls: ServerTls) -> Result<Server> {
    let tls = tls.self_signed(["localhost", "127.0.0.1"])?;
    Cast::tell(&format!("fingerprint {}", tls.fingerprint()?));
    Ok(server.tls(tls)?)
}

/// Each is answered with who it is from.
struct Who;

impl MessageHandler for Who {
    type State = ();
    fn open(&self, _: &mut Channel) -> Result<()> {
        Ok(())
    }
    fn message(&self, (): &mut (), message: &[u8], c: &mut Channel) -> Result {
        let from = c.peer().to_string();
        Ok(c.send(&[message, b" ", from.as_bytes()].concat())?)
    }
}

fn messages(cast: &Cast) -> Result<Report> {
    let mut server = proxied(cast)?;
    tell_where(&server);
    let who = Who.framed(Line::new());
    Ok(match cast.how() {
        How::Tasks(shards) => server.serve(Tasks::new(shards), who)?,
        How::Threads(max) => server.serve(Threads::new(max), who)?,
        How::Forks(max) => server.serve(Forks::new(max), who)?,
        How::Prefork(ready, max) => server.serve(Forks::new(max).prefork(ready), who)?,
        _ => server.serve(Serial::default(), who)?,
    })
}

fn tell_where(server: &Server) {
    for endpoint in server.endpoints() {
        Cast::tell(&format!("listening {endpoint}"));
    }
}

/// Nobody is believed, and packets come all the same.
fn beside(cast: &Cast) -> Result<Report> {
    let mut server = cast.server()?.proxy_protocol(["192.0.2.1".parse::<ProxySource>()?]);
    tell_where(&server);
    let bytes = |c: &mut blocking::Stream| Ok(c.write_all(b"never")?);
    let packets = |d: &mut Datagram| {
        let answer = format!("{} {}", String::from_utf8_lossy(d.packet()), d.peer());
        Ok(d.reply(answer.as_bytes())?)
    };
    Ok(match cast.how() {
        How::Tasks(shards) => {
            let bytes = async |c: &mut socketserver::Stream| Ok(c.write_all(b"never").await?);
            server.serve(Tasks::new(shards), (bytes, packets))?
        }
        How::Threads(max) => server.serve(Threads::new(max), (bytes, packets))?,
        How::Forks(max) => server.serve(Forks::new(max), (bytes, packets))?,
        How::Prefork(ready, max) => server.serve(Forks::new(max).prefork(ready), (bytes, packets))?,
        _ => server.serve(Serial::default(), (bytes, packets))?,
    })
}

/// Connections that somebody else accepts.
struct Source(TcpListener);

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl blocking::Accept for Source {
    fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
        let (stream, peer) = self.0.accept()?;
        Ok((stream.into(), peer.into()))
    }
}

fn source(cast: &Cast) -> Result<Report> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    Cast::tell(&format!("listening tcp://{}", listener.local_addr()?));
    let server = Cast::server_at(&[])?.proxy_protocol(trusted());
    let mut server = server.accept_from_blocking(Source(listener))?;
    let script = socketserver_testkit::Played(Script);
    Ok(match cast.how() {
        How::Threads(max) => server.serve(Threads::new(max), script)?,
        How::Forks(max) => server.serve(Forks::new(max), script)?,
        How::Prefork(ready, max) => server.serve(Forks::new(max).prefork(ready), script)?,
        _ => server.serve(Serial::default(), script)?,
    })
}
