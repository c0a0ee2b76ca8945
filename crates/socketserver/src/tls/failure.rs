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
        // A reason's name is this one with a word before it.
        self.as_reason().trim_start_matches("handshake-")
    }

    /// The name of the [`Reason`](crate::Reason) that it is.
    pub(crate) fn as_reason(self) -> &'static str {
        match self {
            Self::NotTls => "handshake-not-tls",
            Self::UnknownCa => "handshake-unknown-ca",
            Self::NoCommonCipher => "handshake-no-common-cipher",
            Self::Expired => "handshake-expired",
            Self::NoCertificate => "handshake-no-certificate",
            Self::BadCertificate => "handshake-bad-certificate",
            Self::UnknownName => "handshake-unknown-name",
            Self::WrongFingerprint => "handshake-wrong-fingerprint",
            Self::Timeout => "handshake-timeout",
            Self::Disconnected => "handshake-disconnected",
            Self::Protocol => "handshake-protocol",
            Self::Internal => "handshake-internal",
        }
    }
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
