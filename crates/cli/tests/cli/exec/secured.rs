//! Commands over TLS: `tls://`, with tokens and certificates.

use super::call::is_ended_there;
use super::stage::{Desk, root};
use crate::harness::{MODELS, Output, Served, command, run};
use crate::tls::Office;
use rustix::process::Signal;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// `serve exec` there, with the certificate of the office and these arguments.
#[track_caller]
fn serve(desk: &Desk, office: &Office, address: &str, more: &[&str]) -> Served {
    let (certificate, key) = (office.path("server.pem"), office.path("server.key"));
    desk.serve_native(address, &[more, &["--tls-cert", &certificate, "--tls-key", &key]].concat())
}

/// `call` with these arguments, which trusts the authority of the office.
fn call(office: &Office, address: &str, args: &[&str]) -> Output {
    run(&[&["call", address, "--ca", &office.path("ca.pem")], args].concat(), b"")
}

/// Where the loopback has it, of a server that listens everywhere.
fn near(served: &Served) -> String {
    format!("tls://127.0.0.1:{}", served.address().rsplit(':').next().unwrap())
}

#[test]
fn a_token_lets_in_over_tls_wherever_it_listens() {
    let Some(office) = Office::open() else { return };
    let desk = Desk::new("");
    let file = desk.token(TOKEN);
    let other = desk.write("other", &"x".repeat(32), 0o600);
    for model in MODELS {
        let served = serve(&desk, &office, "tls://0.0.0.0:0", &["--model", model, "--token-file", &file]);
        let at = near(&served);
        let text = "echo out; echo err >&2; seq 100000 | tail -n 1; exit 3";
        let output = call(&office, &at, &["--token-file", &file, "sh", text]);
        assert_eq!((output.status, &output.stdout[..], &*output.stderr), (Some(3), &b"out\n100000\n"[..], "err\n"));
        call(&office, &at, &["sh", "touch touched"]).failed(255, &["wants a token"]);
        call(&office, &at, &["--token-file", &other, "sh", "touch touched"]).failed(255, &["refused", "proof"]);
        let ended = served.stop();
        assert!(ended.lines("exec ")[0].contains("subject=token status=exited detail=3"), "{:#?}", ended.lines);
        assert!(!ended.lines.iter().any(|line| line.contains(&TOKEN[..8])));
    }
    assert!(!desk.path("touched").exists());
}

#[test]
fn a_certificate_lets_in_who_is_named() {
    let Some(office) = Office::open() else { return };
    office.openssl.issue("ca", "stranger", "DNS:stranger.example,URI:spiffe://example/stranger");
    office.openssl.issue("ca", "robot", "URI:spiffe://example/robot");
    office.openssl.authority("elsewhere");
    office.openssl.issue("elsewhere", "forged", "DNS:client.example");
    let desk = Desk::new("");
    let authority = office.path("ca.pem");
    let names = ["--allow-san", "Client.example", "--allow-san", "spiffe://example/robot"];
    let more = [&["--tls-client-ca", &authority], &names[..]].concat();
    let served = serve(&desk, &office, "tls://0.0.0.0:0", &more);
    let at = near(&served);
    let shows = |name: &str| {
        let (certificate, key) = (office.path(&format!("{name}.pem")), office.path(&format!("{name}.key")));
        call(&office, &at, &["--tls-cert", &certificate, "--tls-key", &key, "sh", "echo hello"])
    };
    for (name, san) in [("client", "DNS:client.example"), ("robot", "URI:spiffe://example/robot")] {
        shows(name).is("hello\n");
        assert!(served.line("exec ").contains(&format!("subject=san={san} status=exited")));
    }
    // Verified, and of no use.
    shows("stranger").failed(255, &["refused", "no name that may ask"]);
    assert!(served.line("exec ").contains("subject=san=DNS:stranger.example status=denied"));
    // Not verified, and none at all: TLS itself ends it.
    for output in [shows("forged"), call(&office, &at, &["sh", "true"])] {
        assert_eq!((output.status, &output.stdout[..]), (Some(255), &b""[..]));
    }
    assert_eq!(served.stop().lines("exec ").len(), 3);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let Some(office) = Office::open() else { return };
    let desk = Desk::new("");
    let [certificate, key, authority] = ["server.pem", "server.key", "ca.pem"].map(|name| office.path(name));
    let refused = |address: &str, more: &[&str], words: &[&str]| {
        let args = desk.native_args(address, &[more, &["--tls-cert", &certificate, "--tls-key", &key]].concat());
        run(&args.iter().map(String::as_str).collect::<Vec<_>>(), b"").failed(2, words);
    };
    // Any verified certificate would do, also where anybody may ask.
    for address in ["tls://127.0.0.1:0", "tls://0.0.0.0:0"] {
        for flag in ["--tls-client-ca", "--tls-optional-client-ca"] {
            refused(address, &[flag, &authority], &["not enough", "`--allow-san NAME`"]);
        }
        refused(address, &["--allow-san", "x"], &["`--allow-san`", "`--tls-client-ca FILE`"]);
    }
    refused("tls://0.0.0.0:0", &[], &["`--token-file FILE`", "is missing"]);
}

#[test]
fn whom_call_does_not_trust_hears_nothing() {
    let Some(office) = Office::open() else { return };
    let desk = Desk::new("");
    let file = desk.token(TOKEN);
    let served = serve(&desk, &office, "tls://127.0.0.1:0", &["--token-file", &file]);
    let call =
        |args: &[&str]| run(&[&["call", served.address(), "--token-file", &file, "sh", "true"], args].concat(), b"");
    let fingerprint = office.openssl.fingerprint("server.pem");
    call(&["--insecure-fingerprint", &fingerprint]).is("");
    call(&[]).failed(255, &["nobody who is trusted here", "`--ca FILE`"]);
    call(&["--ca", &office.path("other.pem")]).failed(255, &["nobody who is trusted here"]);
    let wrong = office.openssl.fingerprint("other.pem");
    call(&["--insecure-fingerprint", &wrong]).failed(255, &["fingerprint"]);
    call(&["--ca", &office.path("nowhere")]).failed(255, &["nowhere"]);
    run(&["call", "unix:/x", "--ca", &file, "x"], b"").failed(255, &["`--ca`", "`tls://…`"]);
    // Plain words to a server that wants TLS, and the other way round.
    let port = served.address().rsplit(':').next().unwrap();
    let plain = run(&["call", &format!(":{port}"), "x", "--timeout", "10s"], b"");
    assert_eq!((plain.status, &plain.stdout[..]), (Some(255), &b""[..]), "{}", plain.stderr);
    let unsecured = desk.serve_native(":0", &[]);
    let port = unsecured.address().rsplit(':').next().unwrap();
    let output = run(&["call", &format!("tls://127.0.0.1:{port}"), "--insecure-fingerprint", &fingerprint, "x"], b"");
    output.failed(255, &["cannot connect", "handshake"]);
}

#[test]
fn whoever_ends_call_ends_the_command_there() {
    let Some(office) = Office::open() else { return };
    let desk = Desk::new("");
    let authority = office.path("ca.pem");
    for model in MODELS {
        let served = serve(&desk, &office, "tls://127.0.0.1:0", &["--model", model]);
        for (signal, status) in [(Signal::INT, Some(130)), (Signal::KILL, None)] {
            is_ended_there(&desk, &served, &["--ca", &authority], signal, status);
        }
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn a_key_is_read_before_privileges_are_given_up() {
    let Some(office) = Office::open() else { return };
    if !root() {
        return;
    }
    let desk = Desk::new("");
    let file = desk.token(TOKEN);
    let more = ["--token-file", &file, "--user", "nobody"];
    let [certificate, key] = ["server.pem", "server.key"].map(|name| office.path(name));
    let mut args =
        desk.native_args("tls://127.0.0.1:0", &[&more[..], &["--tls-cert", &certificate, "--tls-key", &key]].concat());
    let own = args.iter().position(|arg| arg == "root").unwrap();
    args.drain(own - 1..=own);
    let served = Served::listening(command(&args.iter().map(String::as_str).collect::<Vec<_>>()), 1);
    call(&office, served.address(), &["--token-file", &file, "sh", "id -un"]).is("nobody\n");
}
