use super::{Refusal, messages, unheard, unreachable};
use crate::complain;
use rustix::event::{PollFd, PollFlags, Timespec};
use socketserver::client::Connector;
use socketserver::framing::{AnyFraming, Framing};
use socketserver::{Endpoint, blocking};
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub(crate) fn run(connector: &Connector, address: &Endpoint, framing: Option<&AnyFraming>) -> ExitCode {
    let mut stream = match connector.connect(address) {
        Ok(stream) => stream,
        Err(error) => return unreachable(&error),
    };
    // Whoever sits at the terminal may think for as long as they like, and so may the server.
    stream.set_idle(None);
    stream.set_write_timeout(None);
    match framing {
        None => match stream.split() {
            Ok((from, to)) => talk(move |waits| send(to, waits), || receive(from)),
            Err(error) => broke_off(error),
        },
        Some(framing) => match stream.into_framed(framing.clone()).split() {
            Ok((from, to)) => {
                let max = framing.max_message();
                talk(move |waits| messages::send(to, max, waits), || messages::receive(from))
            }
            Err(error) => broke_off(error),
        },
    }
}

/// Sends and receives at a time.
fn talk(
    send: impl FnOnce(&AtomicBool) -> Result<(), Unsent> + Send + 'static,
    receive: impl FnOnce() -> Result<(), Gone>,
) -> ExitCode {
    // It ends with the process: a read from a terminal cannot be called off.
    let waits = Arc::new(AtomicBool::new(false));
    let sender = std::thread::spawn({
        let waits = waits.clone();
        move || send(&waits)
    });
    match receive() {
        Ok(()) => {}
        Err(Gone::Server(error)) => return broke_off(error),
        Err(Gone::Output(error)) => return unheard(&error),
    }
    // The server has closed. If there still is something to be sent it will not get there, and whoever sent it should
    // know; if standard input has no more for now, all is well.
    let mut quiet = 0;
    while !sender.is_finished() && quiet < 2 {
        // The sender has the next piece or finds out that it cannot send it: no event tells both. Twice, for it may just
        // have taken the last piece.
        quiet = if waits.load(SeqCst) && !has_input() { quiet + 1 } else { 0 };
        std::thread::sleep(Duration::from_millis(1));
    }
    if !sender.is_finished() {
        return ExitCode::SUCCESS;
    }
    match sender.join() {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(Unsent::Server(error))) => broke_off(error),
        _ => ExitCode::from(2),
    }
}

/// Whether a read of standard input would not wait.
fn has_input() -> bool {
    let mut ready = [PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::IN)];
    rustix::event::poll(&mut ready, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
}

fn broke_off(error: io::Error) -> ExitCode {
    // A server of TLS 1.3 sees our certificate when for us the handshake is over.
    let refusal = Refusal::of(&error);
    match (refusal, error.kind()) {
        (Some(refusal), _) => complain(refusal),
        (None, io::ErrorKind::InvalidData) => complain(format_args!("the server sent what is no message: {error}")),
        (None, _) => complain(format_args!("the server broke off: {error}")),
    }
    ExitCode::from(1)
}

/// Why not all of standard input was sent.
pub(super) enum Unsent {
    Server(io::Error),
    /// Standard input broke; it is said.
    Input,
}

/// Standard input to the server, then the end of it. `waits` while there is none.
fn send(mut to: blocking::WriteHalf, waits: &AtomicBool) -> Result<(), Unsent> {
    let mut buf = [0; 16 * 1024];
    loop {
        waits.store(true, SeqCst);
        let read = io::stdin().lock().read(&mut buf);
        waits.store(false, SeqCst);
        match read {
            Ok(0) => return to.close().map_err(Unsent::Server),
            Ok(count) => to.write_all(&buf[..count]).map_err(Unsent::Server)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                complain(format_args!("standard input: {error}"));
                let _ = to.close();
                return Err(Unsent::Input);
            }
        }
    }
}

pub(super) enum Gone {
    Server(io::Error),
    /// What we print goes nowhere.
    Output(io::Error),
}

/// What the server says to standard output, as it comes.
fn receive(mut from: blocking::ReadHalf) -> Result<(), Gone> {
    let mut out = io::stdout().lock();
    let mut buf = [0; 16 * 1024];
    loop {
        let count = from.read(&mut buf).map_err(Gone::Server)?;
        if count == 0 {
            return Ok(());
        }
        out.write_all(&buf[..count]).and_then(|()| out.flush()).map_err(Gone::Output)?;
    }
}
