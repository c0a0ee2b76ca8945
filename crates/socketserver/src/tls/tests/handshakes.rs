use super::*;
use crate::{TlsInfo, TlsVersion};

#[test]
fn both_sides_tell_the_same() {
    let tls = ServerTls::new().self_signed(["localhost"]).unwrap().alpn(["h2", "http/1.1"]);
    let client = ClientTls::new().fingerprint(tls.fingerprint().unwrap()).alpn(["http/1.1"]);
    let server = acceptor(tls);
    for resumed in [false, true] {
        let ends = shake(&server, &client, "LOCALHOST");
        assert_eq!(ends.failed, [None, None]);
        let info = TlsInfo::of_server(&ends.server).unwrap();
        assert_eq!(info.version(), TlsVersion::Tls13);
        assert!(info.cipher_suite().starts_with("TLS_"), "{info:?}");
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
fn another_certificate_than_the_pinned_one_is_refused() {
    let (tls, other) = (ServerTls::new().self_signed(["a"]).unwrap(), ServerTls::new().self_signed(["a"]).unwrap());
    let client = ClientTls::new().fingerprint(other.fingerprint().unwrap());
    let ends = shake(&acceptor(tls), &client, "a");
    assert_eq!(ends.failed[0], Some(HandshakeFailure::WrongFingerprint));
}
