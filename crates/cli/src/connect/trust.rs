//! Whom `connect`, `call` and `load` trust over TLS, and who they are there.

use crate::args::first_given;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use socketserver::client::{ClientTls, Connector};
use socketserver::{Endpoint, Failure, Fingerprint};
use std::io;
use std::path::{Path, PathBuf};

const TLS: &str = "TLS (tls://)";

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Trust {
    /// Trust the authorities in this file, PEM, in place of the system's; may be given several times
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    ca: Vec<PathBuf>,

    /// Trust the certificate with this fingerprint and no other, whoever issued it, for whatever name and until whenever
    ///
    /// `serve --tls-self-signed` prints it, and so does `openssl x509 -noout -fingerprint -sha256 -in FILE`. It is worth as
    /// much as the way on which you got it.
    #[arg(long, value_name = "SHA256", help_heading = TLS)]
    insecure_fingerprint: Option<Fingerprint>,

    /// The name, or the address, that the certificate is to be for, in place of the host that is connected to
    #[arg(long, value_name = "NAME", help_heading = TLS)]
    server_name: Option<String>,

    /// A certificate to show to the server, with the chain above it, PEM
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    tls_cert: Option<PathBuf>,

    /// Its key; not needed where they stand in one file
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    tls_key: Option<PathBuf>,

    /// What is to be spoken over it, the best first (ALPN)
    #[arg(long, value_name = "PROTO", value_delimiter = ',', help_heading = TLS)]
    tls_alpn: Vec<String>,
}

impl Trust {
    /// How to connect there.
    ///
    /// # Errors
    /// Arguments that do not go together, or have nothing to be for, and files that cannot be read.
    pub(crate) fn connector(&self, address: &Endpoint) -> Result<Connector, Failure> {
        let tls = self.client_tls(address)?;
        Ok(tls.map_or_else(Connector::new, |tls| Connector::new().tls(tls)))
    }

    /// How to shake hands there; `None` where there is no TLS.
    ///
    /// # Errors
    /// As [`connector`](Self::connector).
    pub(crate) fn client_tls(&self, address: &Endpoint) -> Result<Option<ClientTls>, Failure> {
        if !address.is_tls() {
            return match self.given() {
                Some(flag) => Err(format!("`{flag}` is for `tls://…`, and `{address}` has no TLS").into()),
                None => Ok(None),
            };
        }
        if self.insecure_fingerprint.is_some() && !self.ca.is_empty() {
            Err(
                "`--insecure-fingerprint` trusts one certificate, whoever issued it, and `--ca` those that somebody has \
                 issued: give one of them",
            )?;
        }
        if self.insecure_fingerprint.is_some() && self.server_name.is_some() {
            Err("`--insecure-fingerprint` trusts one certificate, whatever name it is for: leave out `--server-name`")?;
        }
        if self.tls_cert.is_none() && self.tls_key.is_some() {
            Err("`--tls-key` wants the certificate that the key is of: `--tls-cert FILE`")?;
        }
        for file in self.ca.iter().chain(&self.tls_cert).chain(&self.tls_key) {
            readable(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
        }
        let mut tls = self.ca.iter().fold(ClientTls::new().alpn(&self.tls_alpn), ClientTls::ca);
        if let Some(fingerprint) = self.insecure_fingerprint {
            tls = tls.fingerprint(fingerprint);
        }
        if let Some(name) = &self.server_name {
            tls = tls.server_name(name);
        }
        if let Some(certificate) = &self.tls_cert {
            tls = tls.certificate(certificate, self.tls_key.as_ref().unwrap_or(certificate));
        }
        Ok(Some(tls))
    }

    /// The first flag of these that was given.
    fn given(&self) -> Option<&'static str> {
        first_given([
            ("--ca", !self.ca.is_empty()),
            ("--insecure-fingerprint", self.insecure_fingerprint.is_some()),
            ("--server-name", self.server_name.is_some()),
            ("--tls-cert", self.tls_cert.is_some()),
            ("--tls-key", self.tls_key.is_some()),
            ("--tls-alpn", !self.tls_alpn.is_empty()),
        ])
    }
}

/// Whether a file can be read: it is, once the server is there, and then what fails is taken for the network's.
fn readable(file: &Path) -> io::Result<()> {
    // One that waits for a writer is none.
    let fd = open(file, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())?;
    match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
        FileType::RegularFile => Ok(()),
        _ => Err(io::Error::other("it is no file")),
    }
}
