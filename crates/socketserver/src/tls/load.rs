use super::certificates::Certificates;
use super::files::{Source, authorities, certificates, private_key};
use super::provider::{provider, sha256, ticketer};
use super::server::{Pair, ServerTls};
use super::{Fingerprint, Identity, TlsVersion};
use crate::{Error, ErrorKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig, SupportedProtocolVersion};
use std::fmt;
use std::sync::Arc;

/// What the files of a server hold at one time.
pub(super) struct Inputs {
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
    client_cas: Vec<(Source, Vec<u8>)>,
}

impl Inputs {
    pub(super) fn read(tls: &ServerTls) -> Result<Self, Error> {
        let pairs = tls.pairs.iter().map(|pair| match pair {
            Pair::Pem { chain, key } => Ok((chain.read()?, key.read()?)),
            Pair::Made { certificate, key } => Ok((certificate.to_vec(), key.to_vec())),
        });
        let client_cas = tls.client_cas.iter().map(|source| Ok((source.clone(), source.read()?)));
        Ok(Self { pairs: pairs.collect::<Result<_, Error>>()?, client_cas: client_cas.collect::<Result<_, Error>>()? })
    }

    /// What tells these from others.
    pub(super) fn digest(&self) -> Fingerprint {
        let pairs = self.pairs.iter().flat_map(|(chain, key)| [chain.as_slice(), key.as_slice()]);
        digest(pairs.chain(self.authorities()))
    }

    fn authorities(&self) -> impl Iterator<Item = &[u8]> {
        self.client_cas.iter().map(|(_, pem)| pem.as_slice())
    }
}

fn digest<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Fingerprint {
    let mut digests = Vec::new();
    pieces.for_each(|piece| digests.extend_from_slice(sha256(piece).as_bytes()));
    sha256(&digests)
}

/// How sessions of earlier connections go on. It outlasts a reload.
#[derive(Clone)]
pub(super) struct Resumption {
    pub(super) ticketer: Arc<dyn ProducesTickets>,
    sessions: Arc<dyn StoresServerSessions>,
    /// For these authorities: a session that goes on shows no certificate again, so others must not take it over.
    authorities: Fingerprint,
}

impl Resumption {
    /// How many sessions are kept for clients of TLS 1.2 that take no tickets.
    const SESSIONS: usize = 256;
    /// A session has the client's certificates in it, a few KiB.
    const LONGEST: usize = 16 * 1024;

    fn new(authorities: Fingerprint) -> Result<Self, Error> {
        let ticketer = ticketer().map_err(|error| useless(format!("no keys for session tickets: {error}")))?;
        let resumption = Self { ticketer, sessions: ServerSessionMemoryCache::new(Self::SESSIONS), authorities };
        resumption.prepare();
        Ok(resumption)
    }

    /// For those who are forked from now on. The keys that they have in common are changed here when it is time. And rustls
    /// does not look at a ticket that is longer than any which this very process has made: what one child gives the client
    /// is to be of use to the next, so one is made that is long.
    pub(super) fn prepare(&self) {
        let _ = self.ticketer.encrypt(&[0; Self::LONGEST]);
    }
}

impl fmt::Debug for Resumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resumption").finish_non_exhaustive()
    }
}

/// What a server shakes hands with.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    /// Of the certificates, in their order.
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) resumption: Resumption,
}

impl Loaded {
    pub(super) fn new(tls: &ServerTls, inputs: &Inputs, resumption: Option<&Resumption>) -> Result<Self, Error> {
        if tls.pairs.is_empty() {
            return Err(useless("TLS needs a certificate: `ServerTls::certificate` names one and its key".to_owned()));
        }
        let pairs = tls.pairs.iter().zip(&inputs.pairs);
        let pairs: Vec<_> = pairs.map(|(pair, (chain, key))| pair.load(chain, key)).collect::<Result<_, _>>()?;
        let fingerprints = pairs.iter().map(|(_, identity)| identity.fingerprint()).collect();
        let authorities = digest(inputs.authorities());
        let resumption = match resumption.filter(|resumption| resumption.authorities == authorities) {
            Some(resumption) => resumption.clone(),
            None => Resumption::new(authorities)?,
        };
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions(tls.min_version))
            .map_err(|error| useless(error.to_string()))?;
        let builder = if inputs.client_cas.is_empty() {
            builder.with_no_client_auth()
        } else {
            builder.with_client_cert_verifier(verifier(tls, &inputs.client_cas)?)
        };
        let mut config = builder.with_cert_resolver(Arc::new(Certificates::new(pairs)));
        config.alpn_protocols = alpn(&tls.alpn)?;
        config.ticketer = resumption.ticketer.clone();
        config.session_storage = resumption.sessions.clone();
        Ok(Self { config: Arc::new(config), fingerprints, resumption })
    }
}

fn verifier(
    tls: &ServerTls,
    client_cas: &[(Source, Vec<u8>)],
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, Error> {
    let roots = Arc::new(authorities(client_cas)?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
    let builder = if tls.client_required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| useless(format!("no client's certificate can be verified: {error}")))
}

impl Pair {
    /// The certificate and its key, and whom it names.
    fn load(&self, chain: &[u8], key: &[u8]) -> Result<(Arc<CertifiedKey>, Identity), Error> {
        match self {
            Self::Pem { chain: of_chain, key: of_key } => {
                certified(of_chain, certificates(of_chain, chain)?, of_key, private_key(of_key, key)?)
            }
            Self::Made { certificate, .. } => {
                let made = Source::Bytes(Arc::default());
                let key = PrivatePkcs8KeyDer::from(key.to_vec());
                certified(&made, vec![certificate.clone()], &made, key.into())
            }
        }
    }
}

/// A certificate with its key, if they belong together.
pub(super) fn certified(
    of_chain: &Source,
    chain: Vec<CertificateDer<'static>>,
    of_key: &Source,
    key: PrivateKeyDer<'static>,
) -> Result<(Arc<CertifiedKey>, Identity), Error> {
    let key = provider().key_provider.load_private_key(key);
    let key = key.map_err(|error| of_key.useless(format_args!("the key is of no use: {error}")))?;
    let identity = Identity::from_der(&chain[0]).map_err(|error| of_chain.useless(error))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok((Arc::new(certified), identity)),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let mut others = certified.cert.iter().skip(1);
            let is_its = |other: &CertificateDer<'static>| {
                CertifiedKey::new(vec![other.clone()], certified.key.clone()).keys_match().is_ok()
            };
            Err(if others.any(is_its) {
                of_chain.useless(format_args!("the certificate of the key in {of_key} must come first"))
            } else {
                of_key.useless(format_args!("the key is not that of the certificate in {of_chain}"))
            })
        }
        Err(error) => Err(of_chain.useless(format_args!("the certificate is of no use: {error}"))),
    }
}

/// Versions from this one on.
pub(super) fn versions(min: TlsVersion) -> Vec<&'static SupportedProtocolVersion> {
    match min {
        TlsVersion::Tls12 => vec![&TLS13, &TLS12],
        TlsVersion::Tls13 => vec![&TLS13],
    }
}

/// Names of protocols, which have 1 to 255 bytes (RFC 7301, section 3.1).
pub(super) fn alpn(names: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Error> {
    match names.iter().find(|name| name.is_empty() || name.len() > 255) {
        Some(name) => Err(useless(format!("the name of a protocol (ALPN) has 1 to 255 bytes, not {}", name.len()))),
        None => Ok(names.to_vec()),
    }
}

pub(super) fn useless(words: String) -> Error {
    Error::new(ErrorKind::Tls, words)
}
