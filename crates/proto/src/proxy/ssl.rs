//! The TLV about TLS between the client and the proxy: bits, a result, and TLVs of its own.

use super::ProxyError;
use super::tlv::{Pieces, ascii, utf8, write};
use std::borrow::Cow;

/// Bits and result.
const HEAD: usize = 5;

const TLS: u8 = 0x01;
const CERT_CONN: u8 = 0x02;
const CERT_SESS: u8 = 0x04;

/// TLS between the client and the proxy, as the proxy tells it: `PP2_TYPE_SSL`.
///
/// ```
/// use socketserver_proto::proxy::{Header, Ssl, SslTlv, Tlv};
///
/// let ssl = Ssl::new().with(SslTlv::Version("TLSv1.3"))?;
/// let header = Header::proxied("192.0.2.7:56324".parse()?, "192.0.2.1:443".parse()?)?.with(Tlv::Ssl(ssl))?;
///
/// let ssl = header.ssl().unwrap();
/// assert!(ssl.is_tls() && !ssl.has_certificate());
/// assert_eq!(ssl.version(), Some("TLSv1.3"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssl<'a> {
    client: u8,
    verify: u32,
    /// Checked.
    tlvs: Cow<'a, [u8]>,
}

impl Ssl<'static> {
    /// A client that came over TLS and has shown no certificate.
    #[must_use]
    pub const fn new() -> Self {
        Self { client: TLS, verify: 0, tlvs: Cow::Borrowed(&[]) }
    }
}

impl Default for Ssl<'static> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Ssl<'a> {
    /// The bits that say what the client did, in place of those for TLS without a certificate: 1 for TLS, 2 for a
    /// certificate on this connection, 4 for one in this TLS session.
    #[must_use]
    pub fn client_bits(mut self, bits: u8) -> Self {
        self.client = bits;
        self
    }

    /// What came of verifying the certificate; 0, which it is by default, is success.
    #[must_use]
    pub fn verify_result(mut self, result: u32) -> Self {
        self.verify = result;
        self
    }

    /// Tells this as well.
    ///
    /// # Errors
    ///
    /// It is longer than 65535 bytes, or not ASCII where it has to be.
    pub fn with(mut self, tlv: SslTlv<'_>) -> Result<Self, ProxyError> {
        SslTlv::read(tlv.kind(), tlv.value())?;
        write(tlv.kind(), tlv.value(), self.tlvs.to_mut())?;
        Ok(self)
    }

    /// The bits that say what the client did.
    #[must_use]
    pub fn client(&self) -> u8 {
        self.client
    }

    /// What came of verifying the certificate: 0 is success, and also what proxies send if there was none to verify. See
    /// [`is_verified`](Self::is_verified).
    #[must_use]
    pub fn verify(&self) -> u32 {
        self.verify
    }

    /// The client came over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.client & TLS != 0
    }

    /// The client has shown a certificate: on this connection, or before in the TLS session that it belongs to.
    #[must_use]
    pub fn has_certificate(&self) -> bool {
        self.client & (CERT_CONN | CERT_SESS) != 0
    }

    /// The client has shown a certificate, and the proxy found it good. Without a certificate it is false, whatever the
    /// [result](Self::verify) is.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.has_certificate() && self.verify == 0
    }

    /// All that is told, in its order.
    pub fn tlvs(&self) -> impl Iterator<Item = SslTlv<'_>> {
        Pieces(&self.tlvs).map_while(|piece| piece.and_then(|(kind, value)| SslTlv::read(kind, value)).ok())
    }

    /// The version of TLS: `TLSv1.3`.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.tlvs().find_map(|tlv| if let SslTlv::Version(text) = tlv { Some(text) } else { None })
    }

    /// The common name of the client's certificate. It says nothing unless the certificate [is
    /// good](Self::is_verified).
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.tlvs().find_map(|tlv| if let SslTlv::CommonName(text) = tlv { Some(text) } else { None })
    }

    pub(super) fn read(value: &'a [u8]) -> Result<Self, ProxyError> {
        let Some((&[client, a, b, c, d], tlvs)) = value.split_first_chunk::<HEAD>() else {
            return Err(ProxyError::tlv(0x20, "is shorter than 5 bytes"));
        };
        for piece in Pieces(tlvs) {
            let (kind, value) = piece?;
            SslTlv::read(kind, value)?;
        }
        Ok(Self { client, verify: u32::from_be_bytes([a, b, c, d]), tlvs: Cow::Borrowed(tlvs) })
    }

    pub(super) fn value(&self) -> Vec<u8> {
        [&[self.client], &self.verify.to_be_bytes()[..], &self.tlvs].concat()
    }
}

/// Something about TLS between the client and the proxy; see [`Ssl`].
///
/// ```
/// use socketserver_proto::proxy::{Ssl, SslTlv};
///
/// let ssl = Ssl::new().client_bits(0b011).with(SslTlv::Cipher("TLS_AES_128_GCM_SHA256"))?;
/// assert_eq!(ssl.tlvs().collect::<Vec<_>>(), [SslTlv::Cipher("TLS_AES_128_GCM_SHA256")]);
/// # Ok::<(), socketserver_proto::proxy::ProxyError>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslTlv<'a> {
    /// The version of TLS, `TLSv1.3`: 0x21, ASCII.
    Version(&'a str),
    /// The common name of the client's certificate: 0x22, UTF-8.
    CommonName(&'a str),
    /// The cipher, `ECDHE-RSA-AES128-GCM-SHA256`: 0x23, ASCII.
    Cipher(&'a str),
    /// What the proxy's certificate is signed with, `RSA-SHA256`: 0x24, ASCII.
    SignatureAlgorithm(&'a str),
    /// What the key of the proxy's certificate is, `RSA2048`: 0x25, ASCII.
    KeyAlgorithm(&'a str),
    /// What the keys were exchanged with, `secp256r1`: 0x26, ASCII.
    Group(&'a str),
    /// What the proxy signed the handshake with, `rsa_pss_rsae_sha256`: 0x27, ASCII.
    SignatureScheme(&'a str),
    /// The client's certificate in DER: 0x28. Nothing of it is checked.
    Certificate(&'a [u8]),
    /// Any other.
    Other {
        /// Its type.
        kind: u8,
        /// Its value, as it came.
        value: &'a [u8],
    },
}

impl<'a> SslTlv<'a> {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Version(_) => 0x21,
            Self::CommonName(_) => 0x22,
            Self::Cipher(_) => 0x23,
            Self::SignatureAlgorithm(_) => 0x24,
            Self::KeyAlgorithm(_) => 0x25,
            Self::Group(_) => 0x26,
            Self::SignatureScheme(_) => 0x27,
            Self::Certificate(_) => 0x28,
            Self::Other { kind, .. } => *kind,
        }
    }

    fn read(kind: u8, value: &'a [u8]) -> Result<Self, ProxyError> {
        Ok(match kind {
            0x21 => Self::Version(ascii(kind, value)?),
            0x22 => Self::CommonName(utf8(kind, value)?),
            0x23 => Self::Cipher(ascii(kind, value)?),
            0x24 => Self::SignatureAlgorithm(ascii(kind, value)?),
            0x25 => Self::KeyAlgorithm(ascii(kind, value)?),
            0x26 => Self::Group(ascii(kind, value)?),
            0x27 => Self::SignatureScheme(ascii(kind, value)?),
            0x28 => Self::Certificate(value),
            _ => Self::Other { kind, value },
        })
    }

    fn value(&self) -> &'a [u8] {
        match self {
            Self::Version(text)
            | Self::CommonName(text)
            | Self::Cipher(text)
            | Self::SignatureAlgorithm(text)
            | Self::KeyAlgorithm(text)
            | Self::Group(text)
            | Self::SignatureScheme(text) => text.as_bytes(),
            Self::Certificate(value) | Self::Other { value, .. } => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_told() {
        let value = b"\x07\0\0\0\0\x21\0\x07TLSv1.3\x22\0\x03J\xC3\xBC\x23\0\x01c\x24\0\x01s\x25\0\x01k\
            \x26\0\x01g\x27\0\x01S\x28\0\x02\x30\xFF\x77\0\x01\xFE";
        let ssl = Ssl::read(value).unwrap();
        let all = [
            SslTlv::Version("TLSv1.3"),
            SslTlv::CommonName("Jü"),
            SslTlv::Cipher("c"),
            SslTlv::SignatureAlgorithm("s"),
            SslTlv::KeyAlgorithm("k"),
            SslTlv::Group("g"),
            SslTlv::SignatureScheme("S"),
            SslTlv::Certificate(b"\x30\xFF"),
            SslTlv::Other { kind: 0x77, value: b"\xFE" },
        ];
        assert_eq!(ssl.tlvs().collect::<Vec<_>>(), all);
        assert_eq!((ssl.version(), ssl.common_name()), (Some("TLSv1.3"), Some("Jü")));
        assert_eq!(ssl.value(), value);
        let told = all.into_iter().fold(Ssl::new().client_bits(7), |ssl, tlv| ssl.with(tlv).unwrap());
        assert_eq!(told, ssl);
    }

    #[test]
    fn no_certificate_is_no_good_certificate() {
        // (bits, result, is there TLS, a certificate, a good one)
        let cases = [
            (0, 0, false, false, false),
            (1, 0, true, false, false),
            (1, 1, true, false, false),
            (3, 0, true, true, true),
            (5, 0, true, true, true),
            (7, 20, true, true, false),
            (7, 0x0100_0000, true, true, false),
        ];
        for (bits, result, tls, certificate, good) in cases {
            let ssl = Ssl::new().client_bits(bits).verify_result(result);
            let seen = (ssl.is_tls(), ssl.has_certificate(), ssl.is_verified());
            assert_eq!(seen, (tls, certificate, good), "{bits} {result}");
            assert_eq!((ssl.client(), ssl.verify()), (bits, result));
        }
    }

    #[test]
    fn wrong_ones() {
        let cases: [(&[u8], &str); 6] = [
            (b"", "TLV 0x20 of a PROXY header is shorter than 5 bytes"),
            (b"\x01\0\0\0", "shorter than 5 bytes"),
            (b"\x01\0\0\0\0\x21\0", "TLV 0x21 of a PROXY header has no length"),
            (b"\x01\0\0\0\0\x21\0\x02x", "TLV 0x21 of a PROXY header is longer than what is left of it"),
            (b"\x01\0\0\0\0\x23\0\x02\xC3\xA9", "TLV 0x23 of a PROXY header is not ASCII"),
            (b"\x01\0\0\0\0\x22\0\x01\xE9", "TLV 0x22 of a PROXY header is not UTF-8"),
        ];
        for (value, words) in cases {
            let error = Ssl::read(value).unwrap_err();
            assert!(error.is_malformed() && error.to_string().contains(words), "{value:?}: {error}");
        }
        for tlv in [SslTlv::Cipher("é"), SslTlv::Other { kind: 0x22, value: b"\xFF" }] {
            assert!(Ssl::new().with(tlv).unwrap_err().is_malformed(), "{tlv:?}");
        }
        assert!(Ssl::new().with(SslTlv::Certificate(&[0; 65_536])).unwrap_err().is_malformed());
    }
}
