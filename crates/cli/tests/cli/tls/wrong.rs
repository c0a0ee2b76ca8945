//! Arguments that make no sense: one sentence each, and status 2.

use super::Office;
use crate::harness::run;

const TLS: &str = "tls://127.0.0.1:0";

#[track_caller]
fn serve(args: &[&str], words: &[&str]) {
    run(&[&["serve", "echo"], args].concat(), b"").failed(2, words);
}

#[track_caller]
fn connect(args: &[&str], words: &[&str]) {
    run(&[&["connect"], args].concat(), b"").failed(2, words);
}

#[test]
fn what_does_not_go_together_is_refused_before_anything_is_bound() {
    serve(
        &[TLS],
        &["`tls://127.0.0.1:0` wants a certificate", "`--tls-cert FILE --tls-key FILE`", "`--tls-self-signed`"],
    );
    run(&["serve", "chat", "wss://127.0.0.1:0/"], b"").failed(2, &["`wss://127.0.0.1:0/` wants a certificate"]);
    for flag in [
        &["--tls-cert", "a"][..],
        &["--tls-key", "a"],
        &["--tls-client-ca", "a"],
        &["--tls-optional-client-ca", "a"],
        &["--tls-min-version", "1.3"],
        &["--tls-alpn", "h2"],
        &["--tls-self-signed"],
    ] {
        for address in [":0", "udp://:0", "unix:@nobody", "fd:3"] {
            serve(&[&[address], flag].concat(), &[&format!("`{}` is for `tls://…` and `wss://…`", flag[0])]);
        }
    }
    serve(&[TLS, "--tls-key", "a"], &["`--tls-key` wants the certificate", "`--tls-cert FILE`"]);
    serve(&[TLS, "--tls-client-ca", "a"], &["wants a certificate: `--tls-cert FILE"]);
    serve(&[TLS, "--tls-self-signed", "--tls-cert", "a"], &["`--tls-self-signed` makes a certificate"]);
    serve(&[TLS, "--tls-self-signed", "--tls-key", "a"], &["`--tls-self-signed` makes a certificate"]);
    serve(
        &[TLS, "--tls-cert", "a", "--tls-cert", "b", "--tls-key", "a"],
        &["`--tls-cert` is given 2 times and `--tls-key` 1"],
    );
    serve(
        &[TLS, "--tls-self-signed", "--tls-client-ca", "a", "--tls-optional-client-ca", "a"],
        &["`--tls-client-ca`", "`--tls-optional-client-ca`"],
    );
    serve(&[TLS, "--tls-self-signed", "--tls-min-version", "1.1"], &["`1.1`", "one of `1.2`, `1.3`"]);
    serve(&[TLS, "--tls-self-signed", "--tls-alpn", ""], &["ALPN"]);
    serve(&[TLS, "--tls-self-signed", "--handshake", "soon"], &["--handshake", "`soon`", "`off`"]);
    let page = ["serve", "chat", TLS, "wss://127.0.0.1:0/", "--tls-self-signed", "--tls-alpn", "h2"];
    run(&page, b"").failed(2, &["`wss://127.0.0.1:0/`", "`http/1.1`"]);
    // Bytes are no messages.
    serve(&["wss://127.0.0.1:0/", "--tls-self-signed"], &["whole messages come to `wss://127.0.0.1:0/`"]);
}

#[test]
fn files_of_no_use_are_named() {
    let Some(office) = Office::open() else { return };
    let [certificate, key, other] = ["server.pem", "server.key", "other.key"].map(|name| office.path(name));
    let gone = office.path("gone.pem");
    serve(&[TLS, "--tls-cert", &gone], &["cannot read", &gone, "No such file"]);
    serve(&[TLS, "--tls-cert", &certificate, "--tls-key", &gone], &["cannot read", &gone, "No such file"]);
    serve(
        &[TLS, "--tls-cert", &certificate, "--tls-key", &other],
        &[&other, "the key is not that of the certificate", &certificate],
    );
    serve(&[TLS, "--tls-cert", &certificate], &[&certificate, "there is no private key in it"]);
    serve(&[TLS, "--tls-cert", &key], &[&key, "there is no certificate in it"]);
    serve(&[TLS, "--tls-self-signed", "--tls-client-ca", &gone], &["cannot read", &gone]);
    serve(&[TLS, "--tls-self-signed", "--tls-client-ca", &key], &[&key, "there is no certificate in it"]);
    let folder = office.openssl.dir().to_str().unwrap();
    serve(&[TLS, "--tls-cert", folder], &[folder, "it is no file"]);
    for flag in ["--ca", "--tls-cert"] {
        connect(&[TLS, flag, &gone], &["cannot read", &gone, "No such file"]);
        connect(&[TLS, flag, folder], &["cannot read", folder, "it is no file"]);
    }
}

#[test]
fn a_client_without_tls_is_told_what_is_for_it() {
    let sum = "ab".repeat(32);
    for flag in [
        ["--ca", "a"],
        ["--insecure-fingerprint", &sum],
        ["--server-name", "a"],
        ["--tls-cert", "a"],
        ["--tls-key", "a"],
        ["--tls-alpn", "a"],
    ] {
        for address in ["tcp://127.0.0.1:1", "udp://127.0.0.1:1", "unix:@nobody"] {
            connect(&[&[address], &flag[..]].concat(), &[&format!("`{}` is for `tls://…`", flag[0]), address]);
        }
    }
    connect(&[TLS, "--tls-key", "a"], &["`--tls-key` wants the certificate"]);
    connect(&[TLS, "--insecure-fingerprint", &sum, "--ca", "a"], &["`--insecure-fingerprint`", "`--ca`"]);
    connect(&[TLS, "--insecure-fingerprint", &sum, "--server-name", "a"], &["`--server-name`"]);
    connect(&[TLS, "--insecure-fingerprint", "ab:cd"], &["64 hexadecimal digits"]);
}
