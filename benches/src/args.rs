//! What was asked for on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::fault::FAULTS;
use crate::peer::Peer;
use crate::row::{self, Row};

pub(crate) const HELP: &str = "\
usage: socketserver-benches [--visits N] [--seconds S] [--cores SERVER,GENERATOR] [--only ROW]...
       socketserver-benches report [--quick] [--out FOLDER] [the options above]
       socketserver-benches peer NAME [ADDRESS]

  --visits N     visits to the candidate that must count, at least (default 9; at most five times as many are made)
  --seconds S    how long each visit is measured, after 0.3 s of warm-up (default 1.5)
  --cores A,B    the cores that the server and the generator are pinned to (default: the first two); a row with more
                 takes others besides
  --only ROW     only this row: echo, connect, line, echo-tasks, echo-tasks-1000, line-tasks, connect-tasks, framed-1,
                 framed-16, framed-threads, shards, bulk, tls-echo, tls-echo-16, tls-bulk, tls-handshakes,
                 spin, spin-idle, memory, hub, hub-one, udp, udp-one, udp-1200, udp-gso, sessions,
                 sessions-memory; or
                 peers-echo, peers-echo-1000, peers-connect, peers-line, peers-bulk, which compare the peers with each other and with what their kind was measured at;
                 or field-1, field-50, field-1000, field-15000, field-idle, field-connect, field-relay, field-relay-9000,
                 field-relay-idle, field-relay-connect, field-framed-1, field-framed-16, field-udp, field-tls, field-tls-handshakes, field-hub,
                 which compare with what other languages and systems bring
  report         measure everything, faults too, in less than an hour, and write REPORT.md and report/ with pictures and raw
                 JSON; 9 visits of 0.4 s by default. --only wants --out then, and takes faults too: fault-cap, fault-emfile, fault-silence,
                 fault-drain, fault-stall
  --quick        in less than ten minutes: 3 visits of 0.2 s; it comes right behind `report`
  --out FOLDER   where the report goes (default: docs of the project)
  peer NAME      be one of the servers, on a port of 127.0.0.1 told on standard output; those that pass connections on
                 do so to ADDRESS

Prints a Markdown table. Exit code: 0 all targets met, 1 not all, 2 a row could not be measured.";

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    /// One of the servers, and the one that it passes connections on to.
    Peer(Peer, Option<SocketAddr>),
    Measure(Options),
    Report(Options),
}

/// How to measure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    pub(crate) visits: usize,
    pub(crate) duration: Duration,
    pub(crate) cores: Option<(usize, usize)>,
    pub(crate) only: Vec<String>,
    /// Of the report: where it goes, and how long it may take.
    pub(crate) out: PathBuf,
    pub(crate) limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            visits: 9,
            duration: Duration::from_millis(1500),
            cores: None,
            only: Vec::new(),
            out: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")),
            limit: Duration::from_secs(56 * 60),
        }
    }
}

impl Options {
    /// Of the report: shorter visits, for there are many.
    fn report() -> Self {
        Self { duration: Duration::from_millis(400), ..Self::default() }
    }

    /// Of a report in ten minutes.
    fn quick() -> Self {
        Self { visits: 3, duration: Duration::from_millis(200), limit: Duration::from_secs(500), ..Self::default() }
    }

    /// The rows chosen: those named, or else those that are measured by default.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &'static Row> {
        row::all().filter(|row| match &self.only[..] {
            [] => row.by_default,
            _ => self.chosen(row.name),
        })
    }

    /// Those of the report: by default all but what compares peers with each other.
    pub(crate) fn report_rows(&self) -> impl Iterator<Item = &'static Row> {
        row::all().filter(|row| match &self.only[..] {
            [] => !row.name.starts_with("peers-"),
            _ => self.chosen(row.name),
        })
    }

    /// Whether that row or fault is named, or none is.
    pub(crate) fn chosen(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|chosen| chosen == name)
    }
}

pub(crate) fn parse(given: &[String]) -> Result<Command, String> {
    let mut words = given.iter().peekable();
    let is_report = words.next_if(|word| *word == "report").is_some();
    let is_quick = is_report && words.next_if(|word| *word == "--quick").is_some();
    let mut options = match (is_report, is_quick) {
        (false, _) => Options::default(),
        (true, false) => Options::report(),
        (true, true) => Options::quick(),
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "-h" | "--help" => return Ok(Command::Help),
            "peer" => return Ok(Command::Peer(value()?.parse()?, words.next().map(|word| address(word)).transpose()?)),
            "--visits" => options.visits = positive(word, value()?)?,
            "--seconds" => options.duration = seconds(value()?)?,
            "--cores" => options.cores = Some(cores(value()?)?),
            "--only" => options.only.push(chosen(value()?, is_report)?),
            "--out" if is_report => options.out = PathBuf::from(value()?),
            // What `cargo bench` adds of its own.
            "--bench" => {}
            _ => return Err(format!("unknown argument {word:?}")),
        }
    }
    if is_report && !options.only.is_empty() && options.out == Options::default().out {
        return Err("--only: a part of the report would take the place of the whole; say --out FOLDER".to_owned());
    }
    Ok(if is_report { Command::Report(options) } else { Command::Measure(options) })
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

fn address(value: &str) -> Result<SocketAddr, String> {
    value.parse().map_err(|_| format!("{value}: not an address, such as 127.0.0.1:80"))
}

/// A row or, in the report, a fault.
fn chosen(name: &str, is_report: bool) -> Result<String, String> {
    let rows = row::all().map(|row| row.name);
    let faults = FAULTS.iter().map(|fault| fault.name).filter(|_| is_report);
    let known: Vec<&str> = rows.chain(faults).collect();
    if known.contains(&name) {
        return Ok(name.to_owned());
    }
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
            ..Options::default()
        };
        let line = "--visits 3 --seconds 0.5 --cores 2,3 --only echo --only line";
        assert_eq!(parsed(line), Ok(Command::Measure(options.clone())));
        assert_eq!(options.rows().map(|row| row.name).collect::<Vec<_>>(), ["echo", "line"]);
        assert_eq!(parsed("peer epoll-echo"), Ok(Command::Peer(Peer::EpollEcho, None)));
        assert_eq!(parsed("--help"), Ok(Command::Help));
    }

    #[test]
    fn a_report() {
        assert_eq!(parsed("report"), Ok(Command::Report(Options::report())));
        let quick = Options { out: "/x".into(), only: vec!["fault-cap".to_owned()], ..Options::quick() };
        assert_eq!(parsed("report --quick --out /x --only fault-cap"), Ok(Command::Report(quick.clone())));
        assert_eq!(quick.report_rows().count(), 0);
        assert!(quick.chosen("fault-cap") && !quick.chosen("fault-drain"));
        assert!(parsed("--only fault-cap").is_err(), "only the report has faults");
    }

    #[test]
    fn help_names_every_row_and_fault() {
        let words: Vec<&str> = HELP.split([' ', ',', ';', '\n']).collect();
        for row in row::all() {
            assert!(words.contains(&row.name), "{}", row.name);
        }
        for fault in FAULTS {
            assert!(words.contains(&fault.name), "{}", fault.name);
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
            "report --only nothing",
            "report --only fault-cap --seconds 1 --out",
            "--out",
            "peer nobody",
            "peer tokio-relay nowhere",
            "--what",
        ] {
            let error = parsed(line).unwrap_err();
            let word = line.split(' ').next_back().unwrap();
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
