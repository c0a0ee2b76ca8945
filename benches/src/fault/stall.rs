//! One member of a chat reads nothing.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::{self, AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use super::scene::Scene;
use super::{Fact, Under};
use crate::cores::Cores;
use crate::peer::Peer;
use crate::work::Work;

const ROOM: Work = Work::Room { members: 8, depth: 4, size: 8_000 };

/// Small, so that it is soon full.
const RECEIVE_BUFFER: usize = 4_096;

pub(super) fn visit(peer: Peer, duration: Duration, cores: &Cores) -> io::Result<Under> {
    let scene = Scene::open(peer, duration, cores, None)?;
    let calm = scene.honest_and_gone(ROOM)?;
    let _stalled = join(&scene)?;
    let fault = scene.honest(ROOM, |_| {})?;
    let grown = scene.server.usage().map_or(0, |now| now.resident.saturating_sub(scene.fresh().resident));
    let facts = vec![Fact::bytes("memory grown by", grown as f64)];
    Ok(Under { calm: Some(calm), fault: Some(fault), facts })
}

/// Reads its greeting, and no more.
fn join(scene: &Scene) -> io::Result<TcpStream> {
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))?;
    // Before it connects, for that is when the window is told.
    sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
    net::connect(&socket, &scene.address())?;
    let mut member = TcpStream::from(socket);
    let mut byte = [0];
    while byte != *b"\n" {
        member.read_exact(&mut byte)?;
    }
    Ok(member)
}
