//! Where sockets that know nothing of the framework find a server.

use socket2::{Domain, SockAddr, Type};
use socketserver::{Endpoint, Host, UnixName};
use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;

/// Of connections of bytes, whatever is to be spoken over them.
pub(crate) fn of_stream(endpoint: &Endpoint) -> io::Result<(Domain, SockAddr)> {
    if let Some((host, port)) = endpoint.tcp() {
        let addr = internet(host, port)?;
        return Ok((Domain::for_address(addr), addr.into()));
    }
    match endpoint {
        Endpoint::Unix { name, .. } => Ok((Domain::UNIX, unix(name)?)),
        other => Err(io::Error::other(format!("{other} cannot be connected to"))),
    }
}

/// Of packets, and with what sort of socket they are sent.
pub(crate) fn of_packets(endpoint: &Endpoint) -> io::Result<(Domain, Type, SockAddr)> {
    match endpoint {
        Endpoint::Udp { host, port } => {
            let addr = internet(host, *port)?;
            Ok((Domain::for_address(addr), Type::DGRAM, addr.into()))
        }
        Endpoint::Unixgram { name, .. } => Ok((Domain::UNIX, Type::DGRAM, unix(name)?)),
        Endpoint::Seqpacket { name, .. } => Ok((Domain::UNIX, Type::SEQPACKET, unix(name)?)),
        other => Err(io::Error::other(format!("{other} takes no packets"))),
    }
}

fn internet(host: &Host, port: u16) -> io::Result<SocketAddr> {
    match host {
        Host::Any => Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)),
        Host::Ip(ip) => Ok(SocketAddr::new(*ip, port)),
        host => Ok(format!("{host}:{port}").to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?),
    }
}

fn unix(name: &UnixName) -> io::Result<SockAddr> {
    match name {
        UnixName::Path(path) => SockAddr::unix(path),
        UnixName::Abstract(name) => SockAddr::unix(OsStr::from_bytes(&[b"\0", &name[..]].concat())),
        other => Err(io::Error::other(format!("{other:?} is no name"))),
    }
}
