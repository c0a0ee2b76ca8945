use super::files::Source;
use super::load::{Inputs, Loaded, useless};
use super::{Fingerprint, TlsVersion};
use crate::Error;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// How a server shakes hands: its certificates, whose clients it takes, what it speaks. For
/// [`Server::tls`](crate::Server::tls).
///
/// TLS 1.2 and 1.3 are spoken, with the suites that rustls holds for safe, and sessions go on (by tickets whose keys change
/// every six hours). Certificates and keys are PEM. Files are read again when they change, or when
/// [`Handle::reload_tls`](crate::Handle::reload_tls) says so.
///
/// ```no_run
/// use socketserver::{Server, ServerTls, TlsVersion};
///
/// let tls = ServerTls::new()
///     .certificate("/etc/ssl/example.org/fullchain.pem", "/etc/ssl/example.org/privkey.pem")
///     .certificate("/etc/ssl/example.net/fullchain.pem", "/etc/ssl/example.net/privkey.pem")
///     .client_ca("/etc/ssl/staff.pem")
///     .alpn(["h2", "http/1.1"])
///     .min_version(TlsVersion::Tls13);
/// println!("{}", tls.fingerprint()?);
/// let server = Server::bind("tls://*:8443")?.tls(tls)?;
/// # Ok::<_, socketserver::Error>(())
/// ```
#[derive(Clone)]
pub struct ServerTls {
    pub(super) pairs: Vec<Pair>,
    pub(super) client_cas: Vec<Source>,
    pub(super) client_required: bool,
    pub(super) alpn: Vec<Vec<u8>>,
    pub(super) min_version: TlsVersion,
    pub(super) or_plain: bool,
    pub(super) ready: Option<Arc<ServerConfig>>,
}

/// A certificate, the chain above it, and its key.
#[derive(Clone)]
pub(super) enum Pair {
    Pem {
        chain: Source,
        key: Source,
    },
    #[cfg_attr(not(feature = "self-signed"), allow(dead_code, reason = "nothing makes one then"))]
    Made {
        certificate: CertificateDer<'static>,
        /// PKCS#8.
        key: Arc<[u8]>,
    },
}

impl ServerTls {
    /// Nothing yet: it needs a certificate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            pairs: Vec::new(),
            client_cas: Vec::new(),
            client_required: false,
            alpn: Vec::new(),
            min_version: TlsVersion::Tls12,
            or_plain: false,
            ready: None,
        }
    }

    /// What rustls was told elsewhere, as it is, but for early data (0-RTT), which is refused. Nothing but
    /// [`or_plain`](Self::or_plain) may be added to it, and nothing is
    /// ever read again.
    #[must_use]
    pub fn from_rustls(config: Arc<ServerConfig>) -> Self {
        Self { ready: Some(config), ..Self::new() }
    }

    /// A certificate with the chain above it, the certificate first, and its key: PKCS#8, SEC 1 or PKCS#1, not encrypted.
    /// Both may be in one file.
    ///
    /// Of several a client is shown the one that is for the name it asks for (SNI): its DNS names count, wildcards (for one
    /// label) included. Whoever asks for no name, or for another, is shown the first. Several for one name have keys
    /// of several kinds: the first that the client can verify is taken.
    #[must_use]
    pub fn certificate(mut self, chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        self.pairs.push(Pair::Pem { chain: Source::path(chain), key: Source::path(key) });
        self
    }

    /// As [`certificate`](Self::certificate), from memory.
    #[must_use]
    pub fn certificate_pem(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.pairs.push(Pair::Pem { chain: Source::bytes(chain), key: Source::bytes(key) });
        self
    }

    /// A certificate that is made now, for these names and addresses, and kept in memory: to try things out. It is good for a
    /// year. Clients [pin](crate::client::ClientTls::fingerprint) its [`fingerprint`](Self::fingerprint).
    ///
    /// ```
    /// use socketserver::ServerTls;
    /// let tls = ServerTls::new().self_signed(["localhost", "127.0.0.1"])?;
    /// println!("SHA-256 {}", tls.fingerprint()?);
    /// # Ok::<_, socketserver::Error>(())
    /// ```
    ///
    /// # Errors
    /// No name, or one that is neither a DNS name nor an address.
    #[cfg(feature = "self-signed")]
    pub fn self_signed<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Result<Self, Error> {
        self.pairs.push(super::self_signed::make(names.into_iter().map(Into::into).collect())?);
        Ok(self)
    }

    /// Clients have to show a certificate that one of these authorities issued. Those of several files add up.
    #[must_use]
    pub fn client_ca(mut self, path: impl AsRef<Path>) -> Self {
        self.client_required = true;
        self.optional_client_ca(path)
    }

    /// As [`client_ca`](Self::client_ca), from memory.
    ///
    /// ```
    /// use socketserver::client::{ClientTls, Connector};
    /// use socketserver::{Server, ServerTls, Threads, blocking};
    ///
    /// # let made = |name: &str| {
    /// #     let made = rcgen::generate_simple_self_signed([name.to_owned()]);
    /// #     made.map(|made| (made.cert.pem(), made.signing_key.serialize_pem()))
    /// # };
    /// # let (certificate, key) = made("127.0.0.1")?;
    /// # let (staff, staffs_key) = made("staff.example")?;
    /// let tls = ServerTls::new().certificate_pem(&certificate, key).client_ca_pem(&staff);
    /// let server = Server::bind("tls://127.0.0.1:0")?.tls(tls)?.spawn(Threads::default(), |c: &mut blocking::Stream| {
    ///     let identity = c.peer().identity().ok_or("nobody")?;
    ///     Ok(c.write_all(identity.sans()[0].to_string().as_bytes())?)
    /// })?;
    /// let connector = Connector::new().tls(ClientTls::new().ca_pem(&certificate).certificate_pem(&staff, staffs_key));
    /// let mut c = connector.connect(&server.handle().endpoints()[0])?;
    /// assert_eq!(c.read_to_end(100)?, b"DNS:staff.example");
    /// # server.stop()?;
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    #[must_use]
    pub fn client_ca_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.client_required = true;
        self.optional_client_ca_pem(pem)
    }

    /// Clients may show a certificate that one of these authorities issued, or none; another one ends the handshake. After
    /// [`client_ca`](Self::client_ca), and before it, one is required all the same.
    #[must_use]
    pub fn optional_client_ca(mut self, path: impl AsRef<Path>) -> Self {
        self.client_cas.push(Source::path(path));
        self
    }

    /// As [`optional_client_ca`](Self::optional_client_ca), from memory.
    #[must_use]
    pub fn optional_client_ca_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.client_cas.push(Source::bytes(pem));
        self
    }

    /// What is spoken over it, the best first (ALPN, RFC 7301). A client that asks for something else alone is turned away;
    /// one that does not ask is let in.
    #[must_use]
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(|protocol| protocol.as_ref().to_vec()).collect();
        self
    }

    /// The oldest version that is spoken; TLS 1.2 unless said otherwise.
    #[must_use]
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Clients that speak no TLS are served, too, on the same port: the first byte tells, so one has to come before the
    /// handler runs. Whoever can change what goes over the wire can then take TLS away from a client that does without.
    #[must_use]
    pub fn or_plain(mut self) -> Self {
        self.or_plain = true;
        self
    }

    /// The fingerprint of the first certificate, which clients are shown that ask for none by name. Its file is read.
    ///
    /// # Errors
    /// As [`Server::tls`](crate::Server::tls).
    pub fn fingerprint(&self) -> Result<Fingerprint, Error> {
        let first = self.fingerprints()?.first().copied();
        first.ok_or_else(|| useless("a configuration of rustls does not tell its certificates".to_owned()))
    }

    /// The fingerprints of all certificates, in the order in which they were given. Their files are read.
    ///
    /// # Errors
    /// As [`Server::tls`](crate::Server::tls).
    pub fn fingerprints(&self) -> Result<Vec<Fingerprint>, Error> {
        if self.ready.is_some() {
            return Ok(Vec::new());
        }
        Ok(Loaded::new(self, &Inputs::read(self)?, None)?.fingerprints)
    }

    /// What rustls was told elsewhere, if nothing else was said.
    pub(super) fn ready(&self) -> Result<Option<&Arc<ServerConfig>>, Error> {
        let plain = Self::new();
        let more = !self.pairs.is_empty()
            || !self.client_cas.is_empty()
            || !self.alpn.is_empty()
            || self.min_version != plain.min_version;
        match &self.ready {
            Some(_) if more => Err(useless(
                "a configuration of rustls is taken as it is: certificates, authorities, ALPN and versions are said there"
                    .to_owned(),
            )),
            Some(ready) if ready.max_early_data_size > 0 => Err(useless(
                "early data (0-RTT) is not served, for anybody can send it again: `max_early_data_size` has to be 0"
                    .to_owned(),
            )),
            ready => Ok(ready.as_ref()),
        }
    }

    /// Every file that it reads.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> + Clone {
        let pairs = self.pairs.iter().flat_map(|pair| match pair {
            Pair::Pem { chain, key } => [chain.file(), key.file()],
            Pair::Made { .. } => [None, None],
        });
        pairs.flatten().chain(self.client_cas.iter().filter_map(Source::file))
    }
}

impl Default for ServerTls {
    fn default() -> Self {
        Self::new()
    }
}

/// Without keys.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("certificates", &self.pairs.len())
            .field("client_cas", &self.client_cas)
            .field("client_required", &self.client_required)
            .field("min_version", &self.min_version)
            .field("or_plain", &self.or_plain)
            .finish_non_exhaustive()
    }
}
