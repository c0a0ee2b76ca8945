use crate::{MODELS, PARALLEL, Suite};
use rustix::process::Signal;
use socketserver_testkit::{How, Stage};

pub(crate) fn add(suite: &mut Suite) {
    suite.both("drain_ends_the_idle_and_lets_the_busy_finish", &PARALLEL, idle_and_busy);
    suite.both("drain_answers_what_came_before_it", &MODELS, answers);
    suite.both("drain_reads_what_is_still_in_the_kernel", &MODELS, unread);
    suite.both("drain_lets_a_request_that_has_begun_come_in", &MODELS, half_read);
    suite.both("drain_loses_no_reply_on_its_way", &MODELS, reply_on_its_way);
    suite.both("drain_cuts_the_stuck_and_names_them", &MODELS, stuck);
    suite.both("drain_gives_up_on_a_handler_that_computes", &PARALLEL, computing);
    suite.both("a_second_signal_ends_at_once", &MODELS, second_signal);
}

fn idle_and_busy(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut idle = stage.connect();
    idle.say("echo idle\n");
    idle.expect("idle\n");
    let mut fresh = stage.connect();
    stage.line("opened id=2");
    let mut busy = stage.connect();
    busy.say("echo busy\nwait\nhalf a li");
    busy.expect("busy\n");
    stage.signal(Signal::TERM);
    stage.line("draining open=3");
    idle.expect_end();
    fresh.expect_end();
    busy.say("ne\n");
    busy.expect("half a line true\n");
    busy.expect_end();
    let ended = stage.wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=3 cut=[]"), "{ended:?}");
}

/// A request that was there before the stop is answered, even if the handler had not begun with it.
fn answers(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut client = stage.connect();
    client.say("echo first\nstop\necho second\n");
    client.expect("first\nsecond\n");
    client.expect_end();
    assert_eq!(stage.wait().status, Some(0));
}

/// A request that the server has not even read when the drain reaches its connection is there all the same.
fn unread(how: How, endpoint: &str) {
    let stage = Stage::open("stop-when-more", how, endpoint);
    let mut client = stage.connect();
    client.expect("ready\n");
    client.say("second\n");
    client.expect("second\n");
    client.expect_end();
    let ended = stage.wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("closed ").contains("reason=drained"), "{ended:?}");
}

/// What has been read of a request is not idleness, whoever keeps it: the buffer, or the call that collects it.
fn half_read(how: How, endpoint: &str) {
    for (request, rest, reply) in [("all\n12345", "67", "7 bytes\n"), ("exact 7\n12345", "67", "1234567")] {
        let stage = Stage::open("script", how, endpoint);
        let mut client = stage.connect();
        client.say(format!("echo in\n{request}"));
        client.expect("in\n");
        stage.signal(Signal::TERM);
        stage.line("draining open=1");
        client.say(rest);
        client.end();
        client.expect(reply);
        client.expect_end();
        assert_eq!(stage.wait().status, Some(0));
    }
}

/// A reply that is still on its way when the drain ends its connection arrives, whatever the client says meanwhile.
fn reply_on_its_way(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut client = stage.connect();
    client.say("bulk 600000\n");
    client.expect("x");
    stage.signal(Signal::TERM);
    stage.line("draining open=1");
    client.say_if_there("echo next\n");
    client.expect("x".repeat(599_999));
    drop(client);
    assert_eq!(stage.wait().status, Some(0));
}

fn stuck(how: How, endpoint: &str) {
    for case in ["half\nhalf a li", "stuff\n"] {
        let stage = Stage::open("short-drain", how, endpoint);
        let mut client = stage.connect();
        client.say(case);
        client.hear(1).unwrap();
        let ended = stage.stop();
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.line("report").starts_with("report served=1 cut=[1:false]"), "{ended:?}");
        assert_eq!(ended.count("cut id=1"), 1);
        assert_eq!(ended.count("finish 1"), 1, "{ended:?}");
        assert!(ended.line("closed ").contains("reason=aborted"), "{ended:?}");
        assert_eq!(ended.count("on_error"), 0, "{ended:?}");
    }
}

fn computing(how: How, endpoint: &str) {
    let stage = Stage::open("short-drain", how, endpoint);
    let mut client = stage.connect();
    client.say("compute\n");
    client.expect("go\n");
    let ended = stage.stop();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=1 cut=[1:true]"), "{ended:?}");
    client.expect_gone();
}

fn second_signal(how: How, endpoint: &str) {
    // The drain alone would take an hour.
    let stage = Stage::open("long-drain", how, endpoint);
    let mut client = stage.connect();
    client.say("echo in\nwait\nhalf a li");
    client.expect("in\n");
    stage.signal(Signal::TERM);
    stage.line("draining open=1");
    stage.signal(Signal::TERM);
    client.expect_gone();
    let ended = stage.wait();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=1 cut=[1:false]"), "{ended:?}");
}
