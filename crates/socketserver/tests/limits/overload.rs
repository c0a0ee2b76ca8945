use crate::{PARALLEL, Suite, number, step};
use socketserver_testkit::{Carrier, Client, How, Process, Python, Stage};
use std::ops::RangeBounds;

pub(crate) fn add(suite: &mut Suite) {
    suite.both("beyond_the_maximum_python_waits", &PARALLEL, queued);
    suite.both("beyond_the_maximum_python_is_closed", &PARALLEL, closed);
    suite.both("beyond_the_maximum_python_is_told", &PARALLEL, told);
    suite.tcp("one_too_many_of_a_peer_is_closed", &PARALLEL, peer_closed);
    suite.tcp("one_too_many_of_a_peer_is_told", &PARALLEL, peer_told);
    suite.add("peers_without_an_address_are_not_counted", &PARALLEL, &[Carrier::Unix], unix_peers);
    suite.both("at_most_64_that_were_told_linger", &PARALLEL, linger);
    suite.both("no_child_inherits_those_that_were_told", &[How::Forks(200), How::Prefork(2, 200)], inherits);
}

/// How a client may fare.
const WAYS: &str = "
def got(s, data):
    assert exactly(s, len(data)) == data

# Served, and kept.
def served(source=None):
    s = connect(source)
    s.sendall(b'echo in\\n')
    got(s, b'in\\n')
    return s

# Closed without a word; what was sent and not read makes that a reset.
def closed(source=None):
    s = connect(source)
    try:
        s.sendall(b'echo in\\n')
        got = everything(s)
    except (ConnectionResetError, BrokenPipeError):
        got = b''
    assert got == b'', got

# Told, in order, though it has sent much that nobody will read.
def told(source=None):
    s = connect(source)
    for _ in range(4):
        try:
            s.sendall(b'x' * 5000)
        except BrokenPipeError:
            # Over a Unix socket one that is closed is known to be before it is written to.
            assert address.startswith('unix:')
    got = everything(s)
    assert got == b'busy', got
    return s

# Whether the other side still takes what is sent; if it has closed, the first word is answered with a reset.
def is_listened_to(s):
    try:
        for _ in range(2):
            s.sendall(b'x')
        return True
    except (ConnectionResetError, BrokenPipeError):
        return False

# It may take the server a moment to see that somebody has left.
def at_last(source=None):
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        s = connect(source)
        try:
            s.sendall(b'echo in\\n')
            if s.recv(3) == b'in\\n':
                return s
        except (ConnectionResetError, BrokenPipeError):
            pass
    raise AssertionError('nobody is let in again')

";

/// Runs a client that is written in Python, against this server; then stops that, and gives what it told.
fn python(stage: Stage, program: &str) -> Option<Vec<String>> {
    Python::find()?.client(&stage.endpoint().to_string(), &format!("{WAYS}{program}"));
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    Some(ended.lines)
}

#[track_caller]
fn assert_refused(lines: &[String], why: &str, times: impl RangeBounds<u64>, total: &str) {
    let refused = lines.iter().filter(|line| line.starts_with("refused ")).count() as u64;
    let so = lines.iter().filter(|line| line.starts_with(&format!("refused why={why} "))).count() as u64;
    assert_eq!(refused, so, "{lines:#?}");
    assert!(times.contains(&so), "{lines:#?}");
    let totals = lines.iter().find(|line| line.starts_with("totals ")).unwrap();
    assert_eq!((number(totals, " refused: "), number(totals, total)), (so, so), "{totals}");
}

fn queued(how: How, endpoint: &str) {
    let lines = python(
        Stage::open("max-2", how, endpoint),
        "
a, b = served(), served()
late = [connect() for _ in range(5)]
for s in late:
    s.sendall(b'echo late\\n')
for _ in range(100):
    a.sendall(b'echo still\\n')
    got(a, b'still\\n')
assert select.select(late, [], [], 0.3)[0] == []
a.close()
for s in late:
    got(s, b'late\\n')
    s.close()
",
    );
    if let Some(lines) = lines {
        assert_refused(&lines, "full", 0..=0, "over_limit: ");
    }
}

fn closed(how: How, endpoint: &str) {
    let lines = python(
        Stage::open("max-2-close", how, endpoint),
        "
a, b = served(), served()
for _ in range(20):
    closed()
a.close()
c = at_last()
closed()
",
    );
    if let Some(lines) = lines {
        assert_refused(&lines, "full", 21.., "over_limit: ");
    }
}

fn told(how: How, endpoint: &str) {
    let lines = python(
        Stage::open("max-2-reply", how, endpoint),
        "
a, b = served(), served()
# The end of the words is told with them, and not when the peer has lingered: then nobody would be there any more.
assert any([is_listened_to(told()) for _ in range(50)]), 'the words have no end before the connection has'
a.close()
c = at_last()
told()
",
    );
    if let Some(lines) = lines {
        assert_refused(&lines, "full", 51.., "over_limit: ");
    }
}

const PEERS: &str = "
a = served('127.0.0.5')
for _ in range(10):
    REFUSED('127.0.0.5')
b = served('127.0.0.6')
a.close()
a = at_last('127.0.0.5')
REFUSED('127.0.0.5')
REFUSED('127.0.0.6')
";

fn peer_closed(how: How, endpoint: &str) {
    // Nobody waits for a peer of its own.
    for role in ["one-each", "one-each-close"] {
        if let Some(lines) = python(Stage::open(role, how, endpoint), &PEERS.replace("REFUSED", "closed")) {
            assert_refused(&lines, "peer-limit", 12.., "over_peer_limit: ");
        }
    }
}

fn peer_told(how: How, endpoint: &str) {
    if let Some(lines) = python(Stage::open("one-each-reply", how, endpoint), &PEERS.replace("REFUSED", "told")) {
        assert_refused(&lines, "peer-limit", 12.., "over_peer_limit: ");
    }
}

fn unix_peers(how: How, endpoint: &str) {
    let stage = Stage::open("one-each", how, endpoint);
    let mut clients: Vec<_> = (0..5).map(|_| stage.connect()).collect();
    for client in &mut clients {
        client.say("echo in\n");
        client.expect("in\n");
    }
    drop(clients);
    assert_eq!(stage.stop().status, Some(0));
}

/// Children that are forked while peers linger hold nothing of them.
fn inherits(how: How, endpoint: &str) {
    let stage = Stage::open("max-2-reply", how, endpoint);
    let served = || loop {
        let mut client = stage.connect();
        client.say_if_there("echo in\n");
        if client.hear(2).is_ok_and(|heard| heard == b"in") {
            client.expect("\n");
            return client;
        }
    };
    let mut clients = vec![served(), served()];
    let children = || stage.process().children().into_iter().map(Process::of);
    // Before there was anybody to inherit.
    let own = children().map(|child| child.sockets().len()).max().unwrap();
    for _ in 0..5 {
        let mut told = stage.connect();
        told.expect("busy");
        drop(clients.remove(0));
        clients.push(served());
        for child in children() {
            child.settles("it holds what is its own", |child| child.sockets().len() <= own);
        }
        drop(told);
    }
    drop(clients);
    assert_eq!(stage.stop().status, Some(0));
}

/// All come before any of them is looked at, so that they linger at the same time.
fn linger(how: How, endpoint: &str) {
    let stage = Stage::open("always-busy", how, endpoint);
    let mut clients: Vec<Client> = (0..100).map(|_| stage.connect()).collect();
    step(&stage, "resume");
    let heard: Vec<_> = clients.iter_mut().map(|client| client.hear_all().unwrap()).collect();
    assert_eq!(heard.iter().filter(|heard| &heard[..] == b"busy").count(), 64);
    assert_eq!(heard.iter().filter(|heard| heard.is_empty()).count(), 36);
    drop(clients);
    // They are gone now, or soon: another one is told.
    let give_up = std::time::Instant::now() + socketserver_testkit::PATIENCE;
    while stage.connect().hear_all().unwrap() != b"busy" {
        assert!(std::time::Instant::now() < give_up, "those that were told linger for ever");
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0));
    assert!(number(ended.line("totals"), "over_limit: ") > 100);
}
