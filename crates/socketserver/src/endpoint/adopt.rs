//! Sockets that were made elsewhere.

use super::listener::Listener;
use super::prepare::{bound, prepare, prepare_udp, unixgram};
use crate::datagram::DatagramSocket;
use crate::{Error, ErrorKind};
use socket2::{SockAddr, Socket, Type};
use socketserver_proto::{Endpoint, UnixName};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Checks a socket that was made elsewhere, and makes it one of ours.
pub(super) fn adopt(fd: OwnedFd, name: &str) -> Result<Listener, Error> {
    let wrong = |what: &str| Error::new(ErrorKind::Endpoint, format!("{name} {what}"));
    let socket = Socket::from(fd);
    let kind = socket.r#type().map_err(|e| Error::io(format!("{name} is not a socket"), e))?;
    if kind == Type::DGRAM {
        return adopt_datagram(socket).map_err(|e| Error::io(format!("{name} cannot be served"), e));
    }
    if kind != Type::STREAM && kind != Type::SEQPACKET {
        return Err(wrong("is neither a stream, a datagram nor a sequenced-packet socket"));
    }
    if !socket.is_listener().map_err(|e| Error::io(name, e))? {
        return Err(wrong("does not listen; it must be bound, and listen(2) called on it"));
    }
    let addr = socket.local_addr().map_err(|e| Error::io(name, e))?;
    let endpoint = match (addr.is_unix(), kind) {
        (true, Type::STREAM) => Endpoint::Unix { name: unix_name(&addr), mode: None },
        (true, _) => Endpoint::Seqpacket { name: unix_name(&addr), mode: None },
        (false, Type::STREAM) => tcp_endpoint(&socket).map_err(|e| Error::io(name, e))?,
        // SCTP has such sockets too.
        (false, _) => return Err(wrong("keeps packets apart, and is no Unix socket")),
    };
    prepare(&socket, &endpoint).map_err(|e| Error::io(name, e))?;
    // Connections would inherit it.
    socket.set_read_timeout(None).map_err(|e| Error::io(name, e))?;
    Ok(Listener::socket(endpoint, socket.into(), None))
}

/// A bound datagram socket that was made elsewhere.
fn adopt_datagram(socket: Socket) -> io::Result<Listener> {
    let addr = socket.local_addr()?;
    if addr.is_unix() {
        return unixgram(socket, Endpoint::Unixgram { name: unix_name(&addr), mode: None }, None);
    }
    let (host, addr) = bound(&socket)?;
    if addr.port() == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is bound to no port"));
    }
    prepare_udp(&socket, addr)?;
    let endpoint = Endpoint::Udp { host, port: addr.port() };
    Ok(Listener::datagram(endpoint, DatagramSocket::new(socket.into(), Some(addr)), None))
}

fn tcp_endpoint(socket: &Socket) -> io::Result<Endpoint> {
    let (host, addr) = bound(socket)?;
    Ok(Endpoint::Tcp { host, port: addr.port() })
}

fn unix_name(addr: &SockAddr) -> UnixName {
    match (addr.as_pathname(), addr.as_abstract_namespace()) {
        (Some(path), _) => UnixName::Path(path.into()),
        (_, Some(name)) => UnixName::Abstract(name.to_vec()),
        _ => UnixName::Path(PathBuf::from("unnamed")),
    }
}
