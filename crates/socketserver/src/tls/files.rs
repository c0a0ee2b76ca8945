//! Certificates and keys as they are kept: PEM (RFC 7468), in files or in memory.

use crate::{Error, ErrorKind};
use rustix::fs::{FileType, Mode, OFlags};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest file that is read. All authorities of the web are a tenth of it.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Where something in PEM is from.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Source {
    File(PathBuf),
    Bytes(Arc<[u8]>),
}

impl Source {
    /// The file, by a path that stays right when the working directory changes.
    pub(super) fn path(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        Self::File(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
    }

    /// What is in memory already.
    pub(super) fn bytes(pem: impl AsRef<[u8]>) -> Self {
        Self::Bytes(Arc::from(pem.as_ref()))
    }

    pub(super) fn file(&self) -> Option<&Path> {
        if let Self::File(path) = self { Some(path) } else { None }
    }

    pub(super) fn read(&self) -> Result<Vec<u8>, Error> {
        match self {
            Self::File(path) => {
                read(path).map_err(|error| Error::io(format!("cannot read `{}`", path.display()), error))
            }
            Self::Bytes(bytes) => Ok(bytes.to_vec()),
        }
    }

    /// It was read and is of no use.
    pub(super) fn useless(&self, why: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Tls, format!("{self}: {why}"))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Bytes(_) => f.write_str("the PEM that was given"),
        }
    }
}

/// It may hold a key.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // One that waits for a writer would hold up everything.
    let fd =
        rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())?;
    let stat = rustix::fs::fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    File::from(fd).take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it is longer than {LONGEST} bytes")));
    }
    Ok(bytes)
}

/// All certificates, in their order.
pub(super) fn certificates(source: &Source, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| source.useless(malformed(&error)))?;
    if found.is_empty() {
        return Err(source.useless(format_args!("there is no certificate in it{}", instead(pem))));
    }
    Ok(found)
}

/// The first private key: PKCS#8 (`PRIVATE KEY`), SEC 1 (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`).
pub(super) fn private_key(source: &Source, pem: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    let encrypted = [&b"-----BEGIN ENCRYPTED PRIVATE KEY-----"[..], b"Proc-Type: 4,ENCRYPTED"];
    if encrypted.iter().any(|words| memchr::memmem::find(pem, words).is_some()) {
        let words = "the key is encrypted: `openssl pkey -in FILE -out FILE` writes it without a password";
        return Err(source.useless(words));
    }
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => {
            // OpenSSH has a kind of its own, and so has DSA.
            let instead = if holds_key(pem) {
                ", but one of a kind that TLS has no use for: it is to be PKCS#8, SEC 1 or PKCS#1"
            } else {
                instead(pem)
            };
            Err(source.useless(format_args!("there is no private key in it{instead}")))
        }
        Err(error) => Err(source.useless(malformed(&error))),
    }
}

/// Authorities that are trusted.
pub(super) fn authorities(sources: &[(Source, Vec<u8>)]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for (source, pem) in sources {
        for certificate in certificates(source, pem)? {
            let added = roots.add(certificate);
            added.map_err(|error| source.useless(format_args!("an authority in it is of no use: {error}")))?;
        }
    }
    Ok(roots)
}

fn malformed(error: &pem::Error) -> String {
    match error {
        // It would repeat what may be a key.
        pem::Error::Base64Decode(_) => "what stands between its lines of dashes is no base64".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a line that begins with dashes does not end with them".to_owned(),
        pem::Error::MissingSectionEnd { .. } => "it ends in the middle: a line with `-----END` is missing".to_owned(),
        other => other.to_string(),
    }
}

/// What may have been taken for it.
fn instead(pem: &[u8]) -> &'static str {
    if holds_key(pem) {
        ", but a private key"
    } else if memchr::memmem::find(pem, b"-----BEGIN CERTIFICATE-----").is_some() {
        ", but a certificate"
    } else if pem.is_empty() {
        ": it is empty"
    } else if pem.starts_with(&[0x30]) {
        ": it is DER, and PEM is wanted, the text with `-----BEGIN`"
    } else {
        ""
    }
}

/// Whether there is a private key in it, of whatever kind.
fn holds_key(pem: &[u8]) -> bool {
    memchr::memmem::find(pem, b"PRIVATE KEY-----").is_some()
}
