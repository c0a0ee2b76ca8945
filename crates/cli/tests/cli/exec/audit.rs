//! Each request has a line in the log.

use super::stage::{Desk, ask};
use crate::harness::{Served, client, command};
use serde_json::{Value, json};
use std::process::Stdio;

#[test]
fn each_request_is_told_of_in_text() {
    let desk = Desk::new("");
    let served = desk.serve(&[]);
    let mut client = served.client();
    ask(&mut client, "sh 'echo hello'");
    ask(&mut client, "sh 'exit 3'");
    ask(&mut client, "sh 'kill -9 $$'");
    ask(&mut client, "nothing");
    client.say("a\nb");
    client.expect_gone();
    let ended = served.stop();
    let lines = ended.lines("exec ");
    let peer = format!("exec id=1 peer=127.0.0.1:{} ", client.local().unwrap().port());
    for (line, (beginning, end)) in lines.iter().zip([
        ("status=exited detail=0 bytes=6 duration=", "s length=15 command=\"sh 'echo hello'\""),
        ("status=exited detail=3 bytes=0 duration=", "s length=11 command=\"sh 'exit 3'\""),
        ("status=killed detail=9 bytes=0 duration=", "s length=15 command=\"sh 'kill -9 $$'\""),
        ("status=refused bytes=37 duration=", "s length=7 command=nothing"),
        ("status=rejected bytes=0 duration=", "s length=3 command=a\\nb"),
    ]) {
        assert!(line.starts_with(&format!("{peer}{beginning}")) && line.ends_with(end), "{line}");
    }
    assert_eq!(lines.len(), 5, "{lines:#?}");
}

#[test]
fn each_request_is_told_of_in_json() {
    let desk = Desk::new("");
    let args = desk.args(&["--log", "json", "--output-limit", "1"]);
    let mut command = command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let served = Served::adopt(command.stderr(Stdio::piped()).spawn().unwrap());
    let listening: Value = serde_json::from_str(&served.line("{")).unwrap();
    let mut client = client(listening["endpoint"].as_str().unwrap());
    ask(&mut client, "sh 'echo hello; exit 3'");
    served.line("{");
    let told: Value = serde_json::from_str(&served.line("{")).unwrap();
    assert!(told["duration"].as_f64().is_some_and(|duration| duration > 0.0), "{told}");
    let mut told = told.as_object().unwrap().clone();
    told.remove("duration");
    let peer = format!("127.0.0.1:{}", client.local().unwrap().port());
    let expected = json!({
        "event": "exec", "id": 1, "peer": peer, "subject": null, "status": "exited", "detail": 3, "bytes": 25, "output-cut": true, "left": 0,
        "length": 23, "command": "sh 'echo hello; exit 3'",
    });
    assert_eq!(Value::from(told), expected);
}

#[test]
fn a_long_request_does_not_push_the_rest_out() {
    let desk = Desk::new("");
    let served = desk.serve(&[]);
    let mut client = served.client();
    ask(&mut client, &format!("sh 'true {}'", "\u{1b}\u{202e}\"".repeat(500)));
    let line = served.line("exec ");
    assert!(line.len() < 4096 && line.contains("status=exited") && line.contains("length=2510"), "{line}");
    assert!(!line.contains('\u{1b}') && !line.contains('\u{202e}'));
}
