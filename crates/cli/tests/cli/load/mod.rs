//! `load`: what it finds of servers that echo, and of those that do not.

mod page;
mod secured;
mod stalled;
mod terminal;

use crate::harness::{Output, Place, Running, Served, accept, after, bound, command, kill, run};
use rustix::process::Signal;
use serde_json::Value;
use socketserver::{Channel, MessageHandler, Server, Tasks};
use std::io::{Read, Write};
use std::net::TcpListener;

/// A load to its end, and what it has printed.
#[track_caller]
fn load(status: i32, args: &[&str]) -> String {
    printed(status, run(&[&["load"], args].concat(), b""))
}

#[track_caller]
fn printed(status: i32, output: Output) -> String {
    let Output { status: got, stdout, stderr } = output;
    let stdout = String::from_utf8(stdout).unwrap();
    assert_eq!((got, &*stderr), (Some(status), ""), "{stdout}");
    assert!(!stdout.contains("NaN") && !stdout.contains("inf"), "{stdout}");
    stdout
}

/// The objects that it prints.
#[track_caller]
fn objects(status: i32, args: &[&str]) -> Vec<Value> {
    let printed = load(status, &[args, &["--json"]].concat());
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The row of the table that begins so, without its name.
#[track_caller]
fn row<'a>(table: &'a str, name: &str) -> &'a str {
    let row = table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    row.unwrap_or_else(|| panic!("no `{name}` in\n{table}")).trim()
}

/// A server of `serve echo` that lets packets of one peer come as they like.
fn echo(address: &str) -> Served {
    Served::start(&["echo", address, "--packet-rate", "off"])
}

#[test]
fn a_number_of_messages_over_each_kind_of_socket() {
    let place = Place::new();
    for address in ["tcp://127.0.0.1:0", &place.address(), "udp://127.0.0.1:0"] {
        let server = echo(address);
        for more in [&[][..], &["--rate", "10k"], &["--depth", "4", "--size", "1"], &["--message", "你好"]] {
            let table = load(0, &[&[server.address(), "-n", "2k", "-c", "3"], more].concat());
            assert!(row(&table, "messages").starts_with("2,000 in "), "{table}");
            assert_eq!((row(&table, "errors"), row(&table, "in flight")), ("no errors", "0 at the end"));
            let model = if more.contains(&"--rate") { "open loop: 10000/s" } else { "closed loop: 3 connections" };
            assert!(row(&table, "model").starts_with(model), "{table}");
        }
    }
}

#[test]
fn a_connection_for_each_message() {
    let place = Place::new();
    for address in ["tcp://127.0.0.1:0", &place.address()] {
        let server = echo(address);
        for more in [&[][..], &["--rate", "1k"]] {
            let args = [&[server.address(), "-n", "300", "-c", "5", "--connect-per-request"], more].concat();
            let found = &objects(0, &args)[0];
            assert_eq!((&found["messages"], &found["opened"]), (&300.into(), &300.into()), "{found}");
        }
    }
}

#[test]
fn over_tls_with_who_is_trusted() {
    let server = Served::start(&["echo", "tls://127.0.0.1:0", "--tls-self-signed"]);
    let fingerprint = server.said("SHA-256 fingerprint ");
    let fingerprint = fingerprint.rsplit(' ').next().unwrap();
    for more in [&[][..], &["--connect-per-request"]] {
        let args = [&[server.address(), "-n", "50", "-c", "3", "--insecure-fingerprint", fingerprint], more].concat();
        assert_eq!(objects(0, &args)[0]["messages"], 50);
    }
    // Who is not trusted gets nothing, and it is told why.
    let Output { status, stdout, stderr } = run(&["load", server.address(), "-n", "50", "-c", "3"], b"");
    assert_eq!(status, Some(2));
    assert_eq!(row(&String::from_utf8(stdout).unwrap(), "errors"), "3 TLS");
    assert!(stderr.starts_with("socketserver: cannot connect to ") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn over_websocket_and_with_framings() {
    let reply = |message: &[u8], c: &mut Channel| Ok(c.send(message)?);
    let server = Server::bind(["ws://127.0.0.1:0/echo", "tcp://127.0.0.1:0"]).unwrap();
    let framing: socketserver::framing::AnyFraming = "netstring".parse().unwrap();
    let server = server.spawn(Tasks::new(1), reply.framed(framing)).unwrap();
    let [ws, tcp] = &server.handle().endpoints()[..] else { unreachable!() };
    for args in [&[&*ws.to_string()][..], &[&*tcp.to_string(), "--framing", "netstring"]] {
        let found = &objects(0, &[args, &["-n", "500", "-c", "4", "--depth", "3"]].concat())[0];
        assert_eq!((&found["messages"], &found["bytes"]), (&500.into(), &32_000.into()), "{found}");
    }
    let other = &objects(2, &[&ws.to_string().replace("/echo", "/other"), "-c", "2"])[0];
    assert_eq!(other["errors"]["websocket"], 2);
    server.stop().unwrap();
}

#[test]
fn more_connections_than_the_soft_limit_of_descriptors() {
    let server = echo(":0");
    let args = ["load", server.address(), "-c", "100", "-n", "100"];
    let mut limited = after("ulimit -Sn 50; ulimit -Hn 300", &args);
    let table = printed(0, Running::start(&mut limited).output());
    assert_eq!((row(&table, "opened"), row(&table, "errors")), ("100 connections", "no errors"));
    let mut too_few = after("ulimit -n 50", &args);
    Running::start(&mut too_few).output().failed(2, &["`--connections 100`", "132", "50", "`ulimit -Hn`"]);
}

#[test]
fn where_nobody_listens_nothing_is_found() {
    let (_bound, address) = bound();
    let table = load(2, &[&address, "-c", "7", "-d", "1s"]);
    assert!(row(&table, "messages").starts_with("0 in "), "{table}");
    assert_eq!((row(&table, "errors"), row(&table, "latency")), ("7 refused", "nothing came back"));
    for more in [&[][..], &["--rate", "100"], &["--connect-per-request"], &["--fail-if", "p99>1s"]] {
        let found = &objects(2, &[&[&*address, "-c", "7", "-n", "7"], more].concat())[0];
        assert_eq!((&found["errors"]["refused"], &found["errors"]["total"]), (&7.into(), &7.into()), "{found}");
        assert_eq!((&found["latency_ms"], &found["rate"]), (&Value::Null, &0.0.into()));
    }
}

#[test]
fn who_does_not_answer_is_told_apart_from_who_does() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let silent = &objects(2, &[&address, "-c", "3", "--depth", "2", "--timeout", "100ms"])[0];
    assert_eq!((&silent["errors"]["timeout"], &silent["lost"]), (&3.into(), &6.into()), "{silent}");
    // Who is left waiting is not told that more time would help.
    let table = load(2, &[&address, "-c", "3", "-d", "100ms"]);
    assert!(row(&table, "note").starts_with("nothing came back: "), "{table}");
}

#[test]
fn why_no_connection_could_be_made_is_told() {
    // A path through what is no directory.
    let file = tempfile::NamedTempFile::new().unwrap();
    let address = format!("unix:{}/x.sock", file.path().display());
    let Output { status, stdout, stderr } = run(&["load", &address, "-c", "2", "-n", "1"], b"");
    assert_eq!((status, row(&String::from_utf8(stdout).unwrap(), "errors")), (Some(2), "2 other"));
    assert!(stderr.starts_with(&format!("socketserver: cannot connect to `{address}`: ")), "{stderr}");
}

#[test]
fn a_load_that_ends_for_want_of_connections_says_so_and_is_status_1() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let load = Running::start(&mut command(&["load", &address, "-c", "1", "-d", "10m"]));
    let mut peer = accept(&listener);
    let mut message = [0; 64];
    peer.read_exact(&mut message).unwrap();
    peer.write_all(&message).unwrap();
    peer.read_exact(&mut message).unwrap();
    drop(peer);
    let table = printed(1, load.output());
    assert!(row(&table, "messages").starts_with("1 in "), "{table}");
    assert_eq!(row(&table, "errors"), "1 early close");
    assert!(row(&table, "note").starts_with("all connections have failed"), "{table}");
}

#[test]
fn the_table_is_printed_though_there_is_no_room_for_the_page() {
    let server = echo(":0");
    let args = ["load", server.address(), "-c", "1", "-n", "5", "--html", "/dev/full"];
    let Output { status, stdout, stderr } = run(&args, b"");
    assert_eq!(status, Some(2));
    assert!(row(&String::from_utf8(stdout).unwrap(), "messages").starts_with("5 in "));
    assert!(stderr.contains("cannot write `/dev/full`"), "{stderr}");
}

#[test]
fn an_earlier_page_stays_until_there_is_another() {
    let server = echo(":0");
    let page = tempfile::NamedTempFile::new().unwrap();
    let read = || std::fs::read_to_string(page.path()).unwrap();
    let earlier = "an earlier page\n".repeat(10_000);
    std::fs::write(page.path(), &earlier).unwrap();
    let args = ["load", server.address(), "-c", "1", "-n", "5", "--html", page.path().to_str().unwrap()];
    run(&[&args[..], &["--message", ""]].concat(), b"").failed(2, &["at least one byte"]);
    assert!(read() == earlier);
    assert_eq!(run(&args, b"").status, Some(0));
    assert!(
        read().starts_with("<!DOCTYPE html>") && read().ends_with("</html>\n") && !read().contains("an earlier page")
    );
}

#[test]
fn another_answer_is_a_mismatch_and_no_success() {
    let server = Served::start(&["upper", ":0"]);
    let table = load(2, &[server.address(), "-c", "1", "-n", "1", "--message", "hello"]);
    assert_eq!(row(&table, "errors"), "1 mismatch");
    assert!(row(&table, "note").contains("1 messages were lost"), "{table}");
    load(0, &[server.address(), "-c", "1", "-n", "1", "--message", "HELLO"]);
}

#[test]
fn a_threshold_that_is_missed_is_status_1() {
    let server = echo(":0");
    let with = |status: i32, more: &[&str]| load(status, &[&[server.address(), "-c", "2", "-n", "100"], more].concat());
    with(0, &["--fail-if", "errors>0", "--fail-if", "rate<1", "--fail-if", "p99.9>1m", "--fail-if", "connect-max>1m"]);
    let table = with(1, &["--fail-if", "errors>0", "--fail-if", "max>1ns", "--fail-if", "rate >= 1"]);
    let missed: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("missed")).map(str::trim).collect();
    assert_eq!(missed.len(), 2, "{table}");
    assert!(missed[0].starts_with("max>1ns: it was ") && missed[1].starts_with("rate >= 1: it was "), "{table}");
}

#[test]
fn who_has_no_answer_at_the_end_of_an_open_loop_counts_for_a_threshold_by_how_long_it_waited() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        // It stands still for good after ten messages.
        for _ in 0..2 {
            let (mut peer, mut message) = (accept(&listener), [0; 64]);
            for _ in 0..10 {
                peer.read_exact(&mut message).unwrap();
                peer.write_all(&message).unwrap();
            }
            let _ = peer.read_to_end(&mut Vec::new());
        }
    });
    let with = |status: i32, more: &[&str]| {
        load(status, &[&[&*address, "-c", "1", "--rate", "1k", "-d", "1s"], more].concat())
    };
    // Nearly all have no answer, and have waited for up to a second; nearly all of them not for so long.
    let table = with(1, &["--fail-if", "p99>500ms", "--fail-if", "max>=500ms", "--fail-if", "p1>700ms"]);
    let missed: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("missed")).map(str::trim).collect();
    assert_eq!(missed.len(), 2, "{table}");
    assert!(missed[0].starts_with("p99>500ms: it was ") && missed[1].starts_with("max>=500ms: it was "), "{table}");
    assert!(missed.iter().all(|why| why.ends_with(" messages had no answer")), "{table}");
    with(0, &["--fail-if", "p1>700ms", "--fail-if", "min>700ms", "--fail-if", "mean>700ms"]);
}

#[test]
fn two_servers_are_compared_by_turns() {
    let (one, other) = (echo(":0"), echo(":0"));
    let args = [one.address(), "--compare", other.address(), "-c", "2", "-n", "500"];
    let found = objects(0, &args);
    assert_eq!(found.len(), 3, "{found:?}");
    for (found, server) in found.iter().zip([&one, &other]) {
        assert_eq!((&found["target"], &found["messages"]), (&server.address().into(), &500.into()), "{found}");
        assert_eq!(found["opened"], 10, "two in each of five rounds");
    }
    assert_eq!(found[2]["rounds"], 5);
    for figure in ["rate", "p50", "p99", "p99.9"] {
        let ratio = &found[2]["ratios"][figure];
        let [least, median, most] = ["least", "median", "most"].map(|end| ratio[end].as_f64().unwrap());
        assert!(0.0 < least && least <= median && median <= most, "{ratio}");
    }
    let table = load(0, &args);
    assert!(table.contains("\nrate ") && table.contains(" of 5 rounds\n"), "{table}");
    // One that is not there is no success.
    let (_bound, nobody) = bound();
    let found = objects(2, &[one.address(), "--compare", &nobody, "-c", "2", "-n", "500"]);
    assert_eq!((&found[0]["messages"], &found[1]["messages"]), (&500.into(), &0.into()));
    assert_eq!(found[2]["ratios"]["rate"], Value::Null);
}

#[test]
fn a_server_that_dies_between_two_rounds_is_no_success_and_not_the_faster_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        // Of the third round it answers a message, and of those after that it does not hear.
        for left in [2, 2, 1] {
            let (mut peer, mut message) = (accept(&listener), [0; 64]);
            for _ in 0..left {
                peer.read_exact(&mut message).unwrap();
                peer.write_all(&message).unwrap();
            }
        }
    });
    let other = echo(":0");
    let found = objects(1, &[&address, "--compare", other.address(), "-c", "1", "-n", "10"]);
    assert_eq!((&found[0]["messages"], &found[1]["messages"]), (&5.into(), &10.into()), "{found:?}");
    assert_eq!((&found[2]["rounds"], &found[2]["ratios"]["p50"]), (&5.into(), &Value::Null), "{found:?}");
}

#[test]
fn ctrl_c_before_a_round_is_whole_says_that_none_was() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let load = Running::start(&mut command(&["load", &address, "--compare", &address, "-c", "1", "-d", "10m"]));
    let (mut peer, mut message) = (accept(&listener), [0; 64]);
    peer.read_exact(&mut message).unwrap();
    peer.write_all(&message).unwrap();
    peer.read_exact(&mut message).unwrap();
    kill(load.pid(), Signal::INT);
    let table = printed(2, load.output());
    assert!(table.ends_with("\nended early, before both servers had a whole round: there are no figures\n"), "{table}");
}

#[test]
fn ctrl_c_ends_it_and_what_was_found_is_told() {
    for (signal, answers, status) in [(Signal::INT, true, 0), (Signal::TERM, true, 0), (Signal::INT, false, 2)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let load = Running::start(&mut command(&["load", &address, "-c", "1", "-d", "10m", "--timeout", "5m"]));
        let mut peer = accept(&listener);
        let mut message = [0; 64];
        peer.read_exact(&mut message).unwrap();
        if answers {
            peer.write_all(&message).unwrap();
            peer.read_exact(&mut message).unwrap();
        }
        kill(load.pid(), signal);
        let table = printed(status, load.output());
        assert!(row(&table, "messages").starts_with(if answers { "1 in " } else { "0 in " }), "{table}");
        assert_eq!(row(&table, "in flight"), "1 at the end");
        assert!(table.ends_with("\nended early\n"), "{table}");
    }
}

#[test]
fn what_is_typed_wrong_is_named() {
    let refused = |args: &[&str], words: &[&str]| run(&[&["load"], args].concat(), b"").failed(2, words);
    refused(&["nowhere"], &["`nowhere`", "no port"]);
    refused(&[":1", "-c", "0"], &["`0`", "`10k`"]);
    refused(&[":1", "-n", "few"], &["`few`", "`10k`"]);
    refused(&[":1", "-d", "soon"], &["`soon`", "`500ms`"]);
    refused(&[":1", "--size", "2000000k"], &["`2000000k`", "`64`"]);
    refused(&[":1", "--rate", "fast"], &["`fast`", "100/s"]);
    refused(&[":1", "--message", ""], &["at least one byte"]);
    refused(&[":1", "--fail-if", "slow"], &["`slow`", "`p99>5ms`"]);
    refused(&[":1", "--fail-if", "unsent>0"], &["`--fail-if 'unsent>0'`", "`--rate`"]);
    refused(&["udp://:1", "--fail-if", "connect-p99>5ms"], &["`--fail-if 'connect-p99>5ms'`", "UDP"]);
    refused(&[":1", "--framing", "fixed=16"], &["64", "16"]);
    refused(&["udp://:1", "--framing", "line"], &["`--framing`", "`udp://"]);
    refused(&["ws://:1/", "--framing", "line"], &["`--framing`", "`ws://"]);
    refused(&["ws://:1/", "--connect-per-request"], &["WebSocket"]);
    refused(&["unixgram:/x"], &["`unixgram:/x`", "`tcp://`"]);
    refused(&[":1", "--ca", "x.pem"], &["`--ca`", "no TLS"]);
    refused(&["tls://:1", "--ca", "/nonexistent/x.pem"], &["`/nonexistent/x.pem`"]);
    refused(&[":1", "--html", "/nonexistent/load.html"], &["`/nonexistent/load.html`"]);
}

#[test]
fn nobody_who_reads_the_table_is_status_2() {
    let server = echo(":0");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = command(&["load", server.address(), "-n", "1", "-c", "1"]).stdout(writer).spawn().unwrap();
    assert_eq!(crate::harness::status(&mut child), Some(2));
}
