//! Files that change, by a clock of the test's own.

use super::*;
use crate::tls::acceptor::Outcome;
use crate::tls::watcher::Watcher;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Watched {
    ca: Authority,
    files: [PathBuf; 2],
    acceptor: Arc<Acceptor>,
    watcher: Watcher,
    now: Instant,
}

impl Watched {
    fn new() -> Self {
        let ca = Authority::new("ca");
        let files = ca.issue_files("a");
        let acceptor = Arc::new(acceptor(ServerTls::new().certificate(&files[0], &files[1])));
        let watcher = Watcher::new(acceptor.clone());
        let mut new = Self { ca, files, acceptor, watcher, now: Instant::now() };
        assert_eq!(new.turn(), []);
        new
    }

    /// A step, as late as it was asked for.
    fn turn(&mut self) -> Vec<Outcome> {
        let mut told = Vec::new();
        let next = self.watcher.turn(self.now, &mut |outcome| {
            told.push(match outcome {
                Outcome::Reloaded(fingerprints) => Outcome::Reloaded(fingerprints.clone()),
                Outcome::Failed(words) => Outcome::Failed(words.clone()),
            });
        });
        // The keys of tickets are hours away.
        if let Some(next) = next.filter(|next| *next < self.now + Duration::from_secs(60)) {
            self.now = next;
        }
        told
    }

    fn reloaded(&self) -> [Outcome; 1] {
        [Outcome::Reloaded(ServerTls::new().certificate(&self.files[0], &self.files[1]).fingerprints().unwrap())]
    }
}

#[test]
fn half_of_a_pair_is_waited_for() {
    let mut watched = Watched::new();
    let (certificate, key) = watched.ca.issue(&["a"]);
    let generation = watched.acceptor.generation();
    fs::write(&watched.files[1], key).unwrap();
    for _ in 0..4 {
        assert_eq!(watched.turn(), []);
    }
    assert_eq!(watched.acceptor.generation(), generation);
    fs::write(&watched.files[0], certificate).unwrap();
    assert_eq!(watched.turn(), watched.reloaded());
    assert_ne!(watched.acceptor.generation(), generation);
    assert_eq!(watched.turn(), []);
}

#[test]
fn what_stays_wrong_is_told_once() {
    let mut watched = Watched::new();
    let good = fs::read(&watched.files[1]).unwrap();
    let mut told = Vec::new();
    let since = watched.now;
    for _ in 0..3 {
        fs::write(&watched.files[1], "nonsense").unwrap();
        for _ in 0..10 {
            let outcomes = watched.turn();
            if told.is_empty() && !outcomes.is_empty() {
                assert!(watched.now - since >= Duration::from_millis(500));
            }
            told.extend(outcomes);
        }
    }
    assert!(
        matches!(&told[..], [Outcome::Failed(words)] if words.contains("there is no private key in it")),
        "{told:?}"
    );
    // As it was before: nothing has changed. What goes wrong after that is told again.
    fs::write(&watched.files[1], good).unwrap();
    fs::write(&watched.files[1], "nonsense").unwrap();
    fs::remove_file(&watched.files[1]).unwrap();
    let told: Vec<_> = (0..10).flat_map(|_| watched.turn()).collect();
    assert!(matches!(&told[..], [Outcome::Failed(words)] if words.contains("cannot read")), "{told:?}");
}

#[test]
fn what_changed_before_it_was_watched_is_seen() {
    let ca = Authority::new("ca");
    let files = ca.issue_files("a");
    let acceptor = Arc::new(acceptor(ServerTls::new().certificate(&files[0], &files[1])));
    ca.issue_files("a");
    let mut told = Vec::new();
    Watcher::new(acceptor).turn(Instant::now(), &mut |outcome| told.push(matches!(outcome, Outcome::Reloaded(_))));
    assert_eq!(told, [true]);
}

#[test]
fn a_failure_that_was_asked_for_is_told_at_once_and_each_time() {
    let mut watched = Watched::new();
    fs::write(&watched.files[0], "").unwrap();
    for _ in 0..2 {
        assert!(watched.acceptor.reload().is_err());
        assert!(matches!(&watched.turn()[..], [Outcome::Failed(_)]));
    }
    let told: Vec<_> = (0..10).flat_map(|_| watched.turn()).collect();
    assert_eq!(told, [], "that the file had changed was told already");
}

#[test]
fn a_server_that_nobody_runs_keeps_the_latest() {
    let watched = Watched::new();
    fs::write(&watched.files[0], "").unwrap();
    for _ in 0..100 {
        assert!(watched.acceptor.reload().is_err());
    }
    assert_eq!(watched.acceptor.take_outcomes().len(), 16);
}
