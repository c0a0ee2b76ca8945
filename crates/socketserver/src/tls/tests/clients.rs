//! Who a client is.

use super::*;
use crate::{AltName, Identity};
use rcgen::SanType;
use rcgen::string::Ia5String;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use socketserver_testkit::OpenSsl;

/// Whom a server knows a client for, and why not.
fn met(server: &ServerTls, client: &ClientTls) -> Result<Option<Identity>, [Option<HandshakeFailure>; 2]> {
    let ends = shake(&acceptor(server.clone()), client, "a");
    if ends.failed != [None, None] {
        return Err(ends.failed);
    }
    Ok(ends.server.peer_certificates().map(|chain| Identity::from_der(&chain[0]).unwrap()))
}

#[test]
fn a_certificate_is_required_or_may_be_shown() {
    let [ca, staff, other] = ["ca", "staff", "other"].map(Authority::new);
    let nobody = ca.client();
    let [member, stranger] = [&staff, &other].map(|authority| {
        let [certificate, key] = authority.issue_files("me");
        ca.client().certificate(certificate, key)
    });
    let required = ca.server(&["a"]).client_ca(staff.file());
    let optional = ca.server(&["a"]).optional_client_ca(staff.file());
    for tls in [&required, &optional] {
        let me = met(tls, &member).unwrap().unwrap();
        assert_eq!(me.sans(), [AltName::Dns("me".into())]);
        let failed = met(tls, &stranger).unwrap_err();
        assert_eq!(failed, [Some(HandshakeFailure::UnknownCa); 2]);
    }
    assert_eq!(met(&optional, &nobody), Ok(None));
    assert_eq!(met(&required, &nobody), Err([Some(HandshakeFailure::NoCertificate); 2]));
    // Who is asked for nothing shows nothing.
    assert_eq!(met(&ca.server(&["a"]), &member), Ok(None));
    // Those of two files add up, and whoever is required once is required.
    let both = required.optional_client_ca(other.file());
    assert!(met(&both, &stranger).is_ok() && met(&both, &nobody).is_err());
}

#[test]
fn a_subject_and_names_are_as_openssl_reads_them() {
    let Some(openssl) = OpenSsl::find() else { return };
    let names =
        "DNS:A.Example,DNS:*.b.example,IP:10.0.0.1,IP:2001:db8::1,URI:spiffe://x/y,email:me@example.org,RID:1.2.3.4";
    openssl.run(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "k",
        "-out",
        "c",
        "-utf8",
        "-subj",
        "/C=DE/O=Ex\\, Inc. + \"Co\"/OU=  spaces /CN=Zürich 你好",
        "-addext",
        &format!("subjectAltName={names}"),
    ]);
    let der = CertificateDer::from_pem_file(openssl.path("c")).unwrap();
    let identity = Identity::from_der(&der).unwrap();
    let printed = openssl.run(&["x509", "-in", "c", "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb,utf8"]);
    assert_eq!(identity.subject(), printed.trim_end().strip_prefix("subject=").unwrap());
    let expected = [
        "DNS:a.example",
        "DNS:*.b.example",
        "IP:10.0.0.1",
        "IP:2001:db8::1",
        "URI:spiffe://x/y",
        "email:me@example.org",
    ];
    let sans: Vec<_> = identity.sans().iter().map(ToString::to_string).collect();
    assert_eq!(sans, expected);
    assert_eq!(identity.fingerprint().to_string(), openssl.fingerprint("c"));
    assert_eq!(identity.der(), &*der);
}

/// A certificate as its owner wrote it.
fn written(change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let (pem, _) = Authority::new("ca").issue_with(&[], change);
    Identity::from_der(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap()
}

#[test]
fn a_subject_cannot_forge_a_line_or_another_part() {
    let identity = written(|params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "root,O=Us\r\n\x1b[2J\0\u{85}\u{202e}evil");
    });
    assert_eq!(identity.subject(), "CN=root\\,O=Us\\0d\\0a\\1b[2J\\00\\c2\\85\\e2\\80\\aeevil");
    let empty = written(|params| params.distinguished_name = rcgen::DistinguishedName::new());
    assert_eq!(empty.subject(), "");
}

#[test]
fn names_that_cannot_be_are_left_out() {
    let text = |text: &str| Ia5String::try_from(text).unwrap();
    let identity = written(|params| {
        params.subject_alt_names = vec![
            SanType::DnsName(text("good.example")),
            SanType::DnsName(text("bank.example\0.evil.example")),
            SanType::DnsName(text("two words")),
            SanType::URI(text("https://x/\n")),
            SanType::Rfc822Name(text("")),
        ];
    });
    assert_eq!(identity.sans(), [AltName::Dns("good.example".into())]);
}

#[test]
fn what_is_no_certificate_is_refused() {
    for bytes in [&b""[..], b"hello", &[0x30; 100], &vec![0x30; 100_000]] {
        assert!(Identity::from_der(&CertificateDer::from(bytes)).is_err());
    }
    let (pem, _) = Authority::new("ca").issue(&["a"]);
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    for length in 0..der.len() {
        assert!(Identity::from_der(&CertificateDer::from(&der[..length])).is_err());
    }
    // Whatever one byte is, it is read or refused.
    for at in 0..der.len() {
        let mut other = der.to_vec();
        other[at] ^= 0xff;
        let _ = Identity::from_der(&CertificateDer::from(other));
    }
}

#[test]
fn a_client_says_what_is_wrong_with_its_own() {
    let ca = Authority::new("ca");
    let [certificate, _] = ca.issue_files("one");
    let [_, key] = ca.issue_files("two");
    let error = ca.client().certificate(certificate, key).session(&host("a")).unwrap_err();
    assert!(error.to_string().contains("two.key`: the key is not that of the certificate in"), "{error}");
    let error = ClientTls::new().ca("/nowhere.pem").session(&host("a")).unwrap_err();
    assert!(error.to_string().starts_with("cannot read `/nowhere.pem`: "), "{error}");
    let error = ca.client().server_name("a b").session(&host("a")).unwrap_err();
    assert!(error.to_string().contains("no name in the DNS"), "{error}");
    let error = ca.client().alpn([""]).session(&host("a")).unwrap_err();
    assert!(error.to_string().contains("1 to 255 bytes"), "{error}");
}
