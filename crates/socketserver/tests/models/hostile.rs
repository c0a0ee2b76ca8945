//! Clients that are gone without a word, or come in storms: nothing stays of them, and whoever comes next is served.

use crate::{MODELS, Suite, is_served};
use socketserver_testkit::misbehaving::{HalfOpen, Leave, Storm, Stranger};
use socketserver_testkit::{How, LeakCheck, Stage};

pub(crate) fn add(suite: &mut Suite) {
    suite.tcp("who_is_gone_without_a_word_is_cut_for_silence", &MODELS, gone_while_it_is_heard);
    suite.tcp("who_is_gone_without_a_word_is_cut_for_not_reading", &MODELS, gone_while_it_is_told);
    suite.tcp("who_never_connects_keeps_nobody_out", &MODELS, never_connected);
    suite.both("a_storm_leaves_nothing", &MODELS, storm);
    suite.both("a_storm_that_says_nothing_is_cut", &MODELS, silent_storm);
    suite.both("who_speaks_another_protocol_is_turned_away", &MODELS, strangers);
}

const GONE: usize = 4;

fn leak_check(stage: &Stage) -> LeakCheck {
    is_served(stage);
    stage.leak_check()
}

fn gone_while_it_is_heard(how: How, endpoint: &str) {
    let stage = Stage::open("script-idle", how, endpoint);
    let check = leak_check(&stage);
    let gone: Vec<_> = (0..GONE)
        .map(|_| {
            let mut client = stage.connect();
            client.say("echo in\n");
            client.expect("in\n");
            HalfOpen::of(client).unwrap()
        })
        .collect();
    for _ in 0..GONE {
        let closed = stage.line("closed ");
        assert!(closed.contains("reason=idle "), "{closed}");
    }
    check.end();
    // They were gone all the while.
    drop(gone);
    assert_eq!(stage.stop().status, Some(0));
}

fn gone_while_it_is_told(how: How, endpoint: &str) {
    let stage = Stage::open("write-timeout", how, endpoint);
    // It has all that it serves with.
    drop(stage.connect());
    stage.line("closed ");
    let check = stage.leak_check();
    let gone: Vec<_> = (0..GONE).map(|_| HalfOpen::of(stage.connect()).unwrap()).collect();
    for _ in 0..GONE {
        let closed = stage.line("closed ");
        assert!(closed.contains("reason=write-timeout "), "{closed}");
    }
    check.end();
    drop(gone);
    assert_eq!(stage.stop().status, Some(0));
}

fn never_connected(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let gone: Vec<_> = (0..64).map(|_| HalfOpen::connecting(stage.endpoint()).unwrap()).collect();
    is_served(&stage);
    drop(gone);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    // The kernel never had them whole.
    assert_eq!(ended.count("opened "), 1, "{ended:?}");
}

fn storm(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let check = leak_check(&stage);
    for (leave, first_words) in [(Leave::Close, "echo hel"), (Leave::Reset, "echo hel"), (Leave::Reset, "")] {
        assert_eq!(Storm::of(200).saying(first_words).leaving(leave).over(stage.endpoint()), 200);
    }
    is_served(&stage);
    check.end();
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("opened "), 602, "{ended:?}");
    assert_eq!(ended.count("closed "), 602, "{ended:?}");
}

fn silent_storm(how: How, endpoint: &str) {
    let stage = Stage::open("script-idle", how, endpoint);
    let check = leak_check(&stage);
    let all = if how == How::Serial { 4 } else { 32 };
    assert_eq!(Storm::of(all).leaving(Leave::WhenEnded).over(stage.endpoint()), all);
    check.end();
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.lines.iter().filter(|line| line.contains("reason=idle ")).count(), all, "{ended:?}");
}

fn strangers(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let check = leak_check(&stage);
    for stranger in Stranger::ALL {
        // A connection that is broken off, for it said more than the server read, is an answer too.
        let answer = stranger.visit(stage.endpoint()).unwrap_or_default();
        assert!(answer.is_empty(), "{stranger:?} was told {answer:?}");
    }
    is_served(&stage);
    check.end();
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    // The other three say no whole line.
    assert_eq!(ended.count("on_error no such word"), Stranger::ALL.len() - 3, "{ended:?}");
}
