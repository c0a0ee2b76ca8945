use rustls::{ClientConnection, CommonState, HandshakeKind, ProtocolVersion, ServerConnection};
use std::fmt;

/// A version of TLS.
///
/// ```
/// use socketserver::TlsVersion;
/// assert!(TlsVersion::Tls13 > TlsVersion::Tls12);
/// assert_eq!(TlsVersion::Tls13.to_string(), "TLS 1.3");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

/// What two sides agreed on in a handshake.
///
/// ```
/// use socketserver::client::{ClientTls, Connector};
/// use socketserver::{Server, ServerTls, Threads, TlsVersion, blocking};
///
/// # let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let tls = ServerTls::new().certificate_pem(&certificate, key).alpn(["shout"]);
/// let server = Server::bind("tls://127.0.0.1:0")?.tls(tls)?.spawn(Threads::default(), |c: &mut blocking::Stream| {
///     let tls = c.tls().ok_or("it is plain")?;
///     // "TLS 1.3, TLS_AES_256_GCM_SHA384"
///     Ok(c.write_all(format!("{}, {}", tls.version(), tls.cipher_suite()).as_bytes())?)
/// })?;
/// let connector = Connector::new().tls(ClientTls::new().ca_pem(&certificate).alpn(["shout"]));
/// let mut c = connector.connect(&server.handle().endpoints()[0])?;
/// assert!(c.read_to_end(100)?.starts_with(b"TLS 1.3, TLS_"));
/// let tls = c.tls().ok_or("it is plain")?;
/// assert_eq!((tls.version(), tls.alpn()), (TlsVersion::Tls13, Some(&b"shout"[..])));
/// # drop(c);
/// # server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    version: TlsVersion,
    cipher_suite: &'static str,
    alpn: Option<Box<[u8]>>,
    server_name: Option<Box<str>>,
    resumed: bool,
}

impl TlsInfo {
    /// The version.
    #[must_use]
    pub fn version(&self) -> TlsVersion {
        self.version
    }

    /// The cipher suite, by its name at the IANA.
    #[must_use]
    pub fn cipher_suite(&self) -> &'static str {
        self.cipher_suite
    }

    /// The protocol that the connection is for (ALPN, RFC 7301), if either side asked for one.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// The name that the client asked for, in small letters (SNI, RFC 6066, section 3). `None` on the client's side.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Whether a session of an earlier connection goes on: the handshake was a short one, without certificates.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// `None`: the handshake is not over.
    pub(crate) fn of_server(connection: &ServerConnection) -> Option<Self> {
        let server_name = connection.server_name().map(Box::from);
        Some(Self { server_name, ..Self::of(connection)? })
    }

    /// `None`: the handshake is not over.
    pub(crate) fn of_client(connection: &ClientConnection) -> Option<Self> {
        Self::of(connection)
    }

    fn of(common: &CommonState) -> Option<Self> {
        if common.is_handshaking() {
            return None;
        }
        let version = match common.protocol_version()? {
            ProtocolVersion::TLSv1_2 => TlsVersion::Tls12,
            ProtocolVersion::TLSv1_3 => TlsVersion::Tls13,
            _ => return None,
        };
        Some(Self {
            version,
            cipher_suite: iana_name(common.negotiated_cipher_suite()?.suite().as_str()?),
            alpn: common.alpn_protocol().map(Box::from),
            server_name: None,
            resumed: common.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }
}

/// rustls writes those of TLS 1.3 with their version in front, to tell them from older ones.
fn iana_name(suite: &'static str) -> &'static str {
    match suite {
        "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        other => other,
    }
}
