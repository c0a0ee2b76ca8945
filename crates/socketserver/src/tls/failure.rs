use std::fmt;

/// Why a handshake came to nothing.
///
/// What the peer did and what it says of this side are told alike: `unknown-ca` is a client without an authority that this
/// server knows, and one that does not know the authority of the server's certificate (an alert says so, RFC 8446,
/// section 6.2).
///
/// ```
/// use socketserver::HandshakeFailure;
/// assert_eq!(HandshakeFailure::NotTls.to_string(), "not-tls");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeFailure {
    /// What came first is no TLS: a plain HTTP request, say, or a line of text.
    NotTls,
    /// The certificate was issued by an authority that the other side does not know.
    UnknownCa,
    /// The two have no version, no cipher suite, no group or no ALPN protocol in common.
    NoCommonCipher,
    /// The certificate is over, or has not begun yet.
    Expired,
    /// A certificate is required, and none was shown.
    NoCertificate,
    /// The certificate is of no use here: malformed, revoked, badly signed, or for another purpose.
    BadCertificate,
    /// The certificate does not name the server that was meant.
    UnknownName,
    /// The server's certificate is not the one whose [`Fingerprint`](crate::Fingerprint) was given.
    WrongFingerprint,
    /// It was not over within its deadline.
    Timeout,
    /// The peer left in the middle.
    Disconnected,
    /// The peer broke the rules of the protocol.
    Protocol,
    /// This side failed: it has no random bytes, say.
    Internal,
}

impl HandshakeFailure {
    /// Each of them once.
    #[allow(dead_code, reason = "who counts them asks for it")]
    pub(crate) const ALL: [Self; 12] = [
        Self::NotTls,
        Self::UnknownCa,
        Self::NoCommonCipher,
        Self::Expired,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::UnknownName,
        Self::WrongFingerprint,
        Self::Timeout,
        Self::Disconnected,
        Self::Protocol,
        Self::Internal,
    ];

    /// The name in events, `kebab-case`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotTls => "not-tls",
            Self::UnknownCa => "unknown-ca",
            Self::NoCommonCipher => "no-common-cipher",
            Self::Expired => "expired",
            Self::NoCertificate => "no-certificate",
            Self::BadCertificate => "bad-certificate",
            Self::UnknownName => "unknown-name",
            Self::WrongFingerprint => "wrong-fingerprint",
            Self::Timeout => "timeout",
            Self::Disconnected => "disconnected",
            Self::Protocol => "protocol",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
