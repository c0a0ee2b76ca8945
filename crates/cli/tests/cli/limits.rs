//! Who may come in, and how long they may stay.

use crate::harness::{MODELS, PARALLEL, Place, Served, command};
use serde_json::Value;
use socketserver_testkit::{Client, PATIENCE, Python};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A client that has come in, shown by an answer.
#[track_caller]
fn inside(served: &Served) -> Client {
    let mut client = served.client();
    client.say("ping");
    client.expect("ping");
    client
}

/// That somebody comes in sooner or later: the close of another is told a moment before its place is free.
#[track_caller]
fn comes_in(served: &Served) {
    let give_up = Instant::now() + PATIENCE;
    while Instant::now() < give_up {
        let mut client = served.client();
        client.say_if_there("ping");
        if client.hear(4).is_ok_and(|heard| heard == b"ping") {
            return;
        }
    }
    panic!("nobody comes in any more");
}

#[test]
fn over_the_limit_the_next_waits_until_there_is_room() {
    for model in PARALLEL {
        let served = Served::start(&["echo", ":0", "--model", model, "--max-conns", "1"]);
        let first = inside(&served);
        let mut second = served.client();
        second.say("ping");
        // Nobody comes in but by the first one's end.
        drop(first);
        second.expect("ping");
        drop(second);
        let ended = served.stop();
        assert_eq!(ended.status, Some(0), "{model}");
        assert_eq!(ended.line("stopped"), "stopped served=2 cut=0", "{model}");
        assert_eq!(ended.lines("refused "), [""; 0], "{model}");
        let at = |beginning: &str| ended.lines.iter().position(|line| line.starts_with(beginning)).unwrap();
        assert!(at("close id=1 ") < at("open id=2 "), "{model} {:#?}", ended.lines);
    }
}

#[test]
fn over_the_limit_the_next_is_closed_if_that_is_the_policy() {
    for model in PARALLEL {
        let served = Served::start(&["echo", ":0", "--model", model, "--max-conns", "1", "--over-limit", "close"]);
        let first = inside(&served);
        let mut second = served.client();
        let from = second.local().unwrap();
        second.expect_gone();
        let at = served.address();
        assert_eq!(served.line("refused "), format!("refused peer={from} endpoint={at} why=full"));
        drop(first);
        comes_in(&served);
        assert_eq!(served.stop().status, Some(0), "{model}");
    }
}

#[test]
fn over_the_limit_the_next_is_told_exactly_what_the_policy_says() {
    let Some(python) = Python::find() else { return };
    for model in PARALLEL {
        let policy = "busy=try later: a=b, 忙";
        let served = Served::start(&["echo", ":0", "--model", model, "--max-conns", "1", "--over-limit", policy]);
        let first = inside(&served);
        // What it has said itself makes no reset that eats the words.
        let program = "
with connect() as s:
    s.sendall(b'x' * 10000)
    print(everything(s).decode(), end='')
";
        assert_eq!(python.client(served.address(), program), "try later: a=b, 忙", "{model}");
        assert!(served.line("refused ").ends_with(" why=full"));
        drop(first);
        comes_in(&served);
        assert_eq!(served.stop().status, Some(0), "{model}");
    }
}

#[test]
fn who_is_denied_is_closed_and_others_are_served() {
    let Some(python) = Python::find() else { return };
    let program = "
for source in sys.argv[2:] or ['127.0.0.2']:
    try:
        with connect(source) as s:
            s.sendall(b'ping')
            print(source, everything(s) if source != '127.0.0.1' else exactly(s, 4))
    except ConnectionResetError:
        print(source, b'')
with connect('127.0.0.1') as s:
    s.sendall(b'ping')
    assert exactly(s, 4) == b'ping'
";
    for model in MODELS {
        let served = Served::start(&["echo", ":0", "--model", model, "--deny", "127.0.0.2"]);
        assert_eq!(python.client(served.address(), program), "127.0.0.2 b''\n", "{model}");
        let line = served.line("refused ");
        assert!(line.starts_with("refused peer=127.0.0.2:") && line.ends_with(" why=denied"), "{line}");
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn of_who_is_allowed_some_are_denied() {
    let Some(python) = Python::find() else { return };
    // Several blocks in one flag, and a flag several times.
    let args = ["--allow", "10.0.0.0/8,127.0.0.0/30", "--allow", "::1", "--deny", "127.0.0.2", "--deny", "10.0.0.1"];
    let served = Served::start(&[&["echo", ":0"][..], &args].concat());
    let program = "
def is_served(source):
    try:
        with connect(source) as s:
            s.sendall(b'ping')
            return s.recv(4) == b'ping'
    except ConnectionResetError:
        return False
print(*map(is_served, ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4']))
";
    assert_eq!(python.client(served.address(), program), "True False True False\n");
    let ended = served.stop();
    assert_eq!(ended.lines("refused ").len(), 2, "{:#?}", ended.lines);
}

#[test]
fn one_peer_has_so_many_connections_and_leaves_the_others_theirs() {
    let Some(python) = Python::find() else { return };
    let program = "
def ping(s):
    s.sendall(b'ping')
    assert exactly(s, 4) == b'ping'
first, second = connect('127.0.0.1'), connect('127.0.0.1')
ping(first); ping(second)
third = connect('127.0.0.1')
print(everything(third).decode(), end='')
other = connect('127.0.0.2')
ping(other); ping(first); ping(second)
first.close()
while True:
    again = connect('127.0.0.1')
    try:
        ping(again)
        break
    except (AssertionError, ConnectionError):
        pass  # the server has not seen the first one go
";
    for model in PARALLEL {
        for (policy, hears) in [("queue", ""), ("close", ""), ("busy=two is enough", "two is enough")] {
            let served = Served::start(&["echo", ":0", "--model", model, "--max-per-ip", "2", "--over-limit", policy]);
            assert_eq!(python.client(served.address(), program), hears, "{model} {policy}");
            let line = served.line("refused ");
            assert!(line.starts_with("refused peer=127.0.0.1:") && line.ends_with(" why=peer-limit"), "{line}");
            assert_eq!(served.stop().status, Some(0));
        }
    }
}

#[test]
fn those_over_unix_sockets_are_nobodys_peers() {
    let place = Place::new();
    let served = Served::start(&["echo", &place.address(), "--max-per-ip", "1", "--allow", "10.0.0.0/8"]);
    let _clients = [inside(&served), inside(&served)];
}

#[test]
fn who_comes_faster_than_the_rate_waits() {
    for model in MODELS {
        let served = Served::start(&["echo", ":0", "--model", model, "--accept-rate", "1/500ms"]);
        let began = Instant::now();
        // As many as in a second may come at once, and then one each half.
        for _ in 0..4 {
            inside(&served);
        }
        assert!(began.elapsed() >= Duration::from_millis(900), "{model} {:?}", began.elapsed());
        assert_eq!(served.stop().status, Some(0), "{model}");
    }
}

#[test]
fn as_json_a_refusal_says_why() {
    let mut command = command(&["serve", "echo", ":0", "--log", "json", "--deny", "127.0.0.1"]);
    let served = Served::adopt(command.stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap());
    let object = |line: String| serde_json::from_str::<Value>(&line).unwrap();
    let listening = object(served.line("{"));
    let mut client = crate::harness::client(listening["endpoint"].as_str().unwrap());
    let from = client.local().unwrap().to_string();
    client.expect_gone();
    let refused = object(served.line("{"));
    assert_eq!((&refused["event"], &refused["why"]), (&"refused".into(), &"denied".into()));
    assert_eq!((&refused["peer"], &refused["endpoint"]), (&from.into(), &listening["endpoint"]));
    assert_eq!(served.stop().status, Some(0));
}

/// That a deadline ends a connection, and is named.
#[track_caller]
fn ends(model: &str, flags: &[&str], reason: &str, client: impl Fn(&mut Client)) {
    let served = Served::start(&[&["echo", ":0", "--model", model], flags].concat());
    let mut slow = served.client();
    client(&mut slow);
    let line = served.line("close id=1 ");
    assert!(line.ends_with(&format!(" reason={reason}")), "{model} {line}");
    slow.expect_gone();
    assert_eq!(served.stop().status, Some(0), "{model}");
}

#[test]
fn who_says_nothing_at_all_is_let_go() {
    for model in MODELS {
        ends(model, &["--first-byte", "100ms"], "first-byte", |_| {});
    }
}

#[test]
fn who_says_something_first_is_let_go_when_idle() {
    for model in MODELS {
        // The deadline for the first byte is over long before.
        ends(model, &["--first-byte", "10s", "--idle", "0.5"], "idle", |client| {
            client.say("ping");
            client.expect("ping");
        });
    }
}

#[test]
fn who_stays_for_longer_than_a_lifetime_is_let_go_whatever_it_does() {
    for model in MODELS {
        ends(model, &["--lifetime", "300ms"], "lifetime", |client| {
            client.trickle(b'x', Duration::from_millis(10));
        });
    }
}

#[test]
fn who_takes_nothing_is_let_go() {
    for model in MODELS {
        ends(model, &["--write-timeout", "100ms"], "write-timeout", |client| {
            client.stuff();
        });
    }
}

/// The defaults would let these in as well: what shows is that `off` is neither a small number nor a deadline of none.
#[test]
fn every_limit_may_be_off() {
    let off = [
        "max-conns",
        "max-per-ip",
        "accept-rate",
        "packet-rate",
        "max-amplification",
        "first-byte",
        "idle",
        "write-timeout",
        "lifetime",
        "min-rate",
    ];
    let flags: Vec<String> = off.iter().map(|flag| format!("--{flag}=off")).collect();
    for model in PARALLEL {
        let mut args = vec!["echo", ":0", "--model", model];
        args.extend(flags.iter().map(|flag| &**flag));
        let served = Served::start(&args);
        let mut clients: Vec<Client> = (0..10).map(|_| inside(&served)).collect();
        // All of them at a time.
        for client in &mut clients {
            client.say("still");
            client.expect("still");
        }
        let ended = served.stop();
        assert_eq!(ended.status, Some(0), "{model}");
        assert_eq!(ended.line("stopped"), "stopped served=10 cut=0", "{model}");
        assert_eq!(ended.lines("refused "), [""; 0], "{model}");
    }
}

#[test]
fn counts_and_bytes_may_be_thousands() {
    let served = Served::start(&["echo", ":0", "--max-conns", "2k", "--max-per-ip", "1K", "--min-rate", "10k"]);
    // More at a time than the digits say.
    let _clients: Vec<Client> = (0..5).map(|_| inside(&served)).collect();
    assert_eq!(served.stop().status, Some(0));
}
