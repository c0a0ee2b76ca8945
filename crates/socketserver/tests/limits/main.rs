//! Limits, deadlines and what can be changed while a server runs, on every model: each server in a process of its own,
//! each client a plain socket.
//!
//! `SOCKETSERVER_LONG=1` makes children serve as many connections as the others do, and a crowd stay for half a minute.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cap;
mod crowd;
mod deadlines;
mod descriptors;
mod drain;
mod hub;
mod memory;
mod overload;
mod proxies;
mod roles;
mod rules;
mod slow;
mod steering;

use rustix::process::Signal;
use socketserver_testkit::{How, PATIENCE, Stage, Suite, allow_descriptors, play};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const MODELS: [How; 5] = [How::Serial, How::Threads(200), How::Forks(200), How::Prefork(2, 200), How::Tasks(2)];
/// Those that serve several connections at a time.
const PARALLEL: [How; 4] = [How::Threads(200), How::Forks(200), How::Prefork(2, 200), How::Tasks(2)];

const DESCRIPTORS: u64 = 12_000;

/// What the server says of one of its connections, by name.
type Fact = BTreeMap<String, String>;

/// Asks the server for its connections.
fn facts(stage: &Stage) -> Vec<Fact> {
    stage.signal(Signal::USR2);
    let line = stage.line("facts");
    let of = |part: &str| {
        let pairs = part.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    line.split('|').skip(1).map(of).collect()
}

/// Asks until it is so. What a server knows of its connections comes with no event.
#[track_caller]
fn settled(stage: &Stage, what: &str, is: impl Fn(&[Fact]) -> bool) -> Vec<Fact> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let facts = facts(stage);
        if is(&facts) {
            return facts;
        }
        assert!(Instant::now() < give_up, "not so: {what}; {facts:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How many connections are in this phase.
fn in_phase(facts: &[Fact], phase: &str) -> usize {
    facts.iter().filter(|fact| fact["phase"] == phase).count()
}

/// Has the server take the next step of its role.
fn step(stage: &Stage, name: &str) {
    stage.signal(Signal::USR1);
    assert_eq!(stage.line("step "), format!("step {name}"));
}

/// A number in a line, behind these words.
#[track_caller]
fn number(line: &str, before: &str) -> u64 {
    let at = line.find(before).unwrap_or_else(|| panic!("no `{before}` in {line}"));
    let digits: String = line[at + before.len()..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn main() -> ExitCode {
    if let Some(status) = play(roles::ALL) {
        return status;
    }
    allow_descriptors(DESCRIPTORS);
    let mut suite = Suite::default();
    cap::add(&mut suite);
    overload::add(&mut suite);
    slow::add(&mut suite);
    memory::add(&mut suite);
    crowd::add(&mut suite);
    descriptors::add(&mut suite);
    drain::add(&mut suite);
    hub::add(&mut suite);
    deadlines::add(&mut suite);
    steering::add(&mut suite);
    rules::add(&mut suite);
    proxies::add(&mut suite);
    // Most of them wait for a deadline most of the time.
    suite.run(Some(8))
}
