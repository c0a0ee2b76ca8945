//! What the log says of handshakes that come to nothing.

use super::made;
use crate::harness::{MODELS, Served, client, command};
use rustix::process::Signal;
use serde_json::Value;

/// What is no TLS, and would command a terminal and forge a line if it were written as it is.
const HOSTILE: &[u8] = b"\x1b[2J\x1b]0;x\x07\r\nclose id=9 peer=forged\r\n\xc2\x9b31m\xff";

/// A peer that begins so, or says nothing and waits, or leaves.
fn visits(address: &str) {
    for first in [HOSTILE, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b""] {
        let mut peer = client(address);
        peer.say(first);
        peer.expect_gone();
    }
    drop(client(address));
}

const FAILURES: [&str; 4] = ["handshake-not-tls", "handshake-not-tls", "handshake-timeout", "handshake-disconnected"];

#[test]
fn each_has_a_line_with_the_reason_and_what_failed() {
    for model in MODELS {
        let (served, _) = made(&["echo", "tls://127.0.0.1:0", "--model", model, "--handshake", "300ms"]);
        visits(served.address());
        // A worker each: what ends first may be told last.
        let mut lines = FAILURES.map(|_| served.line("close "));
        lines.sort_unstable();
        for (at, (line, failure)) in lines.iter().zip(FAILURES).enumerate() {
            let start = format!("close id={} peer=127.0.0.1:", at + 1);
            assert!(
                line.starts_with(&start) && line.contains(&format!(" reason={failure} error=\"")),
                "{model} {line}"
            );
        }
        served.signal(Signal::USR1);
        assert!(served.line("totals ").contains(" handshakes-failed=4 "), "{model}");
        let ended = served.stop();
        assert_eq!(ended.status, Some(0));
        let odd: Vec<_> = ended.lines.iter().filter(|line| line.chars().any(char::is_control)).collect();
        assert!(odd.is_empty() && ended.lines("close ").len() == 4, "{model} {:#?}", ended.lines);
    }
}

#[test]
fn as_json_too() {
    let args = ["serve", "echo", "tls://127.0.0.1:0", "--tls-self-signed", "--log", "json", "--handshake", "300ms"];
    let mut command = command(&args);
    command.stderr(std::process::Stdio::piped()).stdin(std::process::Stdio::null());
    let served = Served::adopt(command.spawn().unwrap());
    let object = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    let certificate = object(&served.line("{"));
    assert_eq!(certificate["event"], "certificate");
    let fingerprint = certificate["fingerprint"].as_str().unwrap();
    assert_eq!((fingerprint.len(), fingerprint.matches(':').count()), (95, 31));
    assert_eq!(certificate["message"], format!("SHA-256 fingerprint {fingerprint}"));
    let listening = object(&served.line("{"));
    assert_eq!(listening["event"], "listening");
    let address = listening["endpoint"].as_str().unwrap().to_owned();
    visits(&address);
    super::connect(&address, fingerprint, "hello\n").is("hello\n");
    // Of these events it is the close that has this key first.
    let mut closed = [(); 5].map(|()| object(&served.line(r#"{"detail":"#)));
    closed.sort_unstable_by_key(|event| event["id"].as_u64());
    served.stop().lines.iter().for_each(|line| drop(object(line)));
    for (event, failure) in closed.iter().zip(FAILURES) {
        assert_eq!((&event["reason"], event["error"].is_string()), (&failure.into(), true), "{event}");
    }
    assert_eq!((&closed[4]["reason"], &closed[4]["error"]), (&"finished".into(), &Value::Null));
}
