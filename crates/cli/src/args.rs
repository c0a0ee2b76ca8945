//! What was typed, as what is meant.

use clap::{Parser, Subcommand, ValueEnum};
use socketserver::Endpoint;
use std::str::FromStr;
use std::time::Duration;

/// Say where to listen, how to run connections and what to do with each; everything else is done for you.
#[derive(Debug, Parser)]
#[command(name = "socketserver", version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Serve),
    Connect(Connect),
}

/// Serve connections until TERM or INT.
///
/// The first TERM or INT lets connections end, for as long as --drain says; a second one ends at once. USR1 prints
/// totals. Everything that is printed goes to standard error.
///
/// Exit status: 0 when every connection came to its own end, 1 when some were cut, 2 when it could not start, 128+N
/// after a second signal N.
#[derive(Debug, clap::Args)]
#[command(after_help = ADDRESSES)]
pub(crate) struct Serve {
    /// What to do with each connection
    #[arg(value_enum)]
    pub(crate) what: What,

    /// Where to listen
    #[arg(value_name = "ADDR", default_value = "tcp://127.0.0.1:8080")]
    pub(crate) addresses: Vec<Endpoint>,

    /// How to run connections: `serial`, `threads[=MAX]` or `forks[=MAX]`
    #[arg(long, default_value = "threads", value_name = "MODEL")]
    pub(crate) model: Model,

    /// How long to wait for a peer that sends nothing, or `off`
    #[arg(long, default_value = "60s", value_name = "TIME")]
    pub(crate) idle: Limit,

    /// How long to wait for a peer that takes nothing, or `off`
    #[arg(long, default_value = "30s", value_name = "TIME")]
    pub(crate) write_timeout: Limit,

    /// How long connections may go on after the first signal
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = time)]
    pub(crate) drain: Duration,

    /// How to write what happens
    #[arg(long, value_enum, default_value_t = Log::Text)]
    pub(crate) log: Log,
}

/// Talk to a server: standard input goes to it, what it says goes to standard output.
///
/// At the end of standard input the server is told that nothing more comes, and what it still says is printed until it
/// closes.
///
/// Exit status: 0 when the server closed, 1 when it could not be reached or broke off, 2 for bad arguments and local
/// errors.
#[derive(Debug, clap::Args)]
#[command(after_help = ADDRESSES)]
pub(crate) struct Connect {
    /// Where to
    #[arg(value_name = "ADDR")]
    pub(crate) address: Endpoint,
}

const ADDRESSES: &str = "\
Addresses:
  tcp://host:port, host:port   TCP
  :port                        127.0.0.1
  *:port                       every address, IPv6 and IPv4
  unix:/path?mode=600          a Unix socket, with the mode of its file
  unix:@name                   an abstract Unix socket
  fd:3                         a listening socket that the command was started with
Times: 500ms, 2s, 5m; a bare number is seconds. Counts: 200, 10k.";

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum What {
    /// Send back what comes
    Echo,
    /// Send back what comes with ASCII letters in upper case
    Upper,
    /// Send `hello world`, read once, close
    Hello,
    /// Read and drop
    Discard,
}

#[derive(Debug, Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(crate) enum Log {
    /// A line an event
    Text,
    /// A JSON object a line
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    Serial,
    Threads(usize),
    Forks(usize),
}

impl FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, max) = match text.split_once('=') {
            Some((name, max)) => (name, Some(count(max)?)),
            None => (text, None),
        };
        match (name, max) {
            ("serial", None) => Ok(Self::Serial),
            ("serial", Some(_)) => Err("`serial` takes no maximum: it serves one connection at a time".into()),
            ("threads", max) => Ok(Self::Threads(max.unwrap_or(200))),
            ("forks", max) => Ok(Self::Forks(max.unwrap_or(40))),
            _ => {
                Err(format!("`{name}` is not a model; one of `serial`, `threads`, `threads=200`, `forks`, `forks=40`"))
            }
        }
    }
}

/// A time limit, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) Option<Duration>);

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" { Ok(Self(None)) } else { time(text).map(Some).map(Self) }
    }
}

/// `500ms`, `2s`, `5m`, or a bare number of seconds.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time; for example `500ms`, `2s`, `5m`, or `2` for seconds");
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| wrong()),
        Err(_) => humantime::parse_duration(text).map_err(|_| wrong()),
    }
}

/// `200`, `10k`.
fn count(text: &str) -> Result<usize, String> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1000),
        None => (text, 1),
    };
    let number = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(factor));
    number
        .filter(|number| (1..=1_000_000).contains(number))
        .ok_or_else(|| format!("`{text}` is not a count from 1 to 1000k; for example `200` or `10k`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn times_and_counts() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("2"), Ok(Duration::from_secs(2)));
        assert_eq!(time("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(time("5m"), Ok(Duration::from_secs(300)));
        assert_eq!("off".parse(), Ok(Limit(None)));
        for wrong in ["", "-1", "inf", "NaN", "x", "2 parsecs"] {
            assert!(time(wrong).unwrap_err().contains("500ms"), "{wrong}");
        }
        assert_eq!(count("10k"), Ok(10_000));
        for wrong in ["", "0", "-1", "k", "1.5", "99999999999999999999", "9999999k"] {
            assert!(count(wrong).unwrap_err().contains("10k"), "{wrong}");
        }
    }

    #[test]
    fn models() {
        assert_eq!("threads".parse(), Ok(Model::Threads(200)));
        assert_eq!("forks=8".parse(), Ok(Model::Forks(8)));
        assert!("serial=2".parse::<Model>().unwrap_err().contains("one connection"));
        assert!("thread".parse::<Model>().unwrap_err().contains("`threads`"));
    }
}
