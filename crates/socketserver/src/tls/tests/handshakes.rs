//! What two sides agree on, and why they do not.

use super::*;
use crate::{TlsInfo, TlsVersion};
use rustls::{CipherSuite, ClientConfig, RootCertStore, SupportedCipherSuite};
use std::sync::Arc;

#[test]
fn both_sides_tell_the_same() {
    let ca = Authority::new("ca");
    let server = acceptor(ca.server(&["localhost"]).alpn(["h2", "http/1.1"]));
    let client = ca.client().alpn(["http/1.1"]);
    for resumed in [false, true] {
        let ends = shake(&server, &client, "LOCALHOST");
        assert_eq!(ends.failed, [None, None]);
        let info = TlsInfo::of_server(&ends.server).unwrap();
        assert_eq!(info.version(), TlsVersion::Tls13);
        assert!(info.cipher_suite().starts_with("TLS_AES_"), "{info:?}");
        assert_eq!(info.alpn(), Some(&b"http/1.1"[..]));
        assert_eq!(info.server_name(), Some("localhost"));
        assert_eq!(info.is_resumed(), resumed);
        let theirs = TlsInfo::of_client(&ends.client).unwrap();
        assert_eq!(theirs.server_name(), None);
        assert_eq!((theirs.version(), theirs.alpn()), (info.version(), info.alpn()));
        assert_eq!((theirs.cipher_suite(), theirs.is_resumed()), (info.cipher_suite(), resumed));
    }
}

#[test]
fn nothing_is_told_before_it_is_over() {
    let ca = Authority::new("ca");
    let ends = Ends::new(&acceptor(ca.server(&["a"])), &ca.client(), "a");
    assert_eq!((TlsInfo::of_server(&ends.server), TlsInfo::of_client(&ends.client)), (None, None));
}

/// A client that has but one suite.
fn with_suite(ca: &Authority, suite: CipherSuite) -> ClientTls {
    let mut provider = (*crate::tls::provider::provider()).clone();
    provider.cipher_suites.retain(|other: &SupportedCipherSuite| other.suite() == suite);
    let mut roots = RootCertStore::empty();
    roots.add(ca.issuer.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions().unwrap();
    ClientTls::from_rustls(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

#[test]
fn both_versions_are_spoken_unless_told() {
    let ca = Authority::new("ca");
    let old = with_suite(&ca, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
    let ends = shake(&acceptor(ca.server(&["a"])), &old, "a");
    assert_eq!(ends.failed, [None, None]);
    let info = TlsInfo::of_server(&ends.server).unwrap();
    assert_eq!(info.version(), TlsVersion::Tls12);
    assert_eq!(info.cipher_suite(), "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    let ends = shake(&acceptor(ca.server(&["a"]).min_version(TlsVersion::Tls13)), &old, "a");
    assert_eq!(ends.failed, [Some(HandshakeFailure::NoCommonCipher); 2]);
}

#[test]
fn no_common_protocol() {
    let ca = Authority::new("ca");
    let ends = shake(&acceptor(ca.server(&["a"]).alpn(["h2"])), &ca.client().alpn(["imap"]), "a");
    assert_eq!(ends.failed, [Some(HandshakeFailure::NoCommonCipher); 2]);
    // Who does not ask is let in.
    let ends = shake(&acceptor(ca.server(&["a"]).alpn(["h2"])), &ca.client(), "a");
    assert_eq!(ends.failed, [None, None]);
    assert_eq!(TlsInfo::of_server(&ends.server).unwrap().alpn(), None);
}

#[test]
fn an_unknown_authority() {
    let [ca, other] = ["ca", "other"].map(Authority::new);
    let ends = shake(&acceptor(ca.server(&["a"])), &other.client(), "a");
    assert_eq!(ends.failed, [Some(HandshakeFailure::UnknownCa); 2]);
}

#[test]
fn another_name() {
    let ca = Authority::new("ca");
    let ends = shake(&acceptor(ca.server(&["a"])), &ca.client(), "b");
    assert_eq!(ends.failed, [Some(HandshakeFailure::UnknownName), Some(HandshakeFailure::BadCertificate)]);
    // It can be told for which one it is.
    let ends = shake(&acceptor(ca.server(&["a"])), &ca.client().server_name("a."), "b");
    assert_eq!(ends.failed, [None, None]);
}

#[test]
fn addresses_are_names_too() {
    let ca = Authority::new("ca");
    let server = acceptor(ca.server(&["127.0.0.1", "::1"]));
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::1%lo]", ""] {
        let ends = shake(&server, &ca.client(), host);
        assert_eq!(ends.failed, [None, None], "{host}");
        assert_eq!(TlsInfo::of_server(&ends.server).unwrap().server_name(), None);
    }
    // However they are written.
    let ends = shake(&server, &ca.client().server_name("::ffff:127.0.0.1"), "a");
    assert_eq!(ends.failed, [None, None]);
    let ends = shake(&server, &ca.client(), "10.0.0.1");
    assert_eq!(ends.failed[0], Some(HandshakeFailure::UnknownName));
}

#[test]
fn one_that_is_over_and_one_that_has_not_begun() {
    let ca = Authority::new("ca");
    type Change = fn(&mut CertificateParams);
    let changes: [Change; 2] = [
        |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1),
        |params| params.not_before = rcgen::date_time_ymd(4000, 1, 1),
    ];
    for change in changes {
        let (certificate, key) = ca.issue_with(&["a"], change);
        let ends = shake(&acceptor(ServerTls::new().certificate_pem(certificate, key)), &ca.client(), "a");
        assert_eq!(ends.failed, [Some(HandshakeFailure::Expired); 2]);
    }
}

#[test]
fn another_certificate_than_the_pinned_one_is_refused() {
    let [ca, other] = ["ca", "other"].map(Authority::new);
    let (tls, twin) = (ca.server(&["a"]), ca.server(&["a"]));
    let pinned = ClientTls::new().fingerprint(tls.fingerprint().unwrap());
    // Whoever issued it, and for whatever name.
    let ends = shake(&acceptor(tls), &pinned, "b");
    assert_eq!(ends.failed, [None, None]);
    for wrong in [twin, other.server(&["b"])] {
        let ends = shake(&acceptor(wrong), &pinned, "b");
        assert_eq!(ends.failed, [Some(HandshakeFailure::WrongFingerprint), Some(HandshakeFailure::BadCertificate)]);
    }
}

/// What a server makes of it when this comes first.
fn heard(bytes: &[u8]) -> Option<HandshakeFailure> {
    let server = acceptor(Authority::new("ca").server(&["a"]));
    let mut session = server.session().unwrap();
    session.read_tls(&mut Cursor::new(bytes)).unwrap();
    session.process_new_packets().err().map(|error| classify(&error))
}

#[test]
fn plain_words_are_told_from_tls() {
    let texts: [&[u8]; 8] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"EHLO a\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"hello",
        "你好".as_bytes(),
        b"\r\n\r\n\0\r\nQUIT\n",
        // SSL 2, which is none either (RFC 6176).
        b"\x80\x2e\x01\x00\x02\x00\x15",
    ];
    for text in texts {
        assert_eq!(heard(text), Some(HandshakeFailure::NotTls), "{text:?}");
    }
    // A record that begins as TLS does.
    assert_eq!(heard(b"\x16\x03\x01\x00\x05hello"), Some(HandshakeFailure::Protocol));
    // It may still become one.
    assert_eq!(heard(b"\x16\x03"), None);
}

#[test]
fn a_server_that_speaks_plain_words() {
    let mut client = Authority::new("ca").client().session(&host("a")).unwrap();
    client.read_tls(&mut Cursor::new(b"220 a ESMTP\r\n")).unwrap();
    let error = client.process_new_packets().unwrap_err();
    assert_eq!(classify(&error), HandshakeFailure::NotTls);
}

#[test]
fn every_alert_has_a_name() {
    use rustls::{AlertDescription as Alert, Error};
    let cases = [
        (Alert::UnknownCA, HandshakeFailure::UnknownCa),
        (Alert::CertificateExpired, HandshakeFailure::Expired),
        (Alert::CertificateRequired, HandshakeFailure::NoCertificate),
        (Alert::CertificateUnknown, HandshakeFailure::BadCertificate),
        (Alert::UnrecognisedName, HandshakeFailure::UnknownName),
        (Alert::HandshakeFailure, HandshakeFailure::NoCommonCipher),
        (Alert::ProtocolVersion, HandshakeFailure::NoCommonCipher),
        (Alert::UserCanceled, HandshakeFailure::Disconnected),
        (Alert::DecryptError, HandshakeFailure::Protocol),
        (Alert::Unknown(200), HandshakeFailure::Protocol),
    ];
    for (alert, failure) in cases {
        assert_eq!(classify(&Error::AlertReceived(alert)), failure, "{alert:?}");
    }
    assert_eq!(classify(&Error::FailedToGetRandomBytes), HandshakeFailure::Internal);
}
