//! Why `serve` does not start, and what it leaves alone then.

use crate::harness::{Place, Served, run};
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
    refused(&["gopher://127.0.0.1:70"], &["unknown scheme `gopher`", "`tcp://127.0.0.1:8080`"]);
    refused(&[":0", "--model", "thread"], &["`thread`", "`threads`"]);
    refused(&[":0", "--model", "threads=0"], &["`0`", "`200`"]);
    refused(&[":0", "--model", "serial=2"], &["`serial`", "one connection"]);
    for flag in ["--idle", "--write-timeout", "--drain"] {
        refused(&[":0", flag, "soon"], &[flag, "`soon`", "`500ms`"]);
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
