//! What every model does alike, over TCP and over Unix sockets: each server in a process of its own, each client a plain
//! socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod drain;
mod failures;
mod forks;
mod hostile;
mod limits;
mod prefork;
mod roles;
mod serving;
mod tasks;

use socketserver_testkit::{How, Stage, Suite, allow_descriptors, play};
use std::process::ExitCode;

const MODELS: [How; 6] =
    [How::Serial, How::Threads(8), How::Forks(8), How::Prefork(2, 8), How::Tasks(1), How::Tasks(2)];
/// Those that serve several connections at a time.
const PARALLEL: [How; 5] = [How::Threads(8), How::Forks(8), How::Prefork(2, 8), How::Tasks(1), How::Tasks(2)];
const FORKING: [How; 2] = [How::Forks(8), How::Prefork(2, 8)];
const TASKS: [How; 2] = [How::Tasks(1), How::Tasks(2)];

const DESCRIPTORS: u64 = 4_000;

/// A client comes, is served by a script, and goes.
fn is_served(stage: &Stage) {
    let mut client = stage.connect();
    client.say("echo hello\n");
    client.expect("hello\n");
    client.end();
    client.expect_end();
    stage.line("closed ");
}

fn main() -> ExitCode {
    if let Some(status) = play(&[roles::ALL, tasks::ROLES].concat()) {
        return status;
    }
    allow_descriptors(DESCRIPTORS);
    let mut suite = Suite::default();
    serving::add(&mut suite);
    failures::add(&mut suite);
    limits::add(&mut suite);
    drain::add(&mut suite);
    hostile::add(&mut suite);
    forks::add(&mut suite);
    prefork::add(&mut suite);
    tasks::add(&mut suite);
    suite.run(None)
}
