//! This project's servers with the protection that a fault calls for.

use std::io;
use std::time::Duration;

use socketserver::{Forks, OverLimit, Server, Tasks, Threads};

use super::ours::echo_chunks as blocking_echo;
use super::tasks::echo_chunks as echo;
use super::{CAP, announce};

/// How long one that has sent nothing may stay.
const FIRST_BYTE: Duration = Duration::from_millis(500);

/// At most [`CAP`] connections; whoever comes then is closed at once.
fn capped() -> io::Result<Server> {
    Ok(server()?.max_connections(CAP as u64).over_limit(OverLimit::Close))
}

/// Whoever says nothing is soon sent away.
fn patient() -> io::Result<Server> {
    Ok(server()?.first_byte(FIRST_BYTE))
}

/// A signal drains.
fn draining() -> io::Result<Server> {
    server()?.stop_on_signals().map_err(io::Error::other)
}

fn server() -> io::Result<Server> {
    let server = Server::bind("tcp://127.0.0.1:0").map_err(io::Error::other)?;
    for endpoint in server.endpoints() {
        announce(endpoint)?;
    }
    Ok(server)
}

pub(super) fn tasks_capped() -> io::Result<()> {
    capped()?.serve(Tasks::new(1), echo).map(drop).map_err(io::Error::other)
}

pub(super) fn threads_capped() -> io::Result<()> {
    capped()?.serve(Threads::new(2 * CAP), blocking_echo).map(drop).map_err(io::Error::other)
}

pub(super) fn tasks_patient() -> io::Result<()> {
    patient()?.serve(Tasks::new(1), echo).map(drop).map_err(io::Error::other)
}

pub(super) fn threads_patient() -> io::Result<()> {
    patient()?.serve(Threads::default(), blocking_echo).map(drop).map_err(io::Error::other)
}

pub(super) fn tasks_draining() -> io::Result<()> {
    draining()?.serve(Tasks::new(1), echo).map(drop).map_err(io::Error::other)
}

pub(super) fn threads_draining() -> io::Result<()> {
    draining()?.serve(Threads::default(), blocking_echo).map(drop).map_err(io::Error::other)
}

pub(super) fn forks_draining() -> io::Result<()> {
    draining()?.serve(Forks::new(CAP), blocking_echo).map(drop).map_err(io::Error::other)
}
