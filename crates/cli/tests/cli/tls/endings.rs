//! How servers over TLS end, and clients of them.

use super::made;
use crate::harness::{LONG, MODELS, Running, client, command};
use rustix::process::Signal;

#[test]
fn a_signal_waits_for_nobody_who_has_not_shaken_hands() {
    for model in MODELS {
        let (served, _) = made(&["echo", "tls://127.0.0.1:0", "--model", model, "--handshake", "off", "--drain", LONG]);
        let mut silent = client(served.address());
        served.line("open ");
        // One that has begun: the first bytes of a record of a handshake.
        let mut slow = client(served.address());
        slow.say(b"\x16\x03\x01\x02\x00\x01");
        if model != "serial" {
            served.line("open ");
        }
        served.signal(Signal::INT);
        silent.expect_gone();
        slow.expect_gone();
        let ended = served.wait();
        assert_eq!(ended.status, Some(0), "{model} {:#?}", ended.lines);
        assert!(ended.lines("close ").iter().all(|line| line.ends_with(" reason=drained")), "{:#?}", ended.lines);
    }
}

#[test]
fn who_waits_is_told_goodbye_when_the_server_drains() {
    for model in MODELS {
        let (served, fingerprint) = made(&["echo", "tls://127.0.0.1:0", "--model", model, "--drain", LONG]);
        let args = ["connect", served.address(), "--insecure-fingerprint", &fingerprint];
        let mut connect = Running::start(&mut command(&args));
        connect.give(b"ping");
        connect.prints("ping");
        served.signal(Signal::INT);
        // Without a close_notify it would have broken off.
        connect.output_with_open_input().is("");
        let ended = served.wait();
        assert_eq!(ended.status, Some(0), "{model} {:#?}", ended.lines);
        assert!(ended.line("close ").ends_with(" reason=drained"), "{:#?}", ended.lines);
    }
}

#[test]
fn a_server_killed_in_the_middle_is_told() {
    for model in ["tasks", "threads"] {
        let (served, fingerprint) = made(&["echo", "tls://127.0.0.1:0", "--model", model]);
        let args = ["connect", served.address(), "--insecure-fingerprint", &fingerprint];
        let mut connect = Running::start(&mut command(&args));
        connect.give(b"ping");
        connect.prints("ping");
        served.signal(Signal::KILL);
        connect.output_with_open_input().failed(1, &["broke off", "close_notify"]);
    }
}

#[test]
fn a_client_that_is_killed_in_the_middle_is_a_disconnect() {
    for model in MODELS {
        let (served, fingerprint) = made(&["echo", "tls://127.0.0.1:0", "--model", model]);
        let args = ["connect", served.address(), "--insecure-fingerprint", &fingerprint];
        let mut connect = Running::start(&mut command(&args));
        connect.give(b"ping");
        connect.prints("ping");
        drop(connect);
        let close = served.line("close ");
        assert!(close.contains(" read=4 written=4 ") && close.contains("reason=disconnected"), "{model} {close}");
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn a_client_that_goes_silent_after_its_handshake_is_let_go() {
    for model in MODELS {
        let (served, fingerprint) = made(&["echo", "tls://127.0.0.1:0", "--model", model, "--idle", "300ms"]);
        let args = ["connect", served.address(), "--insecure-fingerprint", &fingerprint];
        let mut connect = Running::start(&mut command(&args));
        connect.give(b"ping");
        connect.prints("ping");
        assert!(served.line("close ").ends_with(" reason=idle"), "{model}");
        drop(connect);
        served.stop();
    }
}
