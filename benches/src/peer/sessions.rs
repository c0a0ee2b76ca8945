//! UDP echo by sessions of this project.

use std::io;
use std::time::Duration;

use socketserver::{Running, Server, Session, Tasks, sessions};
use socketserver_load::{Load, Target};

use super::{announce, udp};

/// How many there may be, which is more than ever are.
const MOST: usize = 200_000;

/// How long nothing may come back to the crowd, before it is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// With whoever comes.
pub(super) fn echo() -> io::Result<()> {
    echo_in_a_crowd(0)
}

/// The same, and before it tells where it listens so many others have had one packet echoed; their sessions stay.
pub(super) fn echo_in_a_crowd(others: usize) -> io::Result<()> {
    let socket = udp::quiet()?;
    let address = socket.local_addr()?;
    let handler = async |s: &mut Session| {
        while let Some(packet) = s.recv().await? {
            s.send(&packet).await?;
        }
        Ok(())
    };
    let server = Server::bind(socket).map_err(io::Error::other)?;
    let server = server.spawn(Tasks::new(1), sessions(handler).max(MOST).idle(None)).map_err(io::Error::other)?;
    if others > 0 {
        gather(&server, Target::Udp(address), others)?;
    }
    announce(address)?;
    server.join().map(drop).map_err(io::Error::other)
}

/// Opens so many sessions, each with another forged address.
fn gather(server: &Running, target: Target, others: usize) -> io::Result<()> {
    let load = Load::new(target).peers(others).requests(others as u64).depth(64).stall(PATIENCE);
    let outcome = load.run().map_err(io::Error::other)?;
    let totals = server.handle().totals();
    if !outcome.errors.is_empty() || (totals.accepted, totals.closed) != (others as u64, 0) {
        let found = format!("{} opened and {} closed, {}", totals.accepted, totals.closed, outcome.errors);
        return Err(io::Error::other(format!("{others} sessions were to be open: {found}")));
    }
    Ok(())
}
