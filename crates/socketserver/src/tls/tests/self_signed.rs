//! A certificate that is made at the start.

use super::*;

#[test]
fn it_is_for_its_names_and_for_whoever_knows_its_fingerprint() {
    let tls = ServerTls::new().self_signed(["localhost", "127.0.0.1", "::1", "*.example"]).unwrap();
    let pinned = ClientTls::new().fingerprint(tls.fingerprint().unwrap());
    // A clone has the same one.
    assert_eq!(tls.clone().fingerprints().unwrap(), tls.fingerprints().unwrap());
    let server = acceptor(tls);
    for name in ["localhost", "127.0.0.1", "[::1]", "x.example", "elsewhere"] {
        assert_eq!(shake(&server, &pinned, name).failed, [None, None], "{name}");
    }
    assert_eq!(
        shake(&server, &Authority::new("ca").client(), "localhost").failed[0],
        Some(HandshakeFailure::UnknownCa)
    );
    assert!(!server.reload().unwrap());
}

#[test]
fn it_is_a_certificate_like_others_for_who_trusts_it() {
    let tls = ServerTls::new().self_signed(["localhost"]).unwrap();
    let crate::tls::server::Pair::Made { certificate, .. } = &tls.pairs[0] else { unreachable!() };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(crate::tls::provider::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = ClientTls::from_rustls(config.into());
    let server = acceptor(tls);
    assert_eq!(shake(&server, &client, "localhost").failed, [None, None]);
    assert_eq!(shake(&server, &client, "elsewhere").failed[0], Some(HandshakeFailure::UnknownName));
}

#[test]
fn what_is_no_name_is_refused() {
    for names in [&[][..], &["ü"], &["a", "é"]] {
        let error = ServerTls::new().self_signed(names.iter().copied()).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Tls, "{error}");
    }
}
