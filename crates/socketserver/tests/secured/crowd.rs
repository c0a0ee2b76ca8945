//! Many clients: who says nothing keeps nobody from being served, and who waits costs little.

use crate::{authority, connector, open};
use rustix::process::Signal;
use socketserver::blocking::Stream;
use socketserver_testkit::{Client, Ended, How, Suite};

/// Those whose handshakes do not wait for each other's.
const WIDE: [How; 3] = [How::Threads(600), How::Tasks(2), How::Run];
const SILENT: usize = 500;
const IDLE: usize = 1_000;
/// What an idle connection may cost beside its socket.
const EACH: u64 = 24 * 1024;

pub(crate) fn add(suite: &mut Suite) {
    suite.tcp("who_says_nothing_is_in_nobodys_way", &WIDE, silent);
    suite.tcp("who_says_nothing_ends_by_the_deadline", &WIDE, late);
    suite.tcp("an_idle_connection_costs_little", &[How::Tasks(1), How::Tasks(2)], idle);
}

fn reasons(ended: &Ended, word: &str) -> usize {
    ended.lines.iter().filter(|line| line.contains(&format!(" reason={word} "))).count()
}

/// Waits for so many lines that begin so.
fn lines(stage: &socketserver_testkit::Stage, beginning: &str, count: usize) {
    (0..count).for_each(|_| drop(stage.line(beginning)));
}

fn silent(how: How, _: &str) {
    let Some(openssl) = authority() else { return };
    // There is no deadline that could end them meanwhile.
    let stage = open("patient", how, &openssl);
    let mut all: Vec<Client> = (0..SILENT).map(|_| stage.connect()).collect();
    lines(&stage, "opened ", SILENT);
    for version in ["-tls1_2", "-tls1_3"] {
        let told = openssl.ask(stage.endpoint(), &[version, "-CAfile", "ca.pem", "-verify_return_error"], "bye");
        assert!(told.success && told.heard("bye"), "{told:?}");
        let closed = stage.line("closed ");
        assert!(closed.contains("reason=finished "), "{closed}");
    }
    let ends = stage.so_far().into_iter().filter(|line| line.starts_with("closed ")).count();
    assert_eq!(ends, 2, "the honest ones alone");
    // All of them end at once, with the server.
    stage.signal(Signal::TERM);
    all.iter_mut().for_each(Client::expect_gone);
    let ended = stage.wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(reasons(&ended, "drained"), SILENT, "{ended:?}");
    assert_eq!(ended.count("handshakes_failed=0 "), 1, "{ended:?}");
}

fn late(how: How, _: &str) {
    let Some(openssl) = authority() else { return };
    let stage = open("impatient", how, &openssl);
    let mut first = connector(&openssl).connect(stage.endpoint()).unwrap();
    first.write_all(b"bye\n").unwrap();
    first.read_to_end(100).unwrap();
    drop(first);
    stage.line("closed ");
    let before = stage.process().sockets();
    let mut all: Vec<Client> = (0..SILENT).map(|_| stage.connect()).collect();
    all.iter_mut().for_each(Client::expect_gone);
    lines(&stage, "closed ", SILENT);
    stage.process().settles("their sockets are closed", |process| process.sockets().is_subset(&before));
    stage.process().settles("their threads are gone", |process| process.threads() < 20);
    let told = openssl.ask(stage.endpoint(), &[], "bye");
    assert!(told.heard("bye"), "{told:?}");
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(reasons(&ended, "handshake-timeout"), SILENT, "{ended:?}");
    assert_eq!(ended.count(&format!("handshakes_failed={SILENT} ")), 1, "{ended:?}");
}

fn idle(how: How, _: &str) {
    let Some(openssl) = authority() else { return };
    let stage = open("script", how, &openssl);
    let connector = connector(&openssl);
    let connect = || {
        let mut c = connector.connect(stage.endpoint()).unwrap();
        c.write_all(b"echo hello\n").unwrap();
        assert_eq!(c.read_line(100).unwrap().as_deref(), Some("hello"));
        c
    };
    // What the first few need others have as well.
    let mut all: Vec<Stream> = (0..50).map(|_| connect()).collect();
    let before = stage.process().resident();
    all.extend((0..IDLE).map(|_| connect()));
    let grown = stage.process().resident() - before;
    assert!(grown < EACH * IDLE as u64, "{} bytes each", grown / IDLE as u64);
    drop(all);
    lines(&stage, "closed ", IDLE + 50);
    assert_eq!(stage.stop().status, Some(0));
}
