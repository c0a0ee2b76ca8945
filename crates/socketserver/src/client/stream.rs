use super::target::{Target, reach, unix_addr};
use crate::connection::sync_stream::Stream;
use crate::connection::{CLIENT, Core, IDLE, Idle, Peer, Record, Slot, SyncIo, Terms, WRITE};
use crate::engine::Conn;
use crate::lifecycle::Handle;
use crate::{Error, ErrorKind};
use socket2::{Domain, SockAddr, Socket, Type};
use socketserver_proto::Endpoint;
use std::sync::Arc;
use std::time::Duration;

/// How long [`connect`] waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to an address as [`Server::bind`](crate::Server::bind) takes them (not `fd:` or `seqpacket:`; `*` is this machine; packets
/// go through [`datagram`](super::datagram)), and gives the same [`Stream`] that handlers have, idle and write
/// deadlines included. It waits 10 s at most for an answer; finding the address of a name takes what the system lets
/// it.
///
/// ```
/// use socketserver::{Serial, Server, blocking, client};
/// let server = Server::bind("unix:@doc-connect")?
///     .spawn(Serial::default(), |c: &mut blocking::Stream| { c.write_all(b"hello")?; Ok(()) })?;
/// let mut c = client::connect("unix:@doc-connect")?;
/// assert_eq!(c.read_to_end(100)?, b"hello");
/// server.handle().shutdown();
/// server.join()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
///
/// # Errors
/// An address that is not understood, a name without an address, nobody there.
pub fn connect(endpoint: impl Target) -> Result<Stream, Error> {
    connect_within(endpoint, PATIENCE)
}

/// As [`connect`], with a time limit of your own.
///
/// # Errors
/// As [`connect`].
pub fn connect_within(endpoint: impl Target, time: Duration) -> Result<Stream, Error> {
    let endpoint = endpoint.endpoint()?;
    let failed = |error| Error::io(format!("cannot connect to `{endpoint}`"), error);
    let (addr, domain, peer) = match &endpoint {
        Endpoint::Tcp { host, port } => {
            let addr = reach(host, *port).map_err(failed)?;
            (SockAddr::from(addr), Domain::for_address(addr), Some(Peer::from(addr)))
        }
        Endpoint::Unix { name, .. } => (unix_addr(name).map_err(failed)?, Domain::UNIX, None),
        other if other.is_datagram() => {
            let words = format!("`{other}` takes packets, and no connections: `client::datagram` sends it some");
            return Err(Error::new(ErrorKind::Unsupported, words));
        }
        other @ Endpoint::Seqpacket { .. } => {
            let words = format!(
                "`{other}` takes whole messages, and a stream has none: a socket of the kind `SOCK_SEQPACKET` (`unix(7)`) \
                 talks to it"
            );
            return Err(Error::new(ErrorKind::Unsupported, words));
        }
        other => return Err(Error::new(ErrorKind::Unsupported, format!("`{other}` cannot be connected to"))),
    };
    let socket = Socket::new(domain, Type::STREAM, None).map_err(failed)?;
    match peer {
        Some(_) => socket.connect_timeout(&addr, time).map_err(failed)?,
        // A full backlog is no event to wait for: only a blocking call waits for room (connect(2), EAGAIN).
        None => {
            socket.set_write_timeout(Some(time.max(Duration::from_millis(1)))).map_err(failed)?;
            socket.connect(&addr).map_err(failed)?;
            socket.set_write_timeout(None).map_err(failed)?;
        }
    }
    let peer = match peer {
        Some(peer) => {
            socket.set_tcp_nodelay(true).map_err(failed)?;
            peer
        }
        None => Peer::unix(socketserver_sys::peer_credentials(&socket).ok()),
    };
    let connection = Arc::new(Record::new(0, peer, CLIENT, Slot::own()).with(Some(socket.into())));
    let io = SyncIo::new(&connection);
    let terms = Terms { handle: Handle::nobodys(), idle: Idle::Own(IDLE), write: WRITE };
    Ok(Stream::new(Core::new(io, connection, Arc::new(terms))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn deadlines_are_on_unless_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut c = connect(format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
        let terms = c.core().terms();
        assert!(matches!(terms.idle, Idle::Own(Some(time)) if time == Duration::from_secs(60)), "{terms:?}");
        assert_eq!(terms.write, Some(Duration::from_secs(30)));
    }
}
