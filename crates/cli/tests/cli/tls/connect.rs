//! `connect` over TLS: whom it trusts, and what it says when it does not.

use super::{Office, connect, made};
use crate::harness::{Running, Served, accept, command, run};
use std::io::Write;
use std::net::TcpListener;

#[test]
fn an_authority_is_trusted_for_the_names_that_it_has_signed() {
    let Some(office) = Office::open() else { return };
    let served = office.serve(&["upper", "tls://127.0.0.1:0"]);
    office.connect(&served, &[], "hello\n").is("HELLO\n");
    office.connect(&served, &["--server-name", "localhost"], "hello\n").is("HELLO\n");
    office.connect(&served, &["--server-name", "chat.example"], "hello\n").failed(
        1,
        &[
            served.address(),
            "the server's certificate is not for `chat.example`, but for localhost, 127.0.0.1: `--server-name NAME`",
        ],
    );
    let named = served.address().replace("127.0.0.1", "localhost");
    run(&["connect", &named, "--ca", &office.path("ca.pem")], b"hello\n").is("HELLO\n");
    served.stop();
}

#[test]
fn a_stranger_is_refused_and_what_to_do_is_said() {
    let Some(office) = Office::open() else { return };
    let served = office.serve(&["upper", "tls://127.0.0.1:0"]);
    let fingerprint = office.openssl.fingerprint("server.pem");
    let output = run(&["connect", served.address(), "--ca", &office.path("other.pem")], b"secret\n");
    output.failed(1, &["nobody who is trusted here", "`--ca FILE`", "`--insecure-fingerprint SHA256`"]);
    // Whoever answers would be trusted by it.
    assert!(!output.stderr.contains(&fingerprint[..11]), "{}", output.stderr);
    // Nothing was said to it.
    let close = served.line("close ");
    assert!(close.contains(" read=0 written=0 ") && close.contains("reason=handshake-unknown-ca"), "{close}");

    connect(served.address(), &fingerprint, "hello\n").is("HELLO\n");
    connect(served.address(), &fingerprint.replace(':', "").to_lowercase(), "hello\n").is("HELLO\n");
    let other = office.openssl.fingerprint("other.pem");
    connect(served.address(), &other, "secret\n").failed(1, &[&fingerprint, &other, "was expected"]);
    served.stop();
}

#[test]
fn an_authority_of_its_own_is_no_server() {
    let Some(office) = Office::open() else { return };
    let files = ["ca.pem", "ca.key"].map(|name| office.path(name));
    let served = Served::start(&["upper", "tls://127.0.0.1:0", "--tls-cert", &files[0], "--tls-key", &files[1]]);
    office.connect(&served, &[], "hello\n").failed(1, &["an authority's own", "`--insecure-fingerprint SHA256`"]);
    connect(served.address(), &office.openssl.fingerprint("ca.pem"), "hello\n").is("HELLO\n");
    served.stop();
}

#[test]
fn what_a_server_has_against_a_client_is_told() {
    let Some(office) = Office::open() else { return };
    let ca = office.path("ca.pem");
    let served = office.serve(&["upper", "tls://127.0.0.1:0", "--tls-client-ca", &ca, "--tls-alpn", "chat/1"]);
    let pair = |name: &str| {
        [
            "--tls-cert".to_owned(),
            office.path(&format!("{name}.pem")),
            "--tls-key".to_owned(),
            office.path(&format!("{name}.key")),
        ]
    };
    let (client, other) = (pair("client"), pair("other"));
    let [client, other] = [&client, &other].map(|pair| pair.iter().map(String::as_str).collect::<Vec<_>>());
    // The input stays open: what is said to a server that has turned us away may undo what it has said.
    let ask = |args: &[&str]| {
        let args = [&["connect", served.address(), "--ca", &ca], args].concat();
        Running::start(&mut command(&args)).output_with_open_input()
    };
    ask(&[]).failed(1, &["the server wants a certificate of its clients", "`--tls-cert FILE --tls-key FILE`"]);
    ask(&other).failed(1, &["does not know the authority", "`--tls-cert`"]);
    ask(&[&client[..], &["--tls-alpn", "h2"]].concat()).failed(1, &["nothing of what `--tls-alpn` asks for"]);
    office.connect(&served, &[&client[..], &["--tls-alpn", "h2,chat/1"]].concat(), "hello\n").is("HELLO\n");
    served.stop();
}

#[test]
fn who_speaks_no_tls_is_told_so() {
    let served = Served::start(&["hello", ":0"]);
    let address = served.address().replace("tcp", "tls");
    let sum = "00".repeat(32);
    connect(&address, &sum, "hello\n").failed(1, &[&address, "the server speaks no TLS there"]);
    served.stop();
}

/// Who breaks off could be anybody on the way: it is no end of what the server has to say.
#[test]
fn an_end_without_a_goodbye_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tls://{}", listener.local_addr().unwrap());
    let sum = "00".repeat(32);
    let client = Running::start(&mut command(&["connect", &address, "--insecure-fingerprint", &sum]));
    drop(accept(&listener));
    client.output_with_open_input().failed(1, &[&address]);

    // What it shows in place of TLS is not repeated.
    let client = Running::start(&mut command(&["connect", &address, "--insecure-fingerprint", &sum]));
    accept(&listener).write_all(b"\x1b[2J\x1b]0;owned\x07\r\nsocketserver: all is well\r\n").unwrap();
    client.output_with_open_input().failed(1, &[&address]);
}

#[test]
fn a_made_certificate_is_no_authority() {
    let (served, fingerprint) = made(&["upper", "tls://127.0.0.1:0"]);
    let failed = run(&["connect", served.address()], b"hello\n");
    // Some systems have no authorities at all, and say so.
    assert!(matches!(failed.status, Some(1 | 2)), "{}", failed.stderr);
    assert!(failed.stdout.is_empty() && failed.stderr.lines().count() == 1, "{}", failed.stderr);
    connect(served.address(), &fingerprint, "hello\n").is("HELLO\n");
    served.stop();
}
