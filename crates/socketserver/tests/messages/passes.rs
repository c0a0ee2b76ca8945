//! What holds in a cell that is not refused.

use crate::cell::{Cell, Speaks};
use crate::peer::Peer;
use crate::web::code;
use rustix::process::Signal;
use socketserver_testkit::{Ended, How, LeakCheck, PATIENCE, Stage};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;

pub(crate) fn all(cell: Cell) {
    conversations(cell);
    failures(cell);
    pushes(cell);
    drained(cell);
    if cell.row.speaks != Speaks::Packets {
        cut_while_it_sends(cell);
    }
    if cell.row.speaks.in_pieces() {
        cut_halfway(cell);
    }
    if matches!(cell.how, How::Tasks(_) | How::Run) {
        cut_while_it_waits(cell);
    }
}

/// Each that was opened was closed, and once.
#[track_caller]
fn assert_closed_once(ended: &Ended, peers: usize) {
    let mut counts = BTreeMap::new();
    for line in &ended.lines {
        let mut words = line.split(' ');
        if let (Some(word @ ("open" | "close")), Some(id)) = (words.next(), words.next()) {
            let [opened, closed] = counts.entry(id).or_insert([0, 0]);
            *if word == "open" { opened } else { closed } += 1;
        }
    }
    assert!(counts.len() == peers && counts.values().all(|counts| *counts == [1, 1]), "{counts:?} in {ended:?}");
}

#[track_caller]
fn assert_clean(ended: &Ended, peers: usize) {
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").starts_with(&format!("report served={peers} cut=[]")), "{ended:?}");
    assert_closed_once(ended, peers);
}

fn leak_check(stage: &Stage, cell: Cell) -> LeakCheck {
    // One sorts packets.
    let sorts = cell.row.speaks == Speaks::Packets && matches!(cell.how, How::Threads(_));
    stage.leak_check_with(usize::from(sorts))
}

fn conversations(cell: Cell) {
    let (stage, _dir) = cell.open("script");
    let largest = vec![b'x'; cell.row.largest()];
    let messages: [&[u8]; 5] = [b"hello", b"", b"\n\0\xff, binary", &largest, b""];
    let talk = |peer: &mut Peer| {
        for message in messages {
            peer.say(message);
            peer.expect(message);
        }
        peer.ask("!count", "6");
    };

    // Three in turn.
    let mut check = None;
    for _ in 0..3 {
        let mut peer = Peer::of(&stage, cell.row);
        talk(&mut peer);
        peer.finish(6);
        stage.line("closed ");
        // It has been through all that it ever does.
        check.get_or_insert_with(|| leak_check(&stage, cell));
    }

    // Three at once: each has a state of its own.
    let mut peers = [(); 3].map(|()| Peer::early(&stage, cell.row));
    if cell.how == How::Serial {
        peers.iter_mut().for_each(|peer| peer.say("waits for its turn"));
        for mut peer in peers {
            peer.expect("waits for its turn");
            peer.ask("!count", "2");
            peer.finish(2);
        }
    } else {
        for round in 1..=3 {
            peers.iter_mut().for_each(|peer| peer.say("!count"));
            peers.iter_mut().for_each(|peer| peer.expect(round.to_string()));
        }
        peers.into_iter().for_each(|peer| peer.finish(3));
    }

    // In pieces and in heaps.
    let mut peer = Peer::of(&stage, cell.row);
    peer.say_slowly(b"piece by piece");
    peer.expect("piece by piece");
    peer.say_glued(&messages);
    messages.iter().for_each(|message| peer.expect(message));
    peer.finish(6);

    // Ended by the handler: what came with it is not handled. (A packet may come after it, and begin another session.)
    let mut peer = Peer::of(&stage, cell.row);
    let messages: [&[u8]; 3] = [b"first", b"!end", b"after the end"];
    peer.say_glued(&messages[..if cell.row.speaks == Speaks::Packets { 2 } else { 3 }]);
    peer.expect("first");
    peer.expect("goodbye");
    peer.expect_close(2, code::DONE);

    // Too long to be sent: that message alone is lost.
    let mut peer = Peer::of(&stage, cell.row);
    peer.say("!too-long");
    peer.expect("sent after it");
    peer.expect("pushed after it");
    peer.ask("!dropped", "1");
    peer.finish(2);

    if let Some(check) = check {
        check.end();
    }
    let ended = stage.stop();
    assert_clean(&ended, 9);
    assert_eq!(ended.count("on_error"), 0, "{ended:?}");
}

fn failures(cell: Cell) {
    let (stage, _dir) = cell.open("script");
    let mut peers = 0;
    for (word, before, told) in [
        ("!fail", "before it failed", "on_error it failed"),
        ("!panic", "before it panicked", "on_error panicked: nobody thought of this"),
    ] {
        let mut peer = Peer::of(&stage, cell.row);
        peer.ask("hello", "hello");
        peer.say(word);
        peer.expect(before);
        peer.expect_close(2, code::FAILED);
        stage.line(told);
        peers += 1;
    }

    if cell.row.can_be_too_long() {
        let mut peer = Peer::of(&stage, cell.row);
        peer.begin(cell.row.largest() + 1);
        if cell.row.speaks == Speaks::Packets {
            // Anybody might have sent it.
            peer.ask("still here", "still here");
            peer.finish(2);
        } else {
            peer.expect_close(1, code::TOO_LONG);
            let what = if cell.row.speaks == Speaks::WebSocket { "message" } else { "frame" };
            let (len, limit) = (cell.row.largest() + 1, cell.row.largest());
            stage.line(&format!("on_error a {what} of {len} bytes is longer than the limit of {limit}"));
            stage.line("closed ");
        }
        peers += 1;
    }

    // One that vanishes in the middle.
    let mut peer = Peer::of(&stage, cell.row);
    if cell.row.speaks.in_pieces() {
        peer.begin(100);
    } else {
        peer.ask("hello", "hello");
    }
    peer.vanish();
    peers += 1;

    let mut peer = Peer::of(&stage, cell.row);
    peer.ask("the server lives", "the server lives");
    peer.finish(1);
    peers += 1;

    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_closed_once(&ended, peers);
}

fn pushes(cell: Cell) {
    let (stage, _dir) = cell.open("script");
    let bell = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = Peer::of(&stage, cell.row);
    peer.ask(&format!("!push {}", bell.local_addr().unwrap()), "pushing");
    let mut bell = bell.accept().unwrap().0;
    bell.set_write_timeout(Some(PATIENCE)).unwrap();
    for number in 0..20 {
        bell.write_all(b"!").unwrap();
        peer.expect(format!("pushed {number}"));
    }
    peer.ask("in between", "in between");
    peer.finish(2);
    stage.line("closed ");
    // A child of its own ends with its connection, and whoever pushes there with it.
    if !matches!(cell.how, How::Forks(_)) {
        bell.write_all(b"!").unwrap();
        stage.line("push closed");
    }
    drop(bell);
    assert_clean(&stage.stop(), 1);
}

fn drained(cell: Cell) {
    let (stage, _dir) = cell.open("script");
    let count = if cell.how == How::Serial { 1 } else { 3 };
    let mut peers: Vec<Peer> = (0..count).map(|_| Peer::of(&stage, cell.row)).collect();
    peers.iter_mut().for_each(|peer| peer.ask("hello", "hello"));
    stage.signal(Signal::TERM);
    peers.into_iter().for_each(|peer| peer.expect_close(1, code::AWAY));
    assert_clean(&stage.wait(), count);
}

/// The deadline passes while the peer takes nothing of what it is sent.
fn cut_while_it_sends(cell: Cell) {
    let (stage, _dir) = cell.open("short-drain");
    let mut peer = Peer::of(&stage, cell.row);
    peer.say("!flood");
    stage.line("flooding");
    is_cut(stage);
    drop(peer);
}

/// The deadline passes in the middle of a message.
fn cut_halfway(cell: Cell) {
    let (stage, _dir) = cell.open("short-drain");
    let mut peer = Peer::of(&stage, cell.row);
    peer.begin(100);
    is_cut(stage);
    drop(peer);
}

/// The deadline passes while the handler waits for something else than its peer.
fn cut_while_it_waits(cell: Cell) {
    let (stage, _dir) = cell.open("waits");
    let mut peer = Peer::of(&stage, cell.row);
    peer.say("hello");
    stage.line("waits");
    is_cut(stage);
    drop(peer);
}

fn is_cut(stage: Stage) {
    stage.signal(Signal::TERM);
    let ended = stage.wait();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=1 cut=[1:false]"), "{ended:?}");
    assert_closed_once(&ended, 1);
}
