//! What a process that accepts tells a pre-forked child of a connection that it hands over.

use crate::connection::{Connection, Peer};
use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, SendFlags};
use socketserver_proto::proxy::{DEFAULT_MAX, Header, Parsed, Version};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Says who is behind the proxy whose connection was just handed over, and how long it has been open: what is left of the
/// handshake's deadline is for TLS.
pub(super) fn introduce(feed: &OwnedFd, connection: &Connection) -> io::Result<()> {
    let Some(proxied) = connection.peer().proxied() else { return Ok(()) };
    let header = proxied.header();
    let line = if header.version() == Version::V1 { header.encode_v1().ok() } else { None };
    let header = line.unwrap_or_else(|| header.encode_v2());
    let age = u64::try_from(connection.age().as_nanos()).unwrap_or(u64::MAX);
    rustix::net::send(feed, &[&age.to_ne_bytes()[..], &header].concat(), SendFlags::NOSIGNAL)?;
    Ok(())
}

/// In a pre-forked child: how long it has been open, and who is behind the proxy.
pub(super) fn introduced(feed: &OwnedFd) -> Option<(Duration, Header)> {
    let mut said = vec![0; size_of::<u64>() + DEFAULT_MAX];
    let (len, _) = retry_on_intr(|| rustix::net::recv(feed, &mut said[..], RecvFlags::empty())).ok()?;
    let (age, header) = said[..len].split_first_chunk()?;
    match Header::parse(header) {
        Ok(Parsed::Whole { header, .. }) => Some((Duration::from_nanos(u64::from_ne_bytes(*age)), header)),
        _ => None,
    }
}

pub(super) fn peer_of(socket: &OwnedFd) -> Peer {
    let addr = rustix::net::getpeername(socket).ok().flatten();
    match addr.and_then(|addr| SocketAddr::try_from(addr).ok()) {
        Some(addr) => addr.into(),
        None => Peer::unix(socketserver_sys::peer_credentials(socket).ok()),
    }
}
