use crate::args::Connect;
use crate::complain;
use socketserver::{blocking, client};
use std::io::{self, Read, Write};
use std::process::ExitCode;

pub(crate) fn run(args: &Connect) -> ExitCode {
    let mut stream = match client::connect(&args.address) {
        Ok(stream) => stream,
        Err(error) => {
            let local =
                matches!(error.kind(), socketserver::ErrorKind::Endpoint | socketserver::ErrorKind::Unsupported);
            complain(error);
            return ExitCode::from(if local { 2 } else { 1 });
        }
    };
    // Whoever sits at the terminal may think for as long as they like, and so may the server.
    stream.set_idle(None);
    stream.set_write_timeout(None);
    let (from_server, to_server) = match stream.split() {
        Ok(halves) => halves,
        Err(error) => return broke_off(error),
    };
    // It ends with the process: a read from a terminal cannot be called off.
    let sender = std::thread::spawn(move || send(to_server));
    match receive(from_server) {
        Ok(()) => {}
        Err(Gone::Server(error)) => return broke_off(error),
        Err(Gone::Output) => return ExitCode::from(2),
    }
    // The server has closed. What it did not take of what was sent is lost, and whoever sent it should know.
    match sender.is_finished().then(|| sender.join()) {
        Some(Ok(Err(error))) => broke_off(error),
        _ => ExitCode::SUCCESS,
    }
}

fn broke_off(error: io::Error) -> ExitCode {
    complain(format_args!("the server broke off: {error}"));
    ExitCode::from(1)
}

/// Standard input to the server, then the end of it.
fn send(mut to: blocking::WriteHalf) -> io::Result<()> {
    let mut buf = [0; 16 * 1024];
    loop {
        match io::stdin().lock().read(&mut buf) {
            Ok(0) => return to.close(),
            Ok(count) => to.write_all(&buf[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                complain(format_args!("standard input: {error}"));
                return to.close();
            }
        }
    }
}

enum Gone {
    Server(io::Error),
    /// Nobody reads what we print.
    Output,
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
        out.write_all(&buf[..count]).and_then(|()| out.flush()).map_err(|_| Gone::Output)?;
    }
}
