use crate::roles::SOON;
use crate::{MODELS, Suite, number};
use socketserver_testkit::{How, Stage};
use std::time::Duration;

pub(crate) fn add(suite: &mut Suite) {
    suite.both("the_first_byte_has_its_time", &MODELS, first_byte);
    suite.both("a_lifetime_ends_whatever_goes_on", &MODELS, lifetime);
    suite.both("idle_counts_from_the_last_word", &MODELS, idle);
    suite.both("what_is_off_is_off", &MODELS, off);
}

/// How many milliseconds a connection was open that ended for this reason.
#[track_caller]
fn lasted(stage: &Stage, reason: &str) -> u64 {
    let line = stage.line("closed ");
    assert!(line.contains(&format!("reason={reason} ")), "{line}");
    number(&line, "ms=")
}

const MS: u64 = SOON.as_millis() as u64;

fn first_byte(how: How, endpoint: &str) {
    let stage = Stage::open("first-byte", how, endpoint);
    let mut silent = stage.connect();
    silent.expect_gone();
    assert!(lasted(&stage, "first-byte") >= MS);
    // A byte is enough.
    let mut slow = stage.connect();
    slow.say("e");
    std::thread::sleep(3 * SOON);
    slow.say("cho me\n");
    slow.expect("me\n");
    std::thread::sleep(2 * SOON);
    slow.say("echo again\n");
    slow.expect("again\n");
    drop(slow);
    lasted(&stage, "finished");
    assert_eq!(stage.stop().status, Some(0));
}

fn lifetime(how: How, endpoint: &str) {
    let stage = Stage::open("lifetime", how, endpoint);
    let mut busy = stage.connect();
    loop {
        busy.say_if_there("echo me\n");
        if !busy.hear(3).is_ok_and(|heard| heard == b"me\n") {
            break;
        }
    }
    assert!(lasted(&stage, "lifetime") >= MS);
    let mut silent = stage.connect();
    silent.expect_gone();
    assert!(lasted(&stage, "lifetime") >= MS);
    // One that takes nothing of what is written.
    let mut full = stage.connect();
    full.say("flood\n");
    assert!(lasted(&stage, "lifetime") >= MS);
    let mut short = stage.connect();
    short.say_if_there("echo me\n");
    drop(short);
    let line = stage.line("closed ");
    assert!(line.contains("reason=finished ") || line.contains("reason=disconnected "), "{line}");
    assert_eq!(stage.stop().status, Some(0));
}

fn idle(how: How, endpoint: &str) {
    let stage = Stage::open("idle", how, endpoint);
    let mut client = stage.connect();
    // The pause has to be much shorter than the deadline, on a busy machine too.
    let pause = Duration::from_millis(100);
    std::thread::sleep(pause);
    client.say("echo me\n");
    client.expect_gone();
    assert!(lasted(&stage, "idle") >= MS + 100);
    // In the middle of a line as well.
    let mut client = stage.connect();
    client.say("echo m");
    client.expect_gone();
    assert!(lasted(&stage, "idle") >= MS);
    assert_eq!(stage.stop().status, Some(0));
}

fn off(how: How, endpoint: &str) {
    let stage = Stage::open("all-off", how, endpoint);
    let mut client = stage.connect();
    std::thread::sleep(2 * SOON);
    client.say("echo m");
    std::thread::sleep(2 * SOON);
    client.say("e\n");
    client.expect("me\n");
    // A write that has to wait.
    client.say("flood\n");
    std::thread::sleep(2 * SOON);
    for _ in 0..100 {
        assert!(!client.hear(1 << 16).unwrap().is_empty());
    }
    client.reset();
    let line = stage.line("closed ");
    assert!(line.contains("reason=disconnected "), "{line}");
    assert_eq!(stage.stop().status, Some(0));
}
