use crate::{MODELS, Suite};
use socketserver_testkit::{How, Stage};

pub(crate) fn add(suite: &mut Suite) {
    suite.both("an_error_reaches_on_error_and_the_server_lives", &MODELS, handler_error);
    suite.both("a_panic_ends_one_connection", &MODELS, handler_panic);
    suite.both("a_stop_from_a_handler_is_no_error", &MODELS, stop_from_handler);
    suite.both("finish_runs_once_whatever_fails", &MODELS, hooks);
    suite.both("verify_turns_away_once", &MODELS, verify);
    suite.both("a_peer_that_left_is_no_error", &MODELS, disconnects);
}

fn is_alive(stage: &Stage) {
    let mut client = stage.connect();
    client.say("echo alive\n");
    client.expect("alive\n");
}

fn handler_error(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut client = stage.connect();
    client.say("echo first\nfail on purpose\n");
    // What was written before the failure arrives.
    client.expect("first\n");
    client.expect_end();
    stage.line("on_error on purpose");
    assert!(stage.line("closed ").ends_with("failure=on purpose"));
    is_alive(&stage);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("on_error"), 1);
    assert!(ended.line("report").ends_with("failed=1"), "{ended:?}");
}

fn handler_panic(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut client = stage.connect();
    client.say("panic of the handler\n");
    client.expect_end();
    stage.line("on_error panicked: of the handler");
    assert!(stage.line("closed ").contains("reason=panicked"));
    is_alive(&stage);
    assert_eq!(stage.stop().status, Some(0));
}

fn stop_from_handler(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut client = stage.connect();
    client.say("stop\n");
    client.expect_end();
    let ended = stage.wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("on_error"), 0, "{ended:?}");

    // An ordinary error beside it is still one.
    let stage = Stage::open("script", how, endpoint);
    let mut client = stage.connect();
    client.say("stop-and-fail\n");
    client.expect_end();
    let ended = stage.wait();
    assert_eq!(ended.count("on_error after the stop"), 1, "{ended:?}");
}

fn hooks(how: How, endpoint: &str) {
    let stage = Stage::open("hooks", how, endpoint);
    let cases: [(&str, &[&str]); 7] = [
        ("all is well", &["setup", "handle", "finish"]),
        ("setup fails", &["setup", "finish", "on_error setup failed"]),
        ("setup panics", &["setup", "finish", "on_error panicked: setup panicked"]),
        ("handle fails", &["setup", "handle", "finish", "on_error handle failed"]),
        ("handle panics", &["setup", "handle", "finish", "on_error panicked: handle panicked"]),
        ("finish fails", &["setup", "handle", "finish", "on_error finish failed"]),
        ("on_error panics", &["setup", "handle", "finish", "on_error finish failed"]),
    ];
    for (case, expected) in cases {
        let mut client = stage.connect();
        client.say(format!("{case}\n"));
        client.end();
        let heard = client.hear_all().unwrap();
        assert_eq!(heard == b"handled\n", expected.contains(&"handle"), "{case}");
        stage.line("closed ");
        let lines = stage.so_far();
        let told: Vec<_> = lines.iter().skip_while(|line| !line.starts_with("opened")).collect();
        let last = told.rsplit(|line| line.starts_with("opened")).next().unwrap();
        // A shard that prints a backtrace moves on to nobody else meanwhile.
        let others = ["closed", "hook_failed", "hogged"];
        let is_other = |line: &str| others.iter().any(|other| line.starts_with(other));
        let hooks: Vec<_> = last.iter().filter(|line| !is_other(line)).collect();
        assert_eq!(hooks, expected.iter().collect::<Vec<_>>(), "{case}");
    }
    assert_eq!(stage.stop().status, Some(0));
}

fn verify(how: How, endpoint: &str) {
    let stage = Stage::open("verify", how, endpoint);
    let mut check = None;
    for expected in ["in\n", "", "", "in\n"] {
        let mut client = stage.connect();
        client.end();
        assert_eq!(client.hear_all().unwrap(), expected.as_bytes());
        // It has all that it serves with.
        check.get_or_insert_with(|| stage.leak_check());
    }
    check.unwrap().end();
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("handle"), 2, "{ended:?}");
    assert_eq!(ended.count("refused "), 2);
    assert_eq!(ended.count("opened "), 2);
    assert_eq!(ended.count("hook_failed verify panicked: verify panicked"), 1);
}

fn disconnects(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    // Connect and leave.
    drop(stage.connect());
    assert!(stage.line("closed ").contains("reason=finished"));
    // In the middle of a line.
    let mut client = stage.connect();
    client.say("echo hal");
    drop(client);
    assert!(stage.line("closed ").contains("reason=disconnected"));
    if endpoint.starts_with("tcp") {
        let mut client = stage.connect();
        client.say("echo a\n");
        client.expect("a\n");
        client.reset();
        assert!(stage.line("closed ").contains("reason=disconnected"));
    }
    is_alive(&stage);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("on_error"), 0, "{ended:?}");

    // While the handler writes to it.
    let stage = Stage::open("bulk", how, endpoint);
    let mut client = stage.connect();
    client.say("!");
    client.hear(10).unwrap();
    client.reset();
    assert!(stage.line("closed ").contains("reason=disconnected"));
    assert_eq!(stage.stop().status, Some(0));
}
