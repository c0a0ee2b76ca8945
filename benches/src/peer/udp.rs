//! UDP echo, by several hands.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use socketserver::{Datagram, Serial, Server, Tasks};
use socketserver_sys::{Inbox, Outbox, join_trains};

use super::announce;

/// Room for what is in flight, as much as most systems give (`net.core.rmem_max`).
const QUEUE: usize = 212_992;

/// Bound, and not announced yet.
pub(super) fn quiet() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    set_socket_recv_buffer_size(&socket, QUEUE)?;
    Ok(socket)
}

fn bind() -> io::Result<UdpSocket> {
    let socket = quiet()?;
    announce(socket.local_addr()?)?;
    Ok(socket)
}

/// A packet a system call.
pub(super) fn recvfrom() -> io::Result<()> {
    let socket = bind()?;
    let mut buffer = vec![0; 65_535];
    loop {
        let (received, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..received], from)?;
    }
}

/// Many packets a system call, and nothing else.
pub(super) fn mmsg() -> io::Result<()> {
    let socket = bind()?;
    let (mut inbox, mut outbox) = (Inbox::new(64, 65_535), Outbox::default());
    loop {
        match inbox.receive(&socket) {
            Ok(count) => {
                for at in 0..count {
                    let packet = inbox.packet(at);
                    outbox.push(packet.bytes, packet.from.as_ref(), None);
                }
                outbox.send(&socket, |_, _| {});
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(&socket, PollFlags::IN)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The same with whole trains.
pub(super) fn gro() -> io::Result<()> {
    let socket = bind()?;
    join_trains(&socket, true)?;
    let (mut inbox, mut outbox) = (Inbox::new(64, 65_535), Outbox::default());
    loop {
        match inbox.receive(&socket) {
            Ok(count) => {
                for at in 0..count {
                    let packet = inbox.packet(at);
                    outbox.push_train(packet.bytes, packet.segment, packet.from.as_ref(), None);
                }
                outbox.send(&socket, |_, _| {});
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(&socket, PollFlags::IN)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// As its documentation shows it.
pub(super) fn tokio() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = bind()?;
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        let mut buffer = vec![0; 65_535];
        loop {
            let (received, from) = socket.recv_from(&mut buffer).await?;
            socket.send_to(&buffer[..received], from).await?;
        }
    })
}

fn echo(d: &mut Datagram) -> socketserver::Result {
    let (packet, mut replies) = d.split();
    Ok(replies.send(packet)?)
}

fn server() -> io::Result<Server> {
    Server::bind(bind()?).map_err(io::Error::other)
}

/// This project, on one shard.
pub(super) fn ours_tasks() -> io::Result<()> {
    server()?.serve(Tasks::new(1), echo).map(drop).map_err(io::Error::other)
}

/// The same, busy-polling for 50 µs before it sleeps.
pub(super) fn ours_spin() -> io::Result<()> {
    server()?.serve(Tasks::new(1).spin(Duration::from_micros(50)), echo).map(drop).map_err(io::Error::other)
}

/// This project, on the calling thread.
pub(super) fn ours_serial() -> io::Result<()> {
    server()?.serve(Serial::default(), echo).map(drop).map_err(io::Error::other)
}
