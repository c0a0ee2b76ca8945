//! Hosts and names, as the system has them.

use socket2::SockAddr;
use socketserver_proto::Host;
use std::ffi::OsStr;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;

/// The one address of a host: of several that a name has, the first IPv4 one, else the first.
pub(crate) fn resolve(host: &Host, port: u16) -> io::Result<SocketAddr> {
    let name = match host {
        Host::Any => return Ok(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)),
        Host::Ip(ip) => return Ok(SocketAddr::new(*ip, port)),
        Host::Scoped(ip, scope) => format!("{ip}%{scope}"),
        Host::Name(name) => name.clone(),
        other => return Err(io::Error::new(io::ErrorKind::Unsupported, format!("{other:?}"))),
    };
    let found: Vec<_> = (name.as_str(), port).to_socket_addrs()?.collect();
    let first = found.iter().find(|addr| addr.is_ipv4()).or_else(|| found.first());
    first.copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("`{name}` has no address")))
}

/// A name in the abstract namespace, `unix(7)`, as the system has it.
pub(crate) fn abstract_name(name: &[u8]) -> io::Result<SockAddr> {
    // socket2 takes a name that begins with a zero byte as abstract.
    SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat()))
}
