//! What `serve` says while it serves.

use crate::harness::{MODELS, Place, Served, command};
use rustix::process::Signal;
use serde_json::Value;
use socketserver_testkit::Python;

/// Says `hello`, hears it and leaves; prints its own address.
const VISIT: &str = "
s = connect()
s.sendall(b'hello')
assert exactly(s, 5) == b'hello'
print(*s.getsockname(), sep=':', end='')
s.close()
";

#[test]
fn an_event_line_tells_of_each_open_and_each_close() {
    let Some(python) = Python::find() else { return };
    for model in MODELS {
        let served = Served::start(&["echo", ":0", "--model", model]);
        let peer = python.client(served.address(), VISIT);
        let at = served.address().to_owned();
        assert_eq!(served.line("open "), format!("open id=1 peer={peer} endpoint={at}"));
        let line = served.line("close ");
        let (start, rest) = line.split_once(" duration=").unwrap();
        assert_eq!(start, format!("close id=1 peer={peer} endpoint={at} read=5 written=5"));
        let (duration, reason) = rest.split_once(' ').unwrap();
        assert!(duration.strip_suffix('s').unwrap().parse::<f64>().is_ok(), "{line}");
        assert_eq!(reason, "reason=finished");
        assert_eq!(served.stop().line("stopped"), "stopped served=1 cut=0");
    }
}

#[test]
fn a_unix_peer_is_named_by_its_process() {
    let Some(python) = Python::find() else { return };
    let place = Place::new();
    let served = Served::start(&["echo", &place.address()]);
    let pid = python.client(served.address(), "import os; s = connect(); print(os.getpid(), end='')");
    let line = served.line("open ");
    assert!(line.contains(&format!(" peer=unix:pid={pid},uid=")), "{line}");
}

#[test]
fn as_json_each_line_is_an_object() {
    let Some(python) = Python::find() else { return };
    for model in MODELS {
        let mut command = command(&["serve", "echo", ":0", "--log", "json", "--model", model]);
        command.stderr(std::process::Stdio::piped()).stdin(std::process::Stdio::null());
        let served = Served::adopt(command.spawn().unwrap());
        let listening = object(&served.line(r#"{"endpoint":"#));
        assert_eq!(listening["event"], "listening");
        let address = listening["endpoint"].as_str().unwrap();
        assert_eq!(listening["message"], format!("listening on {address}"));

        let peer = python.client(address, VISIT);
        let ended = served.stop();
        assert_eq!(ended.status, Some(0));
        let lines: Vec<Value> = ended.lines.iter().map(|line| object(line)).collect();
        let event = |name: &str| {
            let mut found = lines.iter().filter(|line| line["event"] == name);
            let event = found.next().unwrap_or_else(|| panic!("no {name} in {lines:#?}"));
            assert!(found.next().is_none(), "more than one {name} in {lines:#?}");
            event
        };
        let open = event("open");
        assert_eq!((&open["id"], &open["peer"], &open["endpoint"]), (&1.into(), &peer.clone().into(), &address.into()));
        let close = event("close");
        assert_eq!((&close["id"], &close["peer"], &close["endpoint"]), (&1.into(), &peer.into(), &address.into()));
        assert_eq!((&close["read"], &close["written"]), (&5.into(), &5.into()));
        assert!(close["duration"].is_f64(), "{close}");
        assert_eq!(close["reason"], "finished");
        assert_eq!(event("draining")["open"], 0);
        let stopped = event("stopped");
        assert_eq!((&stopped["served"], &stopped["cut"]), (&1.into(), &0.into()));
    }
}

fn object(line: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    assert!(value.is_object(), "{line}");
    value
}

#[test]
fn usr1_prints_totals_and_serving_goes_on() {
    const REFUSED: &str = "refused=0 denied=0 untrusted=0 bad-headers=0 over-limit=0 over-peer-limit=0 lost=0 exhausted=0 shed=0 given-up=0 failed=0 handshakes-failed=0";
    const PACKETS: &str = "packets=0 replies=0 overflowed=0 truncated=0 nonsense=0 unwelcome=0 over-rate=0 withheld=0 unsent=0 undelivered=0 packets-failed=0 queue-full=0 evicted=0";
    for model in MODELS {
        let served = Served::start(&["echo", ":0", "--model", model]);
        let totals = || {
            served.signal(Signal::USR1);
            served.line("totals")
        };
        assert_eq!(totals(), format!("totals open=0 accepted=0 closed=0 {REFUSED} read=0 written=0 {PACKETS}"));
        let mut client = served.client();
        client.say("hello");
        client.expect("hello");
        // What was written counts a moment after the client has it.
        let line = totals();
        assert!(line.starts_with(&format!("totals open=1 accepted=1 closed=0 {REFUSED} read=5 written=")), "{line}");
        drop(client);
        served.line("close ");
        served.is_served();
        served.line("close ");
        assert_eq!(totals(), format!("totals open=0 accepted=2 closed=2 {REFUSED} read=9 written=9 {PACKETS}"));
        assert_eq!(served.stop().status, Some(0));
    }
}
