use super::HandshakeFailure;
use super::pinned::NotPinned;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// What a handshake failed of, for whoever counts.
pub(crate) fn classify(error: &Error) -> HandshakeFailure {
    match error {
        // What a record begins with is one of a few bytes, none of which begins a text (RFC 8446, section 5.1).
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            HandshakeFailure::NotTls
        }
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => HandshakeFailure::NoCommonCipher,
        Error::NoCertificatesPresented => HandshakeFailure::NoCertificate,
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::FailedToGetCurrentTime
        | Error::FailedToGetRandomBytes
        | Error::EncryptError
        | Error::HandshakeNotComplete
        | Error::BadMaxFragmentSize
        | Error::InconsistentKeys(_)
        | Error::General(_)
        | Error::Other(_) => HandshakeFailure::Internal,
        _ => HandshakeFailure::Protocol,
    }
}

fn of_certificate(error: &CertificateError) -> HandshakeFailure {
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => HandshakeFailure::Expired,
        CertificateError::UnknownIssuer => HandshakeFailure::UnknownCa,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            HandshakeFailure::UnknownName
        }
        CertificateError::Other(other) if other.0.is::<NotPinned>() => HandshakeFailure::WrongFingerprint,
        _ => HandshakeFailure::BadCertificate,
    }
}

/// What a peer complains of (RFC 8446, section 6).
fn of_alert(alert: AlertDescription) -> HandshakeFailure {
    match alert {
        AlertDescription::UnknownCA => HandshakeFailure::UnknownCa,
        AlertDescription::CertificateExpired => HandshakeFailure::Expired,
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => HandshakeFailure::NoCertificate,
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied
        | AlertDescription::BadCertificateStatusResponse
        | AlertDescription::BadCertificateHashValue => HandshakeFailure::BadCertificate,
        AlertDescription::UnrecognisedName => HandshakeFailure::UnknownName,
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity
        | AlertDescription::InappropriateFallback
        | AlertDescription::NoApplicationProtocol => HandshakeFailure::NoCommonCipher,
        AlertDescription::CloseNotify | AlertDescription::UserCanceled => HandshakeFailure::Disconnected,
        _ => HandshakeFailure::Protocol,
    }
}
