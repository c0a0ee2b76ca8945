//! What every model does alike with packets, over UDP and over Unix datagram sockets: each server in a process of its own,
//! each client a plain socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod drain;
mod every_address;
mod failures;
mod forks;
mod hold;
mod limit;
mod python;
mod roles;
mod serving;
mod side_by_side;

use hold::Hold;
use socketserver_testkit::{How, Stage, Suite, play};
use std::process::ExitCode;

const MODELS: [How; 6] =
    [How::Serial, How::Threads(8), How::Forks(8), How::Prefork(2, 8), How::Tasks(1), How::Tasks(2)];
/// Those where a handler that does not come back leaves `serve` to come to its end.
const PARALLEL: [How; 5] = [How::Threads(8), How::Forks(8), How::Prefork(2, 8), How::Tasks(1), How::Tasks(2)];
const FORKING: [How; 2] = [How::Forks(8), How::Prefork(2, 8)];

/// The server answers whoever comes now.
fn is_alive(stage: &Stage) {
    assert_eq!(stage.caller().ask("echo alive"), b"alive");
}

fn main() -> ExitCode {
    if let Some(status) = play(roles::ALL) {
        return status;
    }
    let mut suite = Suite::default();
    serving::add(&mut suite);
    every_address::add(&mut suite);
    failures::add(&mut suite);
    drain::add(&mut suite);
    limit::add(&mut suite);
    forks::add(&mut suite);
    side_by_side::add(&mut suite);
    python::add(&mut suite);
    suite.run(None)
}
