//! Why a server over TLS is none to talk to, in a sentence that says what to do about it.

use crate::printable;
use socketserver::rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
use std::fmt;
use std::io;
use std::time::Duration;

/// How many of a certificate's names are told.
const NAMES: usize = 5;
/// What is told of a name, in characters.
const LONGEST: usize = 100;

/// What TLS has against a connection. What it shows of the server's words is written out.
pub(super) struct Refusal(String);

impl Refusal {
    /// `None`: TLS has nothing to do with that failure.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        let cause = error.get_ref()?.downcast_ref::<Error>()?;
        Some(Self(match cause {
            Error::InvalidCertificate(wrong) => of_certificate(wrong),
            Error::AlertReceived(alert) => of_alert(*alert),
            Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
                "the server speaks no TLS there".to_owned()
            }
            Error::PeerIncompatible(_) => "the server speaks no TLS that is spoken here: 1.2 and 1.3 are".to_owned(),
            Error::NoApplicationProtocol => "the server speaks nothing of what `--tls-alpn` asks for".to_owned(),
            other => format!("the server broke the rules of TLS: {}", printable::text(&other.to_string())),
        }))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with the server's certificate.
fn of_certificate(wrong: &CertificateError) -> String {
    match wrong {
        // Its fingerprint is not told: whoever takes it from here trusts whoever answers. Its owner knows it.
        CertificateError::UnknownIssuer => {
            "nobody who is trusted here has issued the server's certificate: `--ca FILE` names the authority that has; or \
             `--insecure-fingerprint SHA256` trusts this one, by the fingerprint that whoever runs the server sees there"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the server's certificate is not for `{}`, but for {}: `--server-name NAME` says whom to expect",
            printable::text(&expected.to_str()),
            listed(presented)
        ),
        CertificateError::Expired => "the server's certificate is over".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => format!(
            "the server's certificate has been over for {}, if the clock is right here",
            told(time.as_secs().saturating_sub(not_after.as_secs()))
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the server's certificate is good in {} only, if the clock is right here",
            told(not_before.as_secs().saturating_sub(time.as_secs()))
        ),
        // It says both fingerprints.
        CertificateError::Other(other) if other.0.to_string().contains("fingerprint") => other.0.to_string(),
        // Of a crate below rustls, whose types are not ours to name.
        CertificateError::Other(other) if format!("{:?}", other.0).contains("CaUsedAsEndEntity") => {
            "the server's certificate is an authority's own (`CA:TRUE`), and so none for a server: \
             `--insecure-fingerprint SHA256` trusts it all the same"
                .to_owned()
        }
        other => format!("the server's certificate is of no use: {}", printable::text(&other.to_string())),
    }
}

/// What the server says is wrong (RFC 8446, section 6).
fn of_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "the server wants a certificate of its clients: `--tls-cert FILE --tls-key FILE`".to_owned()
        }
        AlertDescription::UnknownCA => {
            "the server does not know the authority that has issued the certificate in `--tls-cert`".to_owned()
        }
        AlertDescription::CertificateExpired => "the certificate in `--tls-cert` is over, says the server".to_owned(),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => {
            format!("the server does not take the certificate in `--tls-cert` ({alert:?})")
        }
        AlertDescription::ProtocolVersion
        | AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity => {
            format!("the server and this client have nothing of TLS in common that both would use ({alert:?})")
        }
        AlertDescription::NoApplicationProtocol => "the server speaks nothing of what `--tls-alpn` asks for".to_owned(),
        AlertDescription::UnrecognisedName => {
            "the server does not go by that name: `--server-name NAME` says another".to_owned()
        }
        other => format!("the server broke off ({other:?})"),
    }
}

/// Names in a certificate, which whoever made it chose.
fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "no name at all".to_owned();
    }
    // Each says of what kind it is: `DnsName("chat.example")`.
    let plain = |name: &str| name.split_once('(').map_or(name, |(_, name)| name.trim_matches(['"', ')'])).to_owned();
    let short = |name: &String| printable::text(&plain(name).chars().take(LONGEST).collect::<String>());
    let mut list = names.iter().take(NAMES).map(short).collect::<Vec<_>>().join(", ");
    if names.len() > NAMES {
        list.push_str(&format!(" and {} more", names.len() - NAMES));
    }
    list
}

/// A time that is known to the second, as people tell it.
fn told(seconds: u64) -> String {
    const DAY: u64 = 24 * 60 * 60;
    match seconds / DAY {
        0 | 1 => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
        days => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socketserver::rustls::pki_types::{ServerName, UnixTime};

    fn told(wrong: CertificateError) -> String {
        let error = io::Error::new(io::ErrorKind::InvalidData, Error::InvalidCertificate(wrong));
        Refusal::of(&error).unwrap().to_string()
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn a_time_is_told_as_people_do() {
        let over = CertificateError::ExpiredContext { time: at(40 * 86_400 + 5), not_after: at(86_400) };
        assert_eq!(told(over), "the server's certificate has been over for 39 days, if the clock is right here");
        let early = CertificateError::NotValidYetContext { time: at(0), not_before: at(90) };
        assert_eq!(told(early), "the server's certificate is good in 1m 30s only, if the clock is right here");
    }

    #[test]
    fn names_are_the_servers_own_words() {
        let expected = ServerName::try_from("chat.example").unwrap();
        let wrong =
            |presented| told(CertificateError::NotValidForNameContext { expected: expected.clone(), presented });
        assert!(wrong(Vec::new()).contains("is not for `chat.example`, but for no name at all: "));
        let hostile = wrong(vec!["DnsName(\"a\x1b[2J\n\u{202e}\")".to_owned()]);
        assert!(hostile.contains(r"but for a\u{1b}[2J\n\u{202e}: "), "{hostile}");
        let many = wrong((0..100_000).map(|number| format!("DnsName(\"{number}{}\")", "x".repeat(300))).collect());
        assert!(many.contains(" and 99995 more: ") && many.len() < 1000, "{many}");
    }

    #[test]
    fn what_is_not_of_tls_is_none_of_it() {
        assert!(Refusal::of(&io::ErrorKind::UnexpectedEof.into()).is_none());
        assert!(Refusal::of(&io::Error::other("a text")).is_none());
    }
}
