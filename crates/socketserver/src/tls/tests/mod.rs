//! Handshakes in memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clients;
mod files;
mod handshakes;
mod names;
mod resumption;
#[cfg(feature = "self-signed")]
mod self_signed;
mod watching;

use super::{Acceptor, ClientTls, HandshakeFailure, ServerTls, classify};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{ClientConnection, ServerConnection};
use socketserver_proto::{Endpoint, Host};
use std::io::Cursor;
use std::path::PathBuf;
use tempfile::TempDir;

/// An authority, and a directory for what it issues.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let new = Self { issuer, dir: tempfile::tempdir().unwrap() };
        std::fs::write(new.file(), new.issuer.pem()).unwrap();
        new
    }

    /// Its own certificate.
    fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A certificate for these names, and its key.
    fn issue(&self, names: &[&str]) -> (String, String) {
        self.issue_with(names, |_| {})
    }

    fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// The same, in two files.
    fn issue_files(&self, name: &str) -> [PathBuf; 2] {
        let (certificate, key) = self.issue(&[name]);
        let files = ["pem", "key"].map(|kind| self.dir.path().join(format!("{name}.{kind}")));
        for (file, content) in files.iter().zip([certificate, key]) {
            std::fs::write(file, content).unwrap();
        }
        files
    }

    /// A server with a certificate for these names.
    fn server(&self, names: &[&str]) -> ServerTls {
        let (certificate, key) = self.issue(names);
        ServerTls::new().certificate_pem(certificate, key)
    }

    /// A client that trusts it.
    fn client(&self) -> ClientTls {
        ClientTls::new().ca(self.file())
    }
}

/// The host of a URL.
fn host(name: &str) -> Host {
    let Endpoint::Tcp { host, .. } = format!("tcp://{name}:1").parse().unwrap() else { unreachable!() };
    host
}

/// The two ends of a connection, and why it came to nothing, as each of them sees it.
struct Ends {
    client: ClientConnection,
    server: ServerConnection,
    failed: [Option<HandshakeFailure>; 2],
}

impl Ends {
    fn new(server: &Acceptor, client: &ClientTls, name: &str) -> Self {
        Self { client: client.session(&host(name)).unwrap(), server: server.session().unwrap(), failed: [None; 2] }
    }

    /// Both say what they have to say, and hear it, until nobody says anything.
    fn talk(mut self) -> Self {
        loop {
            let mut spoken = false;
            let mut wire = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut wire).unwrap();
            }
            spoken |= !wire.is_empty();
            let mut wire = Cursor::new(wire);
            while wire.position() < wire.get_ref().len() as u64 && self.failed[1].is_none() {
                self.server.read_tls(&mut wire).unwrap();
                self.failed[1] = self.server.process_new_packets().err().map(|error| classify(&error));
            }
            let mut wire = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut wire).unwrap();
            }
            spoken |= !wire.is_empty();
            let mut wire = Cursor::new(wire);
            while wire.position() < wire.get_ref().len() as u64 && self.failed[0].is_none() {
                self.client.read_tls(&mut wire).unwrap();
                self.failed[0] = self.client.process_new_packets().err().map(|error| classify(&error));
            }
            if !spoken {
                return self;
            }
        }
    }
}

/// A whole conversation.
fn shake(server: &Acceptor, client: &ClientTls, name: &str) -> Ends {
    Ends::new(server, client, name).talk()
}

fn acceptor(tls: ServerTls) -> Acceptor {
    Acceptor::new(tls).unwrap()
}
