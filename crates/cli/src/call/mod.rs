//! A command at a server of `serve exec`: what it says is said here, and how it ended is how this ends.

mod shown;

use crate::args::Call;
use crate::{connect, printable};
use shown::Shown;
use signal_hook::consts::{SIGINT, SIGTERM};
use socketserver::Endpoint;
use socketserver_exec::{CallError, Caller, Error, Exit, Fate, Token, Why, user};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What is no end of the command's own.
pub(crate) const FAILED: u8 = 255;
const TIMED_OUT: u8 = 124;
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// They end this and with it the connection, and so the command there.
const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

pub(crate) fn run(args: Call) -> ExitCode {
    let mut shown = Shown::new(args.json);
    let status = match call(args, &mut shown) {
        Ok(exit) => exit.status(),
        Err(Failed::Here(error)) => {
            shown.failed(&error, FAILED);
            FAILED
        }
        Err(Failed::There(error)) => {
            let status = status(&error);
            tell(&error, status, &mut shown);
            status
        }
    };
    ExitCode::from(status)
}

enum Failed {
    Here(String),
    There(CallError),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Here(error.to_string())
    }
}

fn call(args: Call, shown: &mut Shown) -> Result<Exit, Failed> {
    for signal in SIGNALS {
        let end = Arc::new(AtomicBool::new(true));
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, end)
            .map_err(|error| Failed::Here(format!("signals cannot be waited for: {error}")))?;
    }
    if !matches!(args.address, Endpoint::Unix { .. } | Endpoint::Tcp { .. } | Endpoint::Tls { .. }) {
        let text = format!("no commands are run over `{}`, but over `unix:…`, `tcp://…` and `tls://…`", args.address);
        return Err(Failed::Here(text));
    }
    let connector = args.trust.connector(&args.address).map_err(|error| Failed::Here(error.to_string()))?;
    let mut caller = Caller::new().connector(connector).timeout(args.timeout.and_then(|timeout| timeout.0));
    if let Some(file) = &args.token_file {
        caller = caller.token(Token::load(file)?);
    }
    if !args.server_user.is_empty() && !matches!(args.address, Endpoint::Unix { .. }) {
        let text = "`--server-user` is for Unix sockets alone: the kernel says there whose the server is";
        return Err(Failed::Here(text.into()));
    }
    for user in &args.server_user {
        caller = caller.server_user(user::number(user)?);
    }
    let mut client = caller.connect(&args.address).map_err(Failed::There)?;
    let words: Vec<String> = std::iter::once(args.name).chain(args.args).collect();
    let exit = client.run(&words, &mut |output, bytes| shown.said(output, bytes)).map_err(Failed::There)?;
    shown.exit(&exit).map_err(|error| Failed::There(CallError::Sink(error)))?;
    Ok(exit)
}

fn status(error: &CallError) -> u8 {
    match error {
        CallError::TimedOut => TIMED_OUT,
        CallError::Refused { why: Why::Unknown, .. } => NOT_FOUND,
        CallError::Refused { why: Why::Arguments, .. } => CANNOT_RUN,
        _ => FAILED,
    }
}

fn tell(error: &CallError, status: u8, shown: &mut Shown) {
    match error {
        // Whoever closed the pipe that we print to knows.
        CallError::Sink(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        CallError::Sink(error) => shown::unprinted(error),
        CallError::NotLetIn { why, text } | CallError::Refused { why, text } => {
            shown.refused(*why, &printable::text(text), status)
        }
        CallError::Unreachable(error) => shown.failed(&connect::why_unreachable(error), status),
        other => shown.failed(&printable::text(&other.to_string()), status),
    }
}

/// What a person is told of how it ended, beside the status.
fn words(exit: &Exit) -> Option<String> {
    match exit.fate {
        Fate::Killed(signal) => Some(format!("the command was ended by signal {signal}")),
        Fate::TimedOut => Some("the command took longer than the server lets it, and was ended".into()),
        Fate::NotStarted(errno) => {
            Some(format!("the server cannot execute the command: {}", io::Error::from_raw_os_error(errno)))
        }
        Fate::Lost => Some("what became of the command is not known: its supervisor was killed".into()),
        Fate::Stopped => Some("the server has ended the command".into()),
        _ => None,
    }
}
