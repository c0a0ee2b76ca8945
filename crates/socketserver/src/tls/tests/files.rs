//! Certificates and keys as they are found, and what is wrong with them.

use super::*;
use crate::{Error, ErrorKind};
use socketserver_testkit::OpenSsl;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn load(openssl: &OpenSsl, certificate: &str, key: &str) -> Result<(), Error> {
    let tls = ServerTls::new().certificate(openssl.path(certificate), openssl.path(key));
    Acceptor::new(tls).map(|_| ())
}

/// What is said of them.
fn refused(openssl: &OpenSsl, certificate: &str, key: &str) -> String {
    let error = load(openssl, certificate, key).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    let words = error.to_string();
    assert!(words.starts_with(&format!("`{}/", openssl.dir().display())), "{words}");
    words.replace(&format!("{}/", openssl.dir().display()), "")
}

/// As keys of these kinds are made, and the label that they have.
const KINDS: [(&str, &[&str], &str); 6] = [
    ("rsa8", &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa8.key"], "PRIVATE KEY"),
    ("rsa1", &["rsa", "-in", "rsa8.key", "-traditional", "-out", "rsa1.key"], "RSA PRIVATE KEY"),
    ("ec8", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ec8.key"], "PRIVATE KEY"),
    // With its parameters in front, as it is found in the field.
    ("sec1", &["ecparam", "-genkey", "-name", "prime256v1", "-out", "sec1.key"], "EC PRIVATE KEY"),
    ("p384", &["ecparam", "-genkey", "-noout", "-name", "secp384r1", "-out", "p384.key"], "EC PRIVATE KEY"),
    ("ed", &["genpkey", "-algorithm", "ED25519", "-out", "ed.key"], "PRIVATE KEY"),
];

fn certify(openssl: &OpenSsl, name: &str) {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
    let subject = ["-subj", "/CN=a", "-addext", "subjectAltName=DNS:a", "-addext", "basicConstraints=CA:FALSE"];
    openssl.run(&[&["req", "-x509", "-key", &key, "-out", &certificate, "-days", "30"][..], &subject].concat());
}

#[test]
fn keys_of_all_kinds_are_read_and_used() {
    let Some(openssl) = OpenSsl::find() else { return };
    for (name, make, label) in KINDS {
        openssl.run(make);
        certify(&openssl, name);
        let key = fs::read_to_string(openssl.path(&format!("{name}.key"))).unwrap();
        assert!(key.contains(&format!("-----BEGIN {label}-----")), "{name}: {key}");
        let [certificate, key] = ["pem", "key"].map(|kind| openssl.path(&format!("{name}.{kind}")));
        let tls = ServerTls::new().certificate(&certificate, key);
        let ends = shake(&acceptor(tls), &ClientTls::new().ca(certificate), "a");
        assert_eq!(ends.failed, [None, None], "{name}");
    }
}

#[test]
fn one_file_may_hold_both_and_other_things() {
    let Some(openssl) = OpenSsl::find() else { return };
    openssl.self_signed("a", "DNS:a");
    let [certificate, key] = ["a.pem", "a.key"].map(|name| fs::read_to_string(openssl.path(name)).unwrap());
    let both =
        format!("Bag Attributes\n    friendlyName: a\n{key}\nsome words\r\n{}", certificate.replace('\n', "\r\n"));
    fs::write(openssl.path("both.pem"), both).unwrap();
    load(&openssl, "both.pem", "both.pem").unwrap();
}

#[test]
fn a_chain_is_shown_as_it_stands() {
    let Some(openssl) = OpenSsl::find() else { return };
    openssl.authority("ca");
    openssl.issue("ca", "a", "DNS:a");
    let [certificate, above] = ["a.pem", "ca.pem"].map(|name| fs::read_to_string(openssl.path(name)).unwrap());
    fs::write(openssl.path("chain.pem"), format!("{certificate}{above}")).unwrap();
    let tls = ServerTls::new().certificate(openssl.path("chain.pem"), openssl.path("a.key"));
    assert_eq!(tls.fingerprint().unwrap().to_string(), openssl.fingerprint("a.pem"));
    let ends = shake(&acceptor(tls), &ClientTls::new().ca(openssl.path("ca.pem")), "a");
    assert_eq!((ends.failed, ends.client.peer_certificates().map(<[_]>::len)), ([None, None], Some(2)));
    fs::write(openssl.path("chain.pem"), format!("{above}{certificate}")).unwrap();
    assert_eq!(
        refused(&openssl, "chain.pem", "a.key"),
        "`chain.pem`: the certificate of the key in `a.key` must come first"
    );
}

#[test]
fn what_is_wrong_is_said_with_the_name_of_the_file() {
    let Some(openssl) = OpenSsl::find() else { return };
    openssl.self_signed("a", "DNS:a");
    openssl.self_signed("b", "DNS:b");
    openssl.run(&["pkey", "-in", "a.key", "-aes256", "-passout", "pass:x", "-out", "locked.key"]);
    openssl.run(&["ec", "-in", "a.key", "-aes256", "-passout", "pass:x", "-out", "locked-old.key"]);
    openssl.run(&["x509", "-in", "a.pem", "-outform", "DER", "-out", "a.der"]);
    openssl.run(&["genpkey", "-algorithm", "X25519", "-out", "x25519.key"]);
    fs::write(openssl.path("empty"), "").unwrap();
    let pem = fs::read_to_string(openssl.path("a.key")).unwrap();
    fs::write(openssl.path("ssh.key"), pem.replace(" PRIVATE KEY", " OPENSSH PRIVATE KEY")).unwrap();
    let pem = fs::read_to_string(openssl.path("a.pem")).unwrap();
    fs::write(openssl.path("cut.pem"), &pem[..pem.len() / 2]).unwrap();
    fs::write(openssl.path("junk.pem"), pem.replacen("MII", "?!*", 1)).unwrap();
    fs::write(openssl.path("no-der.pem"), "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n")
        .unwrap();
    let password = "the key is encrypted: `openssl pkey -in FILE -out FILE` writes it without a password";
    let cases = [
        ("a.pem", "b.key", "`b.key`: the key is not that of the certificate in `a.pem`"),
        ("a.key", "a.key", "`a.key`: there is no certificate in it, but a private key"),
        ("a.pem", "a.pem", "`a.pem`: there is no private key in it, but a certificate"),
        (
            "a.pem",
            "ssh.key",
            "`ssh.key`: there is no private key in it, but one of a kind that TLS has no use for: it is to be PKCS#8, SEC 1 or \
             PKCS#1",
        ),
        ("empty", "a.key", "`empty`: there is no certificate in it: it is empty"),
        ("a.pem", "empty", "`empty`: there is no private key in it: it is empty"),
        (
            "a.der",
            "a.key",
            "`a.der`: there is no certificate in it: it is DER, and PEM is wanted, the text with `-----BEGIN`",
        ),
        ("cut.pem", "a.key", "`cut.pem`: it ends in the middle: a line with `-----END` is missing"),
        ("junk.pem", "a.key", "`junk.pem`: what stands between its lines of dashes is no base64"),
        ("a.pem", "locked.key", &format!("`locked.key`: {password}")),
        ("a.pem", "locked-old.key", &format!("`locked-old.key`: {password}")),
    ];
    for (certificate, key, words) in cases {
        assert_eq!(refused(&openssl, certificate, key), words);
    }
    assert!(refused(&openssl, "no-der.pem", "a.key").starts_with("`no-der.pem`: it is no certificate: "));
    assert!(refused(&openssl, "a.pem", "x25519.key").starts_with("`x25519.key`: the key is of no use: "));
    // A client's authorities are files, too.
    let tls = || ServerTls::new().certificate(openssl.path("a.pem"), openssl.path("a.key"));
    let error = Acceptor::new(tls().client_ca(openssl.path("empty"))).unwrap_err();
    assert!(error.to_string().ends_with("empty`: there is no certificate in it: it is empty"), "{error}");
    let error = Acceptor::new(tls().client_ca(openssl.path("no-der.pem"))).unwrap_err();
    assert!(error.to_string().contains("no-der.pem`: an authority in it is of no use: "), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let read = |name: &str| {
        let error = Acceptor::new(ServerTls::new().certificate(dir.path().join(name), "/")).unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("cannot read `{}`: ", dir.path().join(name).display())),
            "{error}"
        );
        error
    };
    assert_eq!(read("absent").kind(), ErrorKind::Io);
    assert!(read("").to_string().ends_with("it is no file"));
    // One that waits for a writer is not waited for.
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(read("fifo").to_string().ends_with("it is no file"));
    fs::File::create(dir.path().join("long")).unwrap().set_len(5 << 20).unwrap();
    assert!(read("long").to_string().ends_with("it is longer than 4194304 bytes"));
    // Root may read everything.
    if !rustix::process::geteuid().is_root() {
        fs::write(dir.path().join("secret"), "").unwrap();
        fs::set_permissions(dir.path().join("secret"), fs::Permissions::from_mode(0o000)).unwrap();
        assert_eq!(read("secret").kind(), ErrorKind::Denied);
    }
}

#[test]
fn what_was_not_said_is_asked_for() {
    let error = Acceptor::new(ServerTls::new().alpn(["h2"])).unwrap_err();
    assert_eq!(error.to_string(), "TLS needs a certificate: `ServerTls::certificate` names one and its key");
    let ca = Authority::new("ca");
    let error = Acceptor::new(ca.server(&["a"]).alpn(["h2", ""])).unwrap_err();
    assert_eq!(error.to_string(), "the name of a protocol (ALPN) has 1 to 255 bytes, not 0");
}

#[test]
fn a_configuration_of_rustls_is_taken_as_it_is() {
    let ca = Authority::new("ca");
    let made = acceptor(ca.server(&["a"]));
    let config = made.config();
    let server = acceptor(ServerTls::from_rustls(config.clone()).or_plain());
    assert!(server.or_plain() && !server.reload().unwrap());
    assert_eq!(shake(&server, &ca.client(), "a").failed, [None, None]);
    assert_eq!(ServerTls::from_rustls(config.clone()).fingerprints().unwrap(), []);
    assert!(ServerTls::from_rustls(config.clone()).fingerprint().is_err());
    let mut early = (*config).clone();
    early.max_early_data_size = 1;
    let error = Acceptor::new(ServerTls::from_rustls(early.into())).unwrap_err();
    assert!(error.to_string().starts_with("early data (0-RTT) is not served"), "{error}");
    let more = [
        ServerTls::from_rustls(config.clone()).alpn(["h2"]),
        ServerTls::from_rustls(config.clone()).client_ca(ca.file()),
        ServerTls::from_rustls(config).certificate("a", "b"),
    ];
    for tls in more {
        let error = Acceptor::new(tls).unwrap_err();
        assert!(error.to_string().starts_with("a configuration of rustls is taken as it is"), "{error}");
    }
}

#[test]
fn no_key_is_printed() {
    let ca = Authority::new("ca");
    let (certificate, key) = ca.issue(&["a"]);
    let tls = ServerTls::new().certificate_pem(certificate, &key);
    let secret = key.lines().nth(1).unwrap();
    let server = acceptor(tls.clone());
    for printed in [format!("{tls:?}"), format!("{server:?}"), format!("{:?}", ca.client().certificate("a", "b"))] {
        assert!(!printed.contains(secret) && !printed.contains("PRIVATE"), "{printed}");
    }
}
