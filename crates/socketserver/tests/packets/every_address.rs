use crate::{MODELS, Suite};
use socketserver_testkit::{Caller, How, Stage};
use std::net::IpAddr;

pub(crate) fn add(suite: &mut Suite) {
    suite.udp("the_address_that_was_asked_answers", &MODELS, asked);
    suite.udp("a_stranger_is_sent_little_until_it_is_heard_again", &MODELS, stranger);
}

/// Bound to every address, a server answers from the one that it was asked at: each client hears nothing else.
fn asked(how: How, _: &str) {
    for (bound, asked, source) in [
        ("udp://*:0", "127.0.0.2", "127.0.0.1"),
        ("udp://*:0", "::1", "::1"),
        ("udp://0.0.0.0:0", "127.0.0.2", "127.0.0.3"),
        ("udp://[::]:0", "::1", "::1"),
    ] {
        let stage = Stage::open("script", how, bound);
        let [asked, source] = [asked, source].map(|ip| ip.parse::<IpAddr>().unwrap());
        for _ in 0..2 {
            let caller = Caller::at(stage.endpoint(), asked, source).unwrap();
            // Whoever was heard from once is not sent much more than came from it.
            assert_eq!(caller.ask("echo me"), b"me");
            let expected = format!("0 {} Some({asked}) false", caller.local().unwrap());
            assert_eq!(String::from_utf8(caller.ask("facts")).unwrap(), expected, "{bound}");
            // Several in one call too.
            caller.send("three times");
            (1..=3).for_each(|at| caller.expect(format!("{at} times")));
        }
        assert_eq!(stage.stop().status, Some(0));
    }
}

/// What one process has found out about it holds in all.
fn stranger(how: How, _: &str) {
    let stage = Stage::open("script", how, "udp://0.0.0.0:0");
    for _ in 0..2 {
        let local = "127.0.0.1".parse().unwrap();
        let caller = Caller::at(stage.endpoint(), local, local).unwrap();
        caller.send("facts");
        stage.line("on_error it was heard from once");
        let expected = format!("0 {} Some(127.0.0.1) false", caller.local().unwrap());
        assert_eq!(String::from_utf8(caller.ask("facts")).unwrap(), expected);
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("packets").starts_with("packets received=4 replies=2 failed=2 "), "{ended:?}");
}
