//! Clients that break off the handshake, drag it out or want another one, each in a way of its own: nothing stays of them.

use crate::{MODELS, authority, connector, open};
use socketserver_testkit::{Client, How, OpenSsl, SClient, Stage, Suite};
use std::thread;
use std::time::Duration;

/// Those that serve several at a time.
const PARALLEL: [How; 4] = [How::Threads(8), How::Prefork(2, 8), How::Tasks(1), How::Tasks(2)];
const ROUNDS: usize = 10;
/// At a time.
const FEW: usize = 4;

pub(crate) fn add(suite: &mut Suite) {
    suite.tcp("who_breaks_off_leaves_nothing", &MODELS, |how, _| leaves_nothing("impatient", how, break_off));
    suite.tcp("who_drags_it_out_leaves_nothing", &PARALLEL, |how, _| leaves_nothing("impatient", how, drag_out));
    suite.tcp("who_wants_another_leaves_nothing", &PARALLEL, |how, _| leaves_nothing("patient", how, renegotiate));
}

/// Clients do this, and say how many handshakes came to nothing: then the server holds what it held before.
fn leaves_nothing(role: &str, how: How, misbehave: impl Fn(&Stage, &OpenSsl) -> usize) {
    let Some(openssl) = authority() else { return };
    let stage = open(role, how, &openssl);
    let honest = || {
        let mut c = connector(&openssl).connect(stage.endpoint()).unwrap();
        c.write_all(b"bye\n").unwrap();
        c.read_to_end(100).unwrap();
        drop(c);
        closed(&stage, 1);
    };
    honest();
    let check = stage.leak_check();
    let failed = misbehave(&stage, &openssl);
    honest();
    check.end();
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("opened "), ended.count("closed "), "{ended:?}");
    assert_eq!(ended.count(&format!("handshakes_failed={failed} ")), 1, "{ended:?}");
    let told = ended.lines.iter().filter(|line| line.contains(" reason=handshake-")).count();
    assert_eq!(told, failed, "{ended:?}");
}

/// Waits until so many more connections are over.
fn closed(stage: &Stage, count: usize) {
    (0..count).for_each(|_| drop(stage.line("closed ")));
}

fn break_off(stage: &Stage, _: &OpenSsl) -> usize {
    for _ in 0..ROUNDS {
        // A record of a handshake that says it is longer than any may be.
        let mut oversized = stage.connect();
        oversized.say_if_there([&[22, 3, 1, 0x40, 0][..], &[1, 0xff, 0xff, 0xff], &vec![0; 16_380]].concat());
        oversized.say_if_there(vec![22; 60_000]);
        oversized.expect_gone();
        drop(oversized);
        let mut plain = stage.connect();
        plain.say_if_there(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        plain.expect_gone();
        drop(plain);
        // In the middle of a record.
        let mut resets = stage.connect();
        resets.say_if_there([22, 3, 1, 0, 200, 1]);
        resets.reset();
        let mut leaves = stage.connect();
        leaves.say_if_there([22, 3, 1]);
        drop(leaves);
        closed(stage, 4);
    }
    // One that begins, and then says nothing more.
    let mut slow: Vec<Client> = (0..FEW).map(|_| stage.connect()).collect();
    slow.iter_mut().for_each(|client| client.say_if_there([22]));
    slow.iter_mut().for_each(Client::expect_gone);
    closed(stage, FEW);
    4 * ROUNDS + FEW
}

/// The deadline ends them, whatever they say until then.
fn drag_out(stage: &Stage, _: &OpenSsl) -> usize {
    // Of a ClientHello: what it is, its 508 bytes, and its version.
    let hello = [1, 0, 1, 0xfc, 3, 3];
    // A byte at a time, in one record.
    let mut slow: Vec<Client> = (0..FEW).map(|_| stage.connect()).collect();
    thread::scope(|scope| {
        for client in &mut slow {
            scope.spawn(move || {
                client.say([&[22, 3, 1, 2, 0][..], &hello].concat());
                client.trickle(1, Duration::from_millis(20));
            });
        }
    });
    closed(stage, FEW);
    // Each byte in a record of its own, and the last is never said.
    let records: Vec<u8> = hello.iter().chain(&[1; 100]).flat_map(|byte| [22, 3, 1, 0, 1, *byte]).collect();
    let mut pieces: Vec<Client> = (0..FEW).map(|_| stage.connect()).collect();
    pieces.iter_mut().for_each(|client| client.say(&records));
    pieces.iter_mut().for_each(Client::expect_gone);
    closed(stage, FEW);
    let late = stage.so_far().iter().filter(|line| line.contains(" reason=handshake-timeout ")).count();
    assert_eq!(late, 2 * FEW);
    2 * FEW
}

/// OpenSSL's client gives up when it is told that there is no other handshake.
fn renegotiate(stage: &Stage, openssl: &OpenSsl) -> usize {
    for _ in 0..ROUNDS {
        let mut clients: Vec<SClient> = (0..FEW).map(|_| openssl.connect(stage.endpoint(), &["-tls1_2"])).collect();
        for client in &mut clients {
            client.say("echo before");
            assert!(client.hears("before"));
        }
        clients.iter_mut().for_each(|client| client.say("R"));
        for client in clients {
            let told = client.end();
            assert!(told.tells("no renegotiation"), "{told:?}");
        }
        for _ in 0..FEW {
            let closed = stage.line("closed ");
            assert!(closed.contains(" reason=disconnected "), "{closed}");
        }
    }
    0
}
