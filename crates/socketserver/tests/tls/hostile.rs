//! Peers that shake no hands, or badly. Each is one connection that ends once, for the reason it ends for, and the server
//! goes on.

use crate::site::{Site, sites};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use socketserver::client::{ClientTls, Connector};
use socketserver::{HandshakeFailure, Reason, Server, ServerTls};
use socketserver_testkit::OpenSsl;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SOON: Duration = Duration::from_millis(300);

fn tls() -> ServerTls {
    ServerTls::new().self_signed(["localhost", "127.0.0.1"]).unwrap()
}

fn short(server: Server) -> Server {
    server.handshake(SOON)
}

/// Somebody who keeps to the rules is served.
#[track_caller]
fn is_alive(site: &Site, tls: &ClientTls) {
    let mut c = Connector::new().tls(tls.clone()).connect(site.at()).unwrap();
    c.write_all(b"echo still here\nbye\n").unwrap();
    assert_eq!(c.read_line(100).unwrap().as_deref(), Some("still here"));
    assert_eq!(c.read_line(100).unwrap().as_deref(), Some("bye"));
    assert_eq!(c.read_to_end(100).unwrap(), b"");
    drop(c);
    site.expect_closed(Reason::Finished);
}

/// What a client of TLS 1.2 and older begins with (RFC 5246, section 7.4.1.2), without extensions.
fn hello(version: [u8; 2]) -> Vec<u8> {
    let body = [&version[..], &[7; 32], &[0], &[0, 4, 0, 0x2f, 0, 0x35], &[1, 0]].concat();
    let message = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    [&[22, version[0], version[1], 0, message.len() as u8][..], &message].concat()
}

/// A message that says it is so long, in records.
fn long_hello(len: usize) -> Vec<u8> {
    let header = [1, (len >> 16) as u8, (len >> 8) as u8, len as u8];
    let message = [&header[..], &vec![0; len]].concat();
    let records = message.chunks(16 * 1024).map(|piece| {
        let len = (piece.len() as u16).to_be_bytes();
        [&[22, 3, 1, len[0], len[1]][..], piece].concat()
    });
    records.collect::<Vec<_>>().concat()
}

#[test]
fn what_is_no_handshake_ends_at_once_and_has_a_reason() {
    let refused = [
        ("plain HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), HandshakeFailure::NotTls),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), HandshakeFailure::NotTls),
        ("SSL 2", vec![0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10], HandshakeFailure::NotTls),
        ("SSL 3", hello([3, 0]), HandshakeFailure::NoCommonCipher),
        ("TLS 1.0", hello([3, 1]), HandshakeFailure::NoCommonCipher),
        ("TLS 1.1", hello([3, 2]), HandshakeFailure::NoCommonCipher),
        ("a ClientHello of 64 KiB", long_hello(64 * 1024), HandshakeFailure::Protocol),
        ("a ClientHello of 16 MB", long_hello((1 << 24) - 1)[..100_000].to_vec(), HandshakeFailure::Protocol),
        ("a record of 64 KiB", [&[22, 3, 1, 0xff, 0xff][..], &[0; 30_000]].concat(), HandshakeFailure::Protocol),
        ("no record at all", vec![22, 3, 1, 0, 0, 22, 3, 1, 0, 0], HandshakeFailure::Protocol),
        ("application data", vec![23, 3, 3, 0, 4, 1, 2, 3, 4], HandshakeFailure::Protocol),
        ("a ServerHello", [&[22, 3, 3, 0, 4][..], &[2, 0, 0, 0]].concat(), HandshakeFailure::Protocol),
        ("a fatal alert", vec![21, 3, 3, 0, 2, 2, 80], HandshakeFailure::Protocol),
    ];
    let tls = tls();
    let trusted = ClientTls::new().fingerprint(tls.fingerprint().unwrap());
    for site in sites("tls://127.0.0.1:0", &tls, |server| server) {
        for (what, bytes, why) in &refused {
            let mut client = site.plain();
            client.say_if_there(bytes);
            client.expect_gone();
            drop(client);
            let closed = site.closed();
            assert!(closed.0 == Reason::Handshake(*why), "{}: {what}: {closed:?}", site.name);
        }
        is_alive(&site, &trusted);
        assert_eq!(site.stop().totals.handshakes_failed, refused.len() as u64);
    }
}

#[test]
fn a_handshake_has_a_deadline_however_slowly_it_comes() {
    let tls = tls();
    let trusted = ClientTls::new().fingerprint(tls.fingerprint().unwrap());
    for site in sites("tls://127.0.0.1:0", &tls, short) {
        // A record of 512 bytes, one at a time.
        let mut client = site.plain();
        client.say([22, 3, 1, 2, 0]);
        assert!(client.trickle(1, Duration::from_millis(20)) < 500);
        site.expect_closed(Reason::Handshake(HandshakeFailure::Timeout));
        // Not a word.
        let mut client = site.plain();
        client.expect_gone();
        site.expect_closed(Reason::Handshake(HandshakeFailure::Timeout));
        is_alive(&site, &trusted);
        assert_eq!(site.stop().totals.handshakes_failed, 2);
    }
}

#[test]
fn a_peer_that_leaves_in_the_handshake_is_no_error() {
    let tls = tls();
    let trusted = ClientTls::new().fingerprint(tls.fingerprint().unwrap());
    for site in sites("tls://127.0.0.1:0", &tls, |server| server) {
        for said in [&b""[..], &[22], &[22, 3, 1, 2, 0, 1, 0, 1]] {
            let mut client = site.plain();
            client.say(said);
            client.reset();
            site.expect_closed(Reason::Handshake(HandshakeFailure::Disconnected));
            let mut client = site.plain();
            client.say(said);
            client.end();
            site.expect_closed(Reason::Handshake(HandshakeFailure::Disconnected));
            client.expect_gone();
        }
        is_alive(&site, &trusted);
        assert_eq!(site.stop().totals.handshakes_failed, 6);
    }
}

/// A certificate that was good until yesterday, and its key.
fn expired(issuer: &CertifiedIssuer<'_, KeyPair>, usage: ExtendedKeyUsagePurpose) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "late");
    params.not_before = (SystemTime::now() - 30 * DAY).into();
    params.not_after = (SystemTime::now() - DAY).into();
    params.extended_key_usages = vec![usage];
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[test]
fn certificates_that_are_no_good_are_told_apart() {
    let Some(openssl) = OpenSsl::find() else { return };
    let authority = authority();
    std::fs::write(openssl.path("old-ca.pem"), authority.pem()).unwrap();
    for (name, usage) in [("old", ExtendedKeyUsagePurpose::ServerAuth), ("late", ExtendedKeyUsagePurpose::ClientAuth)] {
        let (certificate, key) = expired(&authority, usage);
        std::fs::write(openssl.path(&format!("{name}.pem")), certificate).unwrap();
        std::fs::write(openssl.path(&format!("{name}.key")), key).unwrap();
    }
    openssl.authority("ca");
    openssl.authority("other");
    openssl.issue("ca", "server", "DNS:localhost,IP:127.0.0.1");
    openssl.issue("ca", "client", "DNS:client");
    openssl.issue("other", "stranger", "DNS:stranger");
    let versions = ["-tls1_2", "-tls1_3"];
    let pair = |name: &str| [format!("{name}.pem"), format!("{name}.key")].map(|name| openssl.path(&name));

    // What the server shows.
    let [chain, key] = pair("server");
    let good = ServerTls::new().certificate(&chain, &key).alpn(["http/1.1"]);
    for site in sites("tls://127.0.0.1:0", &good, |server| server) {
        for version in versions {
            let asked = |args: &[&str]| openssl.ask(&site.at(), &[&[version][..], args].concat(), "bye");
            let told = asked(&["-CAfile", "other.pem", "-verify_return_error"]);
            assert!(!told.success, "{told:?}");
            site.expect_closed(Reason::Handshake(HandshakeFailure::UnknownCa));
            let told = asked(&["-alpn", "h3,imap"]);
            assert!(!told.success, "{told:?}");
            site.expect_closed(Reason::Handshake(HandshakeFailure::NoCommonCipher));
            let told = asked(&["-CAfile", "ca.pem", "-verify_return_error", "-alpn", "h3,http/1.1"]);
            assert!(told.success && told.heard("bye"), "{told:?}");
            assert_eq!(told.fact("ALPN protocol: "), Some("http/1.1"), "{told:?}");
            site.expect_closed(Reason::Finished);
        }
        let told = openssl.ask(&site.at(), &["-tls1_2", "-cipher", "AES128-SHA"], "bye");
        assert!(!told.success, "{told:?}");
        site.expect_closed(Reason::Handshake(HandshakeFailure::NoCommonCipher));
        let told = openssl.ask(&site.at(), &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "bye");
        assert!(!told.success, "{told:?}");
        site.expect_closed(Reason::Handshake(HandshakeFailure::NoCommonCipher));
        assert_eq!(site.stop().totals.handshakes_failed, 6);
    }

    let [chain, key] = pair("old");
    for site in sites("tls://127.0.0.1:0", &ServerTls::new().certificate(&chain, &key), |server| server) {
        for version in versions {
            let told = openssl.ask(&site.at(), &[version, "-CAfile", "old-ca.pem", "-verify_return_error"], "bye");
            assert!(!told.success, "{told:?}");
            site.expect_closed(Reason::Handshake(HandshakeFailure::Expired));
        }
        site.stop();
    }

    // What the client shows.
    let [chain, key] = pair("server");
    let asking = ServerTls::new().certificate(&chain, &key).client_ca(openssl.path("ca.pem"));
    let asking = asking.client_ca(openssl.path("old-ca.pem"));
    for site in sites("tls://127.0.0.1:0", &asking, |server| server) {
        for version in versions {
            for (name, why) in [
                (None, HandshakeFailure::NoCertificate),
                (Some("stranger"), HandshakeFailure::UnknownCa),
                (Some("late"), HandshakeFailure::Expired),
            ] {
                let name = name.map(|name| (format!("{name}.pem"), format!("{name}.key")));
                let mut args = vec![version];
                if let Some((certificate, key)) = &name {
                    args.extend(["-cert", certificate, "-key", key]);
                }
                let told = openssl.ask(&site.at(), &args, "bye");
                assert!(!told.heard("bye"), "{told:?}");
                site.expect_closed(Reason::Handshake(why));
            }
            let told = openssl.ask(&site.at(), &[version, "-cert", "client.pem", "-key", "client.key"], "bye");
            assert!(told.heard("bye"), "{told:?}");
            site.expect_closed(Reason::Finished);
        }
        assert_eq!(site.stop().totals.handshakes_failed, 6);
    }
}

#[test]
fn who_asks_to_shake_hands_again_is_not_obeyed() {
    let Some(openssl) = OpenSsl::find() else { return };
    let tls = tls();
    let trusted = ClientTls::new().fingerprint(tls.fingerprint().unwrap());
    for site in sites("tls://127.0.0.1:0", &tls, |server| server) {
        // OpenSSL's client gives up when it is not.
        let mut client = openssl.connect(&site.at(), &["-tls1_2"]);
        client.say("echo before");
        assert!(client.hears("before"));
        client.say("R");
        let told = client.end();
        assert!(told.tells("no renegotiation"), "{told:?}");
        site.expect_closed(Reason::Disconnected);
        is_alive(&site, &trusted);
        assert_eq!(site.stop().totals.handshakes_failed, 0);
    }
}

#[test]
fn new_keys_are_taken_and_not_without_end() {
    let Some(openssl) = OpenSsl::find() else { return };
    let tls = tls();
    let trusted = ClientTls::new().fingerprint(tls.fingerprint().unwrap());
    for site in sites("tls://127.0.0.1:0", &tls, |server| server) {
        let mut client = openssl.connect(&site.at(), &["-tls1_3"]);
        // `K`: new keys, and the server is to have some, too.
        for round in 0..40 {
            client.say("K");
            assert!(client.hears("KEYUPDATE"));
            client.say(&format!("echo round {round} is over"));
            assert!(client.hears(&format!("round {round} is over")));
        }
        // Keys are all it wants.
        for _ in 0..40 {
            client.say("K");
            if !client.hears("KEYUPDATE") {
                break;
            }
        }
        let told = client.end();
        assert!(!told.success, "{told:?}");
        site.expect_closed(Reason::Disconnected);
        is_alive(&site, &trusted);
        assert_eq!(site.stop().totals.handshakes_failed, 0);
    }
}
