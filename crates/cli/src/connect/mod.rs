//! The client: payload on standard output, all else on standard error.

pub(crate) mod line;
mod messages;
mod packets;
mod refusal;
mod stream;
mod trust;

pub(crate) use trust::Trust;

use crate::args::Connect;
use crate::{complain, printable};
use refusal::Refusal;
use socketserver::ErrorKind;
use std::error::Error;
use std::io;
use std::process::ExitCode;

pub(crate) fn run(args: &Connect) -> ExitCode {
    let connector = match args.trust.connector(&args.address) {
        Ok(connector) => connector,
        Err(error) => {
            complain(error);
            return ExitCode::from(2);
        }
    };
    let misused = match (args.address.is_datagram(), args.wait, &args.framing) {
        (true, _, Some(_)) => {
            "`--framing` is for streams of bytes: a packet of `udp://…` and `unixgram:…` is a message"
        }
        (true, wait, None) => return packets::run(&args.address, wait.unwrap_or(packets::WAIT).0),
        (false, None, framing) => return stream::run(&connector, &args.address, framing.as_ref()),
        (false, Some(_), _) => {
            "`--wait` is for `udp://…` and `unixgram:…` alone: a stream ends when the server closes it"
        }
    };
    complain(misused);
    ExitCode::from(2)
}

/// Nobody could be reached, or whom to reach makes no sense.
fn unreachable(error: &socketserver::Error) -> ExitCode {
    complain(why_unreachable(error));
    let is_ours = matches!(error.kind(), ErrorKind::Endpoint | ErrorKind::Unsupported | ErrorKind::Tls);
    ExitCode::from(if is_ours { 2 } else { 1 })
}

/// Why nobody could be reached, fit to be printed.
pub(crate) fn why_unreachable(error: &socketserver::Error) -> String {
    let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let told = error.to_string();
    match cause.and_then(|cause| Some((told.strip_suffix(&cause.to_string())?, Refusal::of(cause)?))) {
        Some((what, refusal)) => format!("{what}{refusal}"),
        None => printable::text(&told),
    }
}

/// What we print goes nowhere.
fn unheard(error: &io::Error) -> ExitCode {
    // Whoever closed the pipe that we print to knows.
    if error.kind() != io::ErrorKind::BrokenPipe {
        complain(format_args!("standard output: {error}"));
    }
    ExitCode::from(2)
}
