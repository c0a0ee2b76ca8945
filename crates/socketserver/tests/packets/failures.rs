use crate::{MODELS, Suite, is_alive};
use socketserver_testkit::{How, Stage};

pub(crate) fn add(suite: &mut Suite) {
    suite.packets("an_error_reaches_on_error_and_the_server_lives", &MODELS, handler_error);
    suite.packets("a_panic_is_that_of_one_packet", &MODELS, handler_panic);
    suite.packets("a_panic_of_on_error_hurts_nobody", &MODELS, on_error_panics);
    suite.packets("a_stop_from_a_handler_is_no_error", &MODELS, stop_from_handler);
    suite.packets("verify_turns_away_once", &MODELS, verify);
    suite.packets("a_client_that_left_is_no_error", &MODELS, left);
}

fn handler_error(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let caller = stage.caller();
    for _ in 0..2 {
        assert_eq!(caller.ask("fail on purpose"), b"before it failed");
        let line = stage.line("on_error on purpose peer=");
        let peer = caller.local().map_or("unix:pid=".into(), |local| local.to_string());
        assert!(line["on_error on purpose peer=".len()..].starts_with(&peer), "{line}");
    }
    assert_eq!(caller.ask("echo still here"), b"still here");
    is_alive(&stage);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("on_error"), 2, "{ended:?}");
    assert!(ended.line("packets").starts_with("packets received=4 replies=4 failed=2 "), "{ended:?}");
    assert_eq!(ended.count("child_ended"), 0, "{ended:?}");
}

fn handler_panic(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let caller = stage.caller();
    for _ in 0..2 {
        caller.send("panic of the handler");
        stage.line("on_error panicked: of the handler");
        is_alive(&stage);
    }
    assert_eq!(caller.ask("echo still here"), b"still here");
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("packets").starts_with("packets received=5 replies=3 failed=2 "), "{ended:?}");
    assert_eq!(ended.count("child_ended"), 0, "{ended:?}");
}

fn on_error_panics(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let caller = stage.caller();
    assert_eq!(caller.ask("fail on_error too"), b"before it failed");
    stage.line("on_error on_error too");
    // Events are told in the server's own process alone: children have nobody to tell.
    if !matches!(how, How::Forks(_) | How::Prefork(..)) {
        assert!(stage.line("hook_failed on_error").contains("on_error panics too"));
    }
    is_alive(&stage);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("child_ended"), 0, "{ended:?}");
}

fn stop_from_handler(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    // What it replies leaves all the same.
    assert_eq!(stage.caller().ask("stop"), b"stopping");
    let ended = stage.wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("on_error"), 0, "{ended:?}");

    // An ordinary error beside it is still one.
    let stage = Stage::open("script", how, endpoint);
    stage.caller().send("stop-and-fail");
    let ended = stage.wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("on_error after the stop"), 1, "{ended:?}");
}

/// It is asked where packets come in, under `Forks` too: so it can count.
fn verify(how: How, endpoint: &str) {
    let stage = Stage::open("verify", how, endpoint);
    let caller = stage.caller();
    for (packet, wanted) in [(1, true), (2, false), (3, false), (4, true)] {
        caller.send("let me in");
        // Or another thread could have the next one first.
        stage.line(&format!("verify {packet} peer="));
        if wanted {
            caller.expect("in");
        }
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("handle"), 2, "{ended:?}");
    assert_eq!(ended.count("hook_failed verify panicked: verify panicked"), 1, "{ended:?}");
    assert_eq!(
        ended.line("packets"),
        "packets received=4 replies=2 failed=0 unwelcome=2 truncated=0 overflowed=0 unsent=0"
    );
}

/// Whoever asks and does not wait for the answer.
fn left(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    for _ in 0..20 {
        let caller = stage.caller();
        caller.send("three for nobody");
        drop(caller);
        is_alive(&stage);
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("on_error"), 0, "{ended:?}");
    assert_eq!(ended.count("accept_failed"), 0, "{ended:?}");
}
