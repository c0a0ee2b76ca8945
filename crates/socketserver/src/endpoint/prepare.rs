//! What every socket that is listened on has, whoever made it.

use super::listener::Listener;
use super::unix_file::SocketFile;
use crate::datagram::DatagramSocket;
use socket2::Socket;
use socketserver_proto::{Endpoint, Host};
use std::io;
use std::net::SocketAddr;

/// One that accepts connections.
pub(super) fn prepare(socket: &Socket, endpoint: &Endpoint) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_cloexec(true)?;
    // Accepted connections inherit these: no call a connection.
    match endpoint {
        over_tcp if over_tcp.tcp().is_some() => socket.set_tcp_nodelay(true),
        // By that an empty packet is told from the end of input.
        Endpoint::Seqpacket { .. } => socket.set_passcred(true),
        _ => Ok(()),
    }
}

/// One for UDP.
pub(super) fn prepare_udp(socket: &Socket, bound: SocketAddr) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_cloexec(true)?;
    // One that is bound to an address is asked nowhere else, and answers from there by itself.
    if bound.ip().is_unspecified() {
        socketserver_sys::tell_local(socket, bound.is_ipv6())?;
    }
    // One that cannot tell them, whoever made it, is served all the same.
    let _ = socketserver_sys::tell_errors(socket, bound.is_ipv6());
    Ok(())
}

/// One for Unix datagrams: a listener then.
pub(super) fn unixgram(socket: Socket, endpoint: Endpoint, file: Option<SocketFile>) -> io::Result<Listener> {
    socket.set_nonblocking(true)?;
    socket.set_cloexec(true)?;
    socket.set_passcred(true)?;
    Ok(Listener::datagram(endpoint, DatagramSocket::new(socket.into(), None), file))
}

/// Where an internet socket is bound.
pub(super) fn bound(socket: &Socket) -> io::Result<(Host, SocketAddr)> {
    let addr = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
    let host = match addr {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => Host::Scoped(*v6.ip(), v6.scope_id().to_string()),
        _ => Host::Ip(addr.ip()),
    };
    Ok((host, addr))
}
