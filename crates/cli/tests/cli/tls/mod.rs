//! TLS at the command: both its ends, against each other and against others' programs.

mod chat;
mod clients;
mod connect;
mod endings;
mod handlers;
mod log;
mod reload;
mod wrong;

use crate::harness::{Output, Served, command, run};
use socketserver_testkit::OpenSsl;

/// A server with a certificate that it has made, and the fingerprint of that.
#[track_caller]
fn made(args: &[&str]) -> (Served, String) {
    let addresses = args.iter().filter(|arg| arg.contains("://")).count();
    let args = [&["serve"], args, &["--tls-self-signed"]].concat();
    let served = Served::listening(command(&args), addresses);
    let line = served.said("SHA-256 fingerprint ");
    let fingerprint = line["SHA-256 fingerprint ".len()..].to_owned();
    (served, fingerprint)
}

/// `connect` there, which trusts that certificate alone.
#[track_caller]
fn connect(address: &str, fingerprint: &str, input: impl AsRef<[u8]>) -> Output {
    run(&["connect", address, "--insecure-fingerprint", fingerprint], input.as_ref())
}

/// An authority, `ca`, and what it has issued: `server`, for this machine, and `client`. `other` has signed itself.
pub(crate) struct Office {
    pub(crate) openssl: OpenSsl,
}

impl Office {
    /// `None` where there is no OpenSSL: the test is skipped.
    pub(crate) fn open() -> Option<Self> {
        let openssl = OpenSsl::find()?;
        openssl.authority("ca");
        openssl.issue("ca", "server", "DNS:localhost,IP:127.0.0.1");
        openssl.issue("ca", "client", "DNS:client.example");
        openssl.self_signed("other", "DNS:localhost,IP:127.0.0.1");
        Some(Self { openssl })
    }

    /// The path of a file.
    pub(crate) fn path(&self, name: &str) -> String {
        self.openssl.path(name).to_str().unwrap().to_owned()
    }

    /// `serve` with the server's certificate, and these arguments.
    #[track_caller]
    fn serve(&self, args: &[&str]) -> Served {
        let (certificate, key) = (self.path("server.pem"), self.path("server.key"));
        Served::start(&[args, &["--tls-cert", &certificate, "--tls-key", &key]].concat())
    }

    /// `connect` there, which trusts the authority, with these arguments.
    #[track_caller]
    fn connect(&self, served: &Served, args: &[&str], input: &str) -> Output {
        run(&[&["connect", served.address(), "--ca", &self.path("ca.pem")], args].concat(), input.as_bytes())
    }
}
