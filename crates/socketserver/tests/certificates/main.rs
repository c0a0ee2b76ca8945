//! Certificates of a server that runs, on every model: in a process of its own, with files that OpenSSL makes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod reload;
mod renewal;
mod roles;

use rustix::process::Signal;
use socketserver::blocking::Stream;
use socketserver::client::{ClientTls, Connector};
use socketserver::{Endpoint, Fingerprint};
use socketserver_testkit::{How, OpenSsl, Stage, Suite, play};
use std::path::Path;
use std::process::ExitCode;

const MODELS: [How; 7] =
    [How::Serial, How::Threads(4), How::Forks(4), How::Prefork(2, 4), How::Tasks(1), How::Tasks(2), How::Run];

/// A server whose certificate is `live.pem`, and its key `live.key`, in that directory, and a client of it.
fn open(role: &str, how: How, openssl: &OpenSsl, dir: &Path) -> (Stage, Stream) {
    let stage = Stage::open_with(role, how, "tls://127.0.0.1:0", &dir.display().to_string());
    let client = connect(stage.endpoint(), openssl, dir);
    (stage, client)
}

/// A client that takes what is in `live.pem` now, and nothing else.
fn connect(endpoint: &Endpoint, openssl: &OpenSsl, dir: &Path) -> Stream {
    let live: Fingerprint = openssl.fingerprint(&dir.join("live.pem").display().to_string()).parse().unwrap();
    let mut client = Connector::new().tls(ClientTls::new().fingerprint(live)).connect(endpoint).unwrap();
    assert_eq!(ask(&mut client, "echo hello"), "hello");
    client
}

fn ask(client: &mut Stream, line: &str) -> String {
    client.write_all(format!("{line}\n").as_bytes()).unwrap();
    client.read_line(1000).unwrap().unwrap()
}

/// Does what takes several steps while the server stands still: how long they take does not matter then.
fn unseen(stage: &Stage, steps: impl FnOnce()) {
    stage.signal(Signal::STOP);
    stage.process().settles("it stands still", |process| process.state() == Some('T'));
    steps();
    stage.signal(Signal::CONT);
}

/// A certificate of that name takes the place of another, and its key of the other's key.
fn rename(openssl: &OpenSsl, from: &str, to: &str) {
    for kind in ["key", "pem"] {
        std::fs::rename(openssl.path(&format!("{from}.{kind}")), openssl.path(&format!("{to}.{kind}"))).unwrap();
    }
}

fn main() -> ExitCode {
    if let Some(status) = play(roles::ALL) {
        return status;
    }
    let mut suite = Suite::default();
    reload::add(&mut suite);
    renewal::add(&mut suite);
    suite.run(None)
}
