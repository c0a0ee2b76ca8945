//! What was asked for on the command line.

use std::time::Duration;

use crate::peer::Peer;
use crate::row::{ROWS, Row};

pub(crate) const HELP: &str = "\
usage: socketserver-benches [--visits N] [--seconds S] [--cores SERVER,GENERATOR] [--only ROW]...
       socketserver-benches peer NAME

  --visits N     visits to the candidate that must count, at least (default 9; at most five times as many are made)
  --seconds S    how long each visit is measured, after 0.3 s of warm-up (default 1.5)
  --cores A,B    the cores that the server and the generator are pinned to (default: the first two); a row with more
                 takes others besides
  --only ROW     only this row: echo, connect, line, echo-tasks, echo-tasks-1000, line-tasks, connect-tasks, framed-1,
                 framed-16, framed-threads, shards, bulk, tls-echo, tls-echo-16, tls-bulk, tls-handshakes,
                 spin, memory, hub, hub-one, udp, udp-one, udp-1200, udp-gso, sessions,
                 sessions-memory; or
                 peers-echo, peers-echo-1000, peers-connect, peers-line, peers-bulk, which compare the peers with each other and with what their kind was measured at
  peer NAME      be one of the servers, on a port of 127.0.0.1 told on standard output

Prints a Markdown table. Exit code: 0 all targets met, 1 not all, 2 a row could not be measured.";

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    Peer(Peer),
    Measure(Options),
}

/// How to measure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    pub(crate) visits: usize,
    pub(crate) duration: Duration,
    pub(crate) cores: Option<(usize, usize)>,
    pub(crate) only: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { visits: 9, duration: Duration::from_millis(1500), cores: None, only: Vec::new() }
    }
}

impl Options {
    /// The rows chosen: those named, or else those that are measured by default.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &'static Row> {
        ROWS.iter().filter(|row| match &self.only[..] {
            [] => row.by_default,
            only => only.iter().any(|name| name == row.name),
        })
    }
}

pub(crate) fn parse(given: &[String]) -> Result<Command, String> {
    let mut words = given.iter();
    let mut options = Options::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "-h" | "--help" => return Ok(Command::Help),
            "peer" => return value()?.parse().map(Command::Peer),
            "--visits" => options.visits = positive(word, value()?)?,
            "--seconds" => options.duration = seconds(value()?)?,
            "--cores" => options.cores = Some(cores(value()?)?),
            "--only" => options.only.push(row(value()?)?),
            // What `cargo bench` adds of its own.
            "--bench" => {}
            _ => return Err(format!("unknown argument {word:?}")),
        }
    }
    Ok(Command::Measure(options))
}

fn positive(option: &str, value: &str) -> Result<usize, String> {
    match value.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err(format!("{option} {value}: not a number from 1 on")),
    }
}

fn seconds(value: &str) -> Result<Duration, String> {
    let seconds: f64 = value.parse().map_err(|_| format!("--seconds {value}: not a number"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!("--seconds {value}: not a length of time")),
    }
}

fn cores(value: &str) -> Result<(usize, usize), String> {
    let wrong = || format!("--cores {value}: not two different core numbers, such as 0,1");
    let (server, generator) = value.split_once(',').ok_or_else(wrong)?;
    match (server.parse(), generator.parse()) {
        (Ok(server), Ok(generator)) if server != generator => Ok((server, generator)),
        _ => Err(wrong()),
    }
}

fn row(name: &str) -> Result<String, String> {
    if ROWS.iter().any(|row| row.name == name) {
        return Ok(name.to_owned());
    }
    let known: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
    Err(format!("--only {name}: no such row, they are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn nothing_means_the_defaults() {
        assert_eq!(parsed(""), Ok(Command::Measure(Options::default())));
    }

    #[test]
    fn every_option() {
        let options = Options {
            visits: 3,
            duration: Duration::from_millis(500),
            cores: Some((2, 3)),
            only: vec!["echo".to_owned(), "line".to_owned()],
        };
        let line = "--visits 3 --seconds 0.5 --cores 2,3 --only echo --only line";
        assert_eq!(parsed(line), Ok(Command::Measure(options.clone())));
        assert_eq!(options.rows().map(|row| row.name).collect::<Vec<_>>(), ["echo", "line"]);
        assert_eq!(parsed("peer epoll-echo"), Ok(Command::Peer(Peer::EpollEcho)));
        assert_eq!(parsed("--help"), Ok(Command::Help));
    }

    #[test]
    fn help_names_every_row() {
        let words: Vec<&str> = HELP.split([' ', ',', ';', '\n']).collect();
        for row in ROWS {
            assert!(words.contains(&row.name), "{}", row.name);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for line in [
            "--visits 0",
            "--visits",
            "--seconds -1",
            "--seconds 0",
            "--seconds NaN",
            "--cores 1",
            "--cores 1,1",
            "--only nothing",
            "peer nobody",
            "--what",
        ] {
            let error = parsed(line).unwrap_err();
            let word = line.split(' ').next_back().unwrap();
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
