//! TLS on every model, with peers of others: each server in a process of its own, with certificates that OpenSSL makes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crowd;
mod hostile;
mod peers;
mod renewed;
mod roles;

use socketserver::client::{ClientTls, Connector};
use socketserver_testkit::{How, OpenSsl, Stage, Suite, allow_descriptors, play};
use std::process::ExitCode;

const MODELS: [How; 7] =
    [How::Serial, How::Threads(8), How::Forks(8), How::Prefork(2, 8), How::Tasks(1), How::Tasks(2), How::Run];

const DESCRIPTORS: u64 = 4_000;

/// An authority, `ca.pem`, and the server's certificate that it issued, `live.pem`.
fn authority() -> Option<OpenSsl> {
    let openssl = OpenSsl::find()?;
    openssl.authority("ca");
    openssl.issue("ca", "live", "DNS:localhost,IP:127.0.0.1");
    Some(openssl)
}

/// A server with the certificates that lie there.
fn open(role: &str, how: How, openssl: &OpenSsl) -> Stage {
    Stage::open_with(role, how, "tls://127.0.0.1:0", &openssl.dir().display().to_string())
}

/// Trusts the authority.
fn connector(openssl: &OpenSsl) -> Connector {
    Connector::new().tls(ClientTls::new().ca(openssl.path("ca.pem")))
}

fn main() -> ExitCode {
    if let Some(status) = play(roles::ALL) {
        return status;
    }
    allow_descriptors(DESCRIPTORS);
    let mut suite = Suite::default();
    peers::add(&mut suite);
    crowd::add(&mut suite);
    hostile::add(&mut suite);
    renewed::add(&mut suite);
    suite.run(None)
}
