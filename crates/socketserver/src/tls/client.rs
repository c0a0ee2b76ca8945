use super::files::{Source, authorities, certificates, private_key};
use super::load::{alpn, certified, useless, versions};
use super::pinned::Pinned;
use super::provider::provider;
use super::{Fingerprint, TlsVersion};
use crate::Error;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{DnsName, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use socketserver_proto::Host;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// How a client shakes hands: whom it trusts, and who it is.
///
/// Unless told otherwise it trusts the authorities of the system (those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, where these
/// are set), wants a certificate for the host that it connects to, and shows none itself. TLS 1.2 and 1.3 are spoken.
///
/// Clones share their sessions: a second connection to the same host goes on where the first one was. Files are read once,
/// for the first connection.
///
/// ```
/// use socketserver::client::{ClientTls, Connector};
/// use socketserver::{Server, ServerTls, Threads, blocking};
///
/// # let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let tls = ServerTls::new().certificate_pem(&certificate, key);
/// let fingerprint = tls.fingerprint()?;
/// let server = Server::bind("tls://127.0.0.1:0")?
///     .tls(tls)?
///     .spawn(Threads::default(), |c: &mut blocking::Stream| Ok(c.write_all(b"hello")?))?;
/// for tls in [ClientTls::new().ca_pem(&certificate), ClientTls::new().fingerprint(fingerprint)] {
///     let mut c = Connector::new().tls(tls).connect(&server.handle().endpoints()[0])?;
///     assert_eq!(c.read_to_end(100)?, b"hello");
/// }
/// # server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Clone)]
pub struct ClientTls {
    cas: Vec<Source>,
    pin: Option<Fingerprint>,
    server_name: Option<String>,
    pair: Option<(Source, Source)>,
    alpn: Vec<Vec<u8>>,
    min_version: TlsVersion,
    ready: Option<Arc<ClientConfig>>,
    /// Made for the first connection.
    made: Arc<Mutex<Option<Arc<ClientConfig>>>>,
}

impl ClientTls {
    /// The authorities of the system, and no certificate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            cas: Vec::new(),
            pin: None,
            server_name: None,
            pair: None,
            alpn: Vec::new(),
            min_version: TlsVersion::Tls12,
            ready: None,
            made: Arc::default(),
        }
    }

    /// What rustls was told elsewhere. Nothing but [`server_name`](Self::server_name) counts beside it.
    #[must_use]
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        Self { ready: Some(config), ..Self::new() }
    }

    /// Trusts these authorities in place of the system's. Those of several files add up.
    #[must_use]
    pub fn ca(mut self, path: impl AsRef<Path>) -> Self {
        self.cas.push(Source::path(path));
        self.anew()
    }

    /// As [`ca`](Self::ca), from memory.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.cas.push(Source::bytes(pem));
        self.anew()
    }

    /// Trusts this one certificate and no other, whoever issued it, for whatever name and until whenever. That the server
    /// has its key is verified.
    #[must_use]
    pub fn fingerprint(mut self, fingerprint: impl Into<Fingerprint>) -> Self {
        self.pin = Some(fingerprint.into());
        self.anew()
    }

    /// The name, or the address, that the certificate is to be for, and that the server is asked for (SNI; addresses are not
    /// asked for). The host that is connected to, unless said otherwise.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The certificate that is shown to a server which asks for one, with the chain above it, and its key, as
    /// [`ServerTls::certificate`](crate::ServerTls::certificate) has them.
    #[must_use]
    pub fn certificate(mut self, chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        self.pair = Some((Source::path(chain), Source::path(key)));
        self.anew()
    }

    /// As [`certificate`](Self::certificate), from memory.
    #[must_use]
    pub fn certificate_pem(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.pair = Some((Source::bytes(chain), Source::bytes(key)));
        self.anew()
    }

    /// What is to be spoken over it, the best first (ALPN, RFC 7301). A server that speaks none of it turns the client away,
    /// or does without ALPN: [`TlsInfo::alpn`](crate::TlsInfo::alpn) tells.
    #[must_use]
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(|protocol| protocol.as_ref().to_vec()).collect();
        self.anew()
    }

    /// The oldest version that is spoken; TLS 1.2 unless said otherwise.
    #[must_use]
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self.anew()
    }

    /// What was made by other terms is no longer of use, and belongs to the clones.
    fn anew(mut self) -> Self {
        self.made = Arc::default();
        self
    }

    /// What rustls needs to shake hands with that host so: for a program that has connections of its own. The reverse of
    /// [`from_rustls`](Self::from_rustls).
    ///
    /// ```
    /// use socketserver::{Host, client::ClientTls, rustls::ClientConnection};
    ///
    /// let tls = ClientTls::new().fingerprint([7; 32]);
    /// let (config, name) = tls.to_rustls(&Host::Name("www.example".to_owned()))?;
    /// let session = ClientConnection::new(config, name)?;
    /// assert!(session.is_handshaking());
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    ///
    /// # Errors
    /// Files that cannot be read or are of no use, and a name that no certificate can be for.
    pub fn to_rustls(&self, host: &Host) -> Result<(Arc<ClientConfig>, ServerName<'static>), Error> {
        let name = match &self.server_name {
            Some(name) => server_name(name)?,
            None => name_of(host)?,
        };
        Ok((self.config()?, name))
    }

    /// The client's side of a connection to that host.
    pub(crate) fn session(&self, host: &Host) -> Result<ClientConnection, Error> {
        let (config, name) = self.to_rustls(host)?;
        ClientConnection::new(config, name).map_err(|error| useless(format!("cannot begin with TLS: {error}")))
    }

    fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        if let Some(ready) = &self.ready {
            return Ok(ready.clone());
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*made {
            return Ok(made.clone());
        }
        let config = Arc::new(self.make()?);
        *made = Some(config.clone());
        Ok(config)
    }

    fn make(&self) -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions(self.min_version))
            .map_err(|error| useless(error.to_string()))?;
        let builder = match self.pin {
            Some(pin) => builder.dangerous().with_custom_certificate_verifier(Arc::new(Pinned::new(pin))),
            None => builder.with_root_certificates(self.roots()?),
        };
        let mut config = match &self.pair {
            Some((chain, key)) => builder.with_client_cert_resolver(own(chain, key)?),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn(&self.alpn)?;
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, Error> {
        if !self.cas.is_empty() {
            let read = self.cas.iter().map(|source| Ok((source.clone(), source.read()?)));
            return authorities(&read.collect::<Result<Vec<_>, Error>>()?);
        }
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Some systems have odd ones among them; what they issued is not trusted then.
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(useless(format!(
                "this system has no authorities to trust{why}; `ClientTls::ca` names some (the package `ca-certificates` \
                 brings those of the web)"
            )));
        }
        Ok(roots)
    }
}

/// What a client shows of itself.
fn own(of_chain: &Source, of_key: &Source) -> Result<Arc<dyn ResolvesClientCert>, Error> {
    let chain = certificates(of_chain, &of_chain.read()?)?;
    let key = private_key(of_key, &of_key.read()?)?;
    let (certified, _) = certified(of_chain, chain, of_key, key)?;
    Ok(Arc::new(SingleCertAndKey::from(certified)))
}

/// Whom a certificate has to name for that host.
fn name_of(host: &Host) -> Result<ServerName<'static>, Error> {
    match host {
        Host::Name(name) => server_name(name),
        Host::Ip(address) => Ok(ServerName::from(address.to_canonical())),
        Host::Scoped(address, _) => Ok(ServerName::from(IpAddr::from(*address))),
        // It is this machine that is connected to.
        _ => Ok(ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST))),
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, Error> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(ServerName::from(address.to_canonical()));
    }
    // The dot of a name that is whole is no part of it here (RFC 6066, section 3).
    let name = name.strip_suffix('.').unwrap_or(name);
    let parsed = DnsName::try_from(name.to_owned());
    let parsed =
        parsed.map_err(|_| useless(format!("no certificate can be for {name:?}: it is no name in the DNS")))?;
    Ok(ServerName::DnsName(parsed))
}

impl Default for ClientTls {
    fn default() -> Self {
        Self::new()
    }
}

/// Without keys.
impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("cas", &self.cas)
            .field("fingerprint", &self.pin)
            .field("server_name", &self.server_name)
            .field("certificate", &self.pair.as_ref().map(|(chain, _)| chain))
            .field("min_version", &self.min_version)
            .finish_non_exhaustive()
    }
}
