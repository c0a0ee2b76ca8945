//! The PROXY protocol with what speaks it: HAProxy in front, our own client; TLS, messages and packets behind it or beside.
//!
//! What a server knows and does before a header is there is in `tests/limits/proxies.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod behind;
mod haproxy;
mod roles;

use socketserver_testkit::{How, Suite, play};
use std::process::ExitCode;

const MODELS: [How; 5] = [How::Serial, How::Threads(20), How::Forks(20), How::Prefork(2, 20), How::Tasks(2)];

fn main() -> ExitCode {
    if let Some(status) = play(roles::ALL) {
        return status;
    }
    let mut suite = Suite::default();
    haproxy::add(&mut suite);
    behind::add(&mut suite);
    suite.run(Some(4))
}
