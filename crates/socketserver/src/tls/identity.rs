use super::Fingerprint;
use super::provider::sha256;
use rustls::pki_types::CertificateDer;
use socketserver_proto::printable::in_name;
use std::error::Error;
use std::fmt::{self, Write};
use std::net::IpAddr;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Who a peer is, as its verified certificate says.
///
/// Compare with what stands in [`sans`](Self::sans), or with the [`fingerprint`](Self::fingerprint). The
/// [`subject`](Self::subject) is a text for people: a certificate may have any.
///
/// ```
/// use socketserver::{AltName, Identity};
///
/// // In a handler, `c.peer().identity()` is one.
/// let certificate = rcgen::generate_simple_self_signed(["billing.internal".to_owned()])?;
/// let identity = Identity::from_der(certificate.cert.der())?;
/// assert!(identity.sans().contains(&AltName::Dns("billing.internal".into())));
/// println!("{identity}, SHA-256 {}", identity.fingerprint());
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    der: Box<[u8]>,
    subject: Box<str>,
    sans: Box<[AltName]>,
    fingerprint: Fingerprint,
}

/// A name in a certificate: a value of its `subjectAltName` (RFC 5280, section 4.2.1.6).
///
/// ```
/// use socketserver::AltName;
/// assert_eq!(AltName::Uri("spiffe://example.org/web".into()).to_string(), "URI:spiffe://example.org/web");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AltName {
    /// A name in the DNS, perhaps with a wildcard for its first label, in small letters.
    Dns(String),
    /// An URI, as SPIFFE has them.
    Uri(String),
    /// A mailbox.
    Email(String),
    /// An address.
    Ip(IpAddr),
}

impl Identity {
    /// The longest certificate that is looked at, in bytes.
    const LONGEST: usize = 64 * 1024;

    /// Reads a certificate. It is not verified here.
    ///
    /// # Errors
    /// What is no certificate (RFC 5280), or longer than 64 KiB.
    pub fn from_der(der: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        if der.len() > Self::LONGEST {
            return Err(IdentityError(format!("a certificate of {} bytes is too long", der.len())));
        }
        let malformed = |error: x509_cert::der::Error| IdentityError(format!("it is no certificate: {error}"));
        let certificate = Certificate::from_der(der).map_err(malformed)?;
        let certificate = certificate.tbs_certificate();
        let sans = certificate.get_extension::<SubjectAltName>().map_err(malformed)?;
        let sans = sans.map(|(_, sans)| sans.0.iter().filter_map(AltName::read).collect()).unwrap_or_default();
        Ok(Self {
            der: Box::from(&**der),
            subject: printable(&certificate.subject().to_string()).into(),
            sans,
            fingerprint: sha256(der),
        })
    }

    /// The subject, `CN=web,O=Example`, the most specific part first (RFC 4514). Whatever does not print is written in
    /// hexadecimal digits.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The names that the certificate is for, in its order. Those of other kinds are left out, and those that cannot be
    /// what they say they are: a name in the DNS with a NUL in it, say.
    #[must_use]
    pub fn sans(&self) -> &[AltName] {
        &self.sans
    }

    /// The certificate itself.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The digest of the certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (subject, sans) = (&self.subject, &self.sans);
        f.debug_struct("Identity").field("subject", subject).field("sans", sans).finish_non_exhaustive()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)
    }
}

impl AltName {
    fn read(name: &GeneralName) -> Option<Self> {
        // Neither has room for what would be read as the end of it, or of a line.
        let is_text = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let text = |text: &str| is_text(text).then(|| text.to_owned());
        Some(match name {
            GeneralName::DnsName(name) => Self::Dns(text(name.as_str())?.to_ascii_lowercase()),
            GeneralName::UniformResourceIdentifier(uri) => Self::Uri(text(uri.as_str())?),
            GeneralName::Rfc822Name(mailbox) => Self::Email(text(mailbox.as_str())?),
            GeneralName::IpAddress(address) => match address.as_bytes() {
                v4 if v4.len() == 4 => Self::Ip(IpAddr::from(<[u8; 4]>::try_from(v4).ok()?)),
                v6 => Self::Ip(IpAddr::from(<[u8; 16]>::try_from(v6).ok()?)),
            },
            _ => return None,
        })
    }
}

/// As OpenSSL writes them: `DNS:example.org`.
impl fmt::Display for AltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "DNS:{name}"),
            Self::Uri(uri) => write!(f, "URI:{uri}"),
            Self::Email(mailbox) => write!(f, "email:{mailbox}"),
            Self::Ip(address) => write!(f, "IP:{address}"),
        }
    }
}

/// Why no [`Identity`] can be read from something.
///
/// ```
/// use socketserver::Identity;
/// let error = Identity::from_der(&b"hello"[..].into()).unwrap_err();
/// assert!(error.to_string().starts_with("it is no certificate"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityError(String);

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for IdentityError {}

/// What would move a cursor, end a line or turn the direction of a text is escaped, byte for byte (RFC 4514, section 2.4).
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if in_name(c) {
            out.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(out, "\\{byte:02x}");
            }
        }
    }
    out
}
