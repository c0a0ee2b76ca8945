//! The client: payload on standard output, all else on standard error.

pub(crate) mod line;
mod messages;
mod packets;
mod stream;

use crate::args::Connect;
use crate::complain;
use socketserver::ErrorKind;
use std::io;
use std::process::ExitCode;

pub(crate) fn run(args: &Connect) -> ExitCode {
    let misused = match (args.address.is_datagram(), args.wait, &args.framing) {
        (true, _, Some(_)) => {
            "`--framing` is for streams of bytes: a packet of `udp://…` and `unixgram:…` is a message"
        }
        (true, wait, None) => return packets::run(&args.address, wait.unwrap_or(packets::WAIT).0),
        (false, None, framing) => return stream::run(&args.address, framing.as_ref()),
        (false, Some(_), _) => {
            "`--wait` is for `udp://…` and `unixgram:…` alone: a stream ends when the server closes it"
        }
    };
    complain(misused);
    ExitCode::from(2)
}

/// Nobody could be reached, or whom to reach makes no sense.
fn unreachable(error: &socketserver::Error) -> ExitCode {
    complain(error);
    ExitCode::from(if matches!(error.kind(), ErrorKind::Endpoint | ErrorKind::Unsupported) { 2 } else { 1 })
}

/// What we print goes nowhere.
fn unheard(error: &io::Error) -> ExitCode {
    // Whoever closed the pipe that we print to knows.
    if error.kind() != io::ErrorKind::BrokenPipe {
        complain(format_args!("standard output: {error}"));
    }
    ExitCode::from(2)
}
