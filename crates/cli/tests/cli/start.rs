//! Why `serve` does not start, and what it leaves alone then.

use crate::harness::{MODELS, Place, Served, run};
use rustix::process::Signal;
use std::fs;

/// `serve echo` with these arguments does not start, and says why in one line with these words.
#[track_caller]
fn refused(args: &[&str], words: &[&str]) {
    run(&[&["serve", "echo"], args].concat(), b"").failed(2, words);
}

#[test]
fn what_is_typed_wrong_is_named_with_an_example_of_what_is_right() {
    refused(&["tcp://h:99999"], &["`99999`", "`tcp://127.0.0.1:8080`"]);
    refused(&["nowhere"], &["`nowhere`", "no port"]);
    for messages in ["ws://127.0.0.1:0/", "seqpacket:@socketserver-start-messages"] {
        refused(&[":0", messages], &[messages, "whole messages", "`chat` and `talk`"]);
    }
    refused(&["gopher://127.0.0.1:70"], &["unknown scheme `gopher`", "`tcp://127.0.0.1:8080`"]);
    refused(&[":0", "--model", "thread"], &["`thread`", "`threads`"]);
    refused(&[":0", "--model", "threads=0"], &["`0`", "`200`"]);
    refused(&[":0", "--model", "serial=2"], &["`serial`", "one connection"]);
    refused(&[":0", "--model", "tasks=0"], &["`0`", "`tasks=4`"]);
    for flag in ["--idle", "--write-timeout", "--first-byte", "--lifetime", "--spin"] {
        refused(&[":0", flag, "soon"], &[flag, "`soon`", "`500ms`", "`off`"]);
        refused(&[":0", flag, "0"], &[flag, "`0`", "`500ms`", "`off`"]);
    }
    refused(&[":0", "--drain", "soon"], &["--drain", "`soon`", "`500ms`"]);
    for flag in ["--max-conns", "--max-per-ip"] {
        for wrong in ["many", "0", "-1", "2000k"] {
            // So that what looks like a flag is taken as a value.
            refused(&[":0", &format!("{flag}={wrong}")], &[flag, &format!("`{wrong}`"), "`10k`", "`off`"]);
        }
    }
    refused(&[":0", "--min-rate", "10kb"], &["--min-rate", "`10kb`", "`10k`", "`off`"]);
    refused(&[":0", "--accept-rate", "fast"], &["--accept-rate", "`fast`", "`100/s`", "`off`"]);
    refused(&[":0", "--accept-rate", "0/s"], &["--accept-rate", "`0`", "`100/s`"]);
    refused(&[":0", "--over-limit", "drop"], &["--over-limit", "`drop`", "`queue`, `close`, `busy=TEXT`"]);
    refused(&[":0", "--over-limit", "busy"], &["--over-limit", "`busy`", "`busy=try again later`"]);
    for flag in ["--allow", "--deny", "--proxy-protocol"] {
        refused(&[":0", flag, "everybody"], &[flag, "`everybody`", "`10.0.0.0/8`"]);
        refused(&[":0", flag, "10.0.0.0/8,10.1.2.3/8"], &[flag, "`10.1.2.3/8`", "`10.0.0.0/8`"]);
    }
    refused(&[":0", "--proxy-protocol", "all"], &["--proxy-protocol", "`all`", "`unix`"]);
}

#[test]
fn proxies_come_to_streams() {
    let proxied = ["--proxy-protocol", "127.0.0.1,unix"];
    let not_for = |what: &str, at: &[&str], words: &[&str]| {
        run(&[&["serve", what], at, &proxied].concat(), b"").failed(2, &[&["`--proxy-protocol`"], words].concat());
    };
    not_for("echo", &["udp://:0", "unixgram:@socketserver-start-proxied"], &["only packets"]);
    let messages = "seqpacket:@socketserver-start-proxied";
    not_for("chat", &[":0", messages], &["whole messages", messages]);
    not_for("exec", &[":0", "--wire", "ready", "--shell"], &["`--wire`", "this machine"]);
    // Packets may come beside them.
    Served::start(&[&["echo", ":0", "udp://:0"][..], &proxied].concat());
}

#[test]
fn what_is_for_tasks_alone_is_refused_with_other_models() {
    for model in &MODELS[1..] {
        refused(&[":0", "--model", model, "--spin", "50us"], &["`--spin`", "`--model tasks`"]);
        // Off is what it is anyway.
        let served = Served::start(&["echo", ":0", "--model", model, "--spin", "off"]);
        served.is_served();
    }
}

#[test]
fn an_address_in_use_is_refused_and_its_owner_serves_on() {
    let served = Served::start(&["echo", ":0"]);
    refused(&[served.address()], &[served.address()]);
    served.is_served();
}

#[test]
fn a_live_unix_socket_is_refused_and_its_owner_serves_on() {
    let place = Place::new();
    let served = Served::start(&["echo", &place.address()]);
    refused(&[&place.address()], &[&place.address(), "somebody listens there already"]);
    served.is_served();
    assert_eq!(served.stop().status, Some(0));
    assert!(!place.path().exists());
}

#[test]
fn a_file_in_the_place_of_a_unix_socket_stays() {
    let place = Place::new();
    fs::write(place.path(), "precious").unwrap();
    refused(&[&place.address()], &[place.path().to_str().unwrap(), "not a socket"]);
    assert_eq!(fs::read_to_string(place.path()).unwrap(), "precious");
}

#[test]
fn a_unix_socket_that_nobody_listens_on_is_replaced() {
    let place = Place::new();
    let dead = Served::start(&["echo", &place.address()]);
    dead.signal(Signal::KILL);
    assert_eq!(dead.wait().status, None);
    assert!(place.path().exists());

    let served = Served::start(&["echo", &place.address()]);
    served.is_served();
    assert_eq!(served.stop().status, Some(0));
    assert!(!place.path().exists());
}

#[test]
fn nothing_is_left_of_what_was_bound_before_an_address_failed() {
    let served = Served::start(&["echo", ":0"]);
    let place = Place::new();
    refused(&[&place.address(), served.address()], &[served.address()]);
    assert!(!place.path().exists());
}
