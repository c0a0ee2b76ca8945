//! What may not stop a server.

use crate::harness::{Served, after, client, command, first_line, kill, status};
use rustix::process::Signal;
use socketserver_testkit::{Client, Process};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

#[test]
fn the_end_of_standard_input_does_not_stop_it() {
    let mut command = command(&["serve", "echo", ":0"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take();
    let served = Served::adopt(child);
    let address = served.line("listening on ")["listening on ".len()..].to_owned();
    drop(stdin);
    for _ in 0..2 {
        let mut client = client(&address);
        client.say("ping");
        client.expect("ping");
    }
    assert_eq!(served.stop().status, Some(0));
}

#[test]
fn nobody_who_reads_standard_error_does_not_stop_it() {
    for model in crate::harness::MODELS {
        let mut command = command(&["serve", "echo", ":0", "--model", model]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let line = first_line(child.stderr.take().unwrap());
        let address = line.trim_end().strip_prefix("listening on ").unwrap();
        for _ in 0..3 {
            let mut client = client(address);
            client.say("ping");
            client.expect("ping");
        }
        kill(child.id(), Signal::TERM);
        assert_eq!(status(&mut child), Some(0), "{model}");
    }
}

/// A pipe that is open and full: whoever reads it is asleep.
#[test]
fn a_reader_of_standard_error_who_does_not_read_costs_lines_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = command(&["serve", "echo", "fd:0"]);
    let mut child = command.stdin(OwnedFd::from(listener)).stderr(writer).spawn().unwrap();
    drop(command);
    // Two lines of about 100 bytes each: more than the 64 KiB that a pipe holds.
    for _ in 0..600 {
        let mut client = client(&address);
        client.say("ping");
        client.expect("ping");
    }
    let mut some = [0; 32 * 1024];
    std::io::Read::read_exact(&mut reader, &mut some).unwrap();
    kill(child.id(), Signal::TERM);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut reader, &mut rest).unwrap();
    assert_eq!(status(&mut child), Some(0));
    assert!(rest.contains("lines-lost lines="), "{rest}");
    assert!(rest.ends_with("stopped served=600 cut=0\n"), "{rest}");
}

#[test]
fn a_closed_standard_error_does_not_stop_it() {
    // It cannot say where it listens: so it is given a listener that the test knows.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let mut command = after("exec 2>&-", &["serve", "echo", "fd:0"]);
    let mut child = command.stdin(OwnedFd::from(listener)).spawn().unwrap();
    for _ in 0..3 {
        let mut client = client(&address);
        client.say("ping");
        client.expect("ping");
    }
    kill(child.id(), Signal::TERM);
    assert_eq!(status(&mut child), Some(0));
}

#[test]
fn a_killed_child_costs_its_own_connection_and_is_told_of() {
    let served = Served::start(&["echo", ":0", "--model", "forks"]);
    let mut other = served.client();
    other.say("ping");
    other.expect("ping");
    let [first] = served.process().children()[..] else { panic!("{:?}", served.process().children()) };
    let mut victim = served.client();
    victim.say("ping");
    victim.expect("ping");
    let children = served.process().children();
    let child = *children.iter().find(|child| **child != first).unwrap();

    kill(child, Signal::KILL);
    assert_eq!(served.line("child-ended "), format!("child-ended pid={child} connection=2 reason=killed detail=9"));
    let line = served.line("close id=2 ");
    assert!(line.ends_with(" reason=killed detail=9"), "{line}");
    victim.expect_gone();
    served.process().settles("one child is left", |parent| parent.children() == [first]);
    other.say("ping");
    other.expect("ping");
    served.is_served();
    drop(other);
    assert_eq!(served.stop().status, Some(0));
}

#[test]
fn out_of_descriptors_it_serves_on_and_recovers() {
    out_of_descriptors("threads=200");
}

#[test]
fn out_of_descriptors_tasks_serve_on_and_recover() {
    out_of_descriptors("tasks=1");
}

fn out_of_descriptors(model: &str) {
    let command: Command = after("ulimit -n 64", &["serve", "echo", ":0", "--model", model]);
    let served = Served::listening(command, 1);
    let before = served.process().descriptors().len();
    let mut clients: Vec<Client> = (0..200).map(|_| served.client()).collect();
    let line = served.line("accept-failed ");
    assert!(line.contains(" then=back-off delay="), "{line}");
    // Each is served or closed; nobody is left waiting.
    let is_kept = |client: &mut Client| {
        client.say_if_there("ping");
        client.hear(4).is_ok_and(|heard| heard == b"ping")
    };
    let mut kept: Vec<Client> =
        clients.drain(..).filter_map(|mut client| is_kept(&mut client).then_some(client)).collect();
    assert!((32..64).contains(&kept.len()), "{} are kept", kept.len());
    for client in &mut kept {
        client.say("pong");
        client.expect("pong");
    }
    let count = kept.len();
    drop(kept);
    for _ in 0..count {
        served.line("close ");
    }
    served.process().settles("their descriptors are free", |server: &Process| server.descriptors().len() < before + 8);
    for _ in 0..10 {
        served.is_served();
    }
    let ended = served.stop();
    assert_eq!(ended.status, Some(0), "{:#?}", ended.lines);
    assert_eq!(ended.line("stopped"), format!("stopped served={} cut=0", count + 10));
}
