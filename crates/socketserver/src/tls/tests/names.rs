//! Which certificate a client is shown.

use super::*;
use crate::Fingerprint;
use crate::tls::provider::sha256;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Whatever it names: what is shown is looked at, and not whether it is right.
fn shown(server: &Acceptor, name: &str) -> Fingerprint {
    let client = ClientTls::new().fingerprint([0; 32]);
    let mut ends = Ends::new(server, &client, name);
    let mut wire = Vec::new();
    ends.client.write_tls(&mut wire).unwrap();
    ends.server.read_tls(&mut Cursor::new(wire)).unwrap();
    ends.server.process_new_packets().unwrap();
    let mut wire = Vec::new();
    while ends.server.wants_write() {
        ends.server.write_tls(&mut wire).unwrap();
    }
    ends.client.read_tls(&mut Cursor::new(wire)).unwrap();
    let words = ends.client.process_new_packets().unwrap_err().to_string();
    words
        .split_whitespace()
        .find_map(|word| word.trim_end_matches(',').parse().ok())
        .unwrap_or_else(|| panic!("{words}"))
}

#[test]
fn a_certificate_is_chosen_by_name() {
    let ca = Authority::new("ca");
    let names: [&[&str]; 4] =
        [&["default.example"], &["a.example", "*.example"], &["b.example", "*.deep.a.example"], &["*.example"]];
    let mut tls = ServerTls::new();
    for names in names {
        let (certificate, key) = ca.issue(names);
        tls = tls.certificate_pem(certificate, key);
    }
    let fingerprints = tls.fingerprints().unwrap();
    let server = acceptor(tls);
    let cases = [
        ("default.example", 0),
        ("a.example", 1),
        ("A.Example", 1),
        ("b.example", 2),
        // Of two wildcards the first.
        ("c.example", 1),
        ("x.deep.a.example", 2),
        // A wildcard is one label, and a whole one.
        ("x.y.deep.a.example", 0),
        ("deep.a.example", 0),
        ("example", 0),
        ("unknown.org", 0),
        // Addresses are not asked for.
        ("10.0.0.1", 0),
    ];
    for (name, at) in cases {
        assert_eq!(shown(&server, name), fingerprints[at], "{name}");
    }
}

#[test]
fn of_two_kinds_of_key_the_first_that_is_understood() {
    let ca = Authority::new("ca");
    let issue = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(["a".to_owned()]).unwrap();
        (params.signed_by(&key, &ca.issuer).unwrap().pem(), key.serialize_pem())
    };
    let (edwards, curve) = (issue(&rcgen::PKCS_ED25519), issue(&rcgen::PKCS_ECDSA_P256_SHA256));
    let fingerprint = |pem: &str| sha256(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap());
    let expected = [fingerprint(&edwards.0), fingerprint(&curve.0)];
    let server = acceptor(ServerTls::new().certificate_pem(&edwards.0, &edwards.1).certificate_pem(&curve.0, &curve.1));
    assert_eq!(shown(&server, "a"), expected[0]);
    // A client that has never heard of Ed25519.
    let mut provider = (*crate::tls::provider::provider()).clone();
    let known = &provider.signature_verification_algorithms;
    let without: Vec<_> =
        known.mapping.iter().filter(|(scheme, _)| *scheme != rustls::SignatureScheme::ED25519).copied().collect();
    provider.signature_verification_algorithms =
        rustls::crypto::WebPkiSupportedAlgorithms { all: known.all, mapping: Vec::leak(without) };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.issuer.der().clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let ends = shake(&server, &ClientTls::from_rustls(config.into()), "a");
    assert_eq!(ends.failed, [None, None]);
    assert_eq!(sha256(&ends.client.peer_certificates().unwrap()[0]), expected[1]);
}
