//! Behind a proxy: who the peer is, and what is known before that.

use crate::roles::SOON;
use crate::steering::still_out;
use crate::{MODELS, PARALLEL, Suite, facts, number, settled, step};
use rustix::process::Signal;
use socketserver::UnixName;
use socketserver::proxy::{Addresses, Header, Tlv};
use socketserver_testkit::{Client, Ended, How, Stage};
use std::net::{Ipv4Addr, SocketAddr};

pub(crate) fn add(suite: &mut Suite) {
    suite.both("behind_a_proxy_is_the_peer", &MODELS, who);
    suite.tcp("a_proxy_sends_its_header_in_whatever_pieces", &MODELS, byte_by_byte);
    suite.both("a_proxy_sends_its_header_in_two_parts_at_each_byte", &PARALLEL, in_two);
    suite.both("a_proxy_without_a_header_is_closed", &MODELS, malformed);
    suite.tcp("one_that_is_no_proxy_is_not_read_from", &MODELS, untrusted);
    suite.both("behind_a_proxy_each_has_so_many", &PARALLEL, one_each);
    suite.tcp("behind_a_proxy_rules_are_for_the_peer", &MODELS, rules);
    suite.both("a_silent_proxy_counts_towards_the_total_alone", &PARALLEL, silent);
    suite.both("a_silent_proxy_has_the_time_of_the_handshake", &MODELS, late);
    suite.both("a_proxy_that_trickles_has_no_more_time", &MODELS, trickling);
    suite.both("a_lifetime_ends_a_silent_proxy", &MODELS, lifetime);
    suite.both("a_drain_does_not_wait_for_a_silent_proxy", &PARALLEL, drain);
    suite.both("the_end_of_a_drain_names_no_silent_proxy", &PARALLEL, drain_at_once);
    suite.both("a_kick_does_not_meet_a_silent_proxy", &PARALLEL, kick);
    suite.both("behind_a_proxy_the_first_byte_comes_after_the_header", &PARALLEL, first_byte);
    suite.both("with_a_proxy_it_serves_again", &MODELS, again);
    suite.both("one_served_is_not_a_proxy_that_was_turned_away", &[How::Serial], one);
    suite.both(
        "behind_a_proxy_a_child_has_its_own_connection_alone",
        &[How::Forks(200), How::Prefork(1, 200), How::Prefork(3, 200)],
        children,
    );
}

/// A line of version 1.
fn v1(last: u8) -> Vec<u8> {
    format!("PROXY TCP4 192.0.2.{last} 198.51.100.1 {} 443\r\n", 5000 + u16::from(last)).into_bytes()
}

/// Version 2, with what else it may tell.
fn v2(last: u8) -> Vec<u8> {
    let source = SocketAddr::from(([192, 0, 2, last], 5000 + u16::from(last)));
    let header = Header::proxied(source, "198.51.100.1:443".parse().unwrap()).unwrap();
    let header = header.with(Tlv::Authority("example.org")).unwrap().with(Tlv::UniqueId(b"number-7")).unwrap();
    header.with(Tlv::Noop(&[0; 100])).unwrap().encode_v2()
}

/// A connection in the name of somebody, and what it says right behind that.
fn introduced(stage: &Stage, header: impl AsRef<[u8]>, said: &str) -> Client {
    let mut client = stage.connect();
    client.say([header.as_ref(), said.as_bytes()].concat());
    client
}

#[track_caller]
fn is_in(stage: &Stage, last: u8) -> Client {
    let mut client = introduced(stage, v1(last), "echo in\n");
    client.expect("in\n");
    client
}

/// It is closed without a word, and the server says why.
#[track_caller]
fn is_out(stage: &Stage, last: u8, why: &str) {
    introduced(stage, v2(last), "echo in\n").expect_gone();
    let refused = stage.line("refused ");
    assert_eq!(refused, format!("refused why={why} peer=192.0.2.{last}:{}", 5000 + u16::from(last)));
}

/// What it counted is as it should be.
#[track_caller]
fn adds_up(ended: &Ended, opened: u64, untrusted: u64, bad_headers: u64) {
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let totals = ended.line("totals");
    let counted = ["accepted: ", "closed: ", "untrusted: ", "bad_headers: ", "open="].map(|name| number(totals, name));
    assert_eq!(counted, [opened, opened, untrusted, bad_headers, 0], "{ended:?}");
    assert_eq!(ended.count("opened "), opened as usize, "{ended:?}");
    assert_eq!(ended.count("closed "), opened as usize, "{ended:?}");
    assert_eq!(ended.count("refused why=untrusted "), untrusted as usize, "{ended:?}");
    assert_eq!(ended.count("refused why=bad-header "), bad_headers as usize, "{ended:?}");
    assert_eq!(ended.count("hook_failed "), 0, "{ended:?}");
}

fn who(how: How, endpoint: &str) {
    let stage = Stage::open("proxied", how, endpoint);
    let to = "198.51.100.1:443".parse().unwrap();
    let proxied = |from: &str| Header::proxied(from.parse().unwrap(), to).unwrap().encode_v2();
    let v6 = Header::proxied("[2001:db8::7]:7".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap()).unwrap();
    let mapped = Header::proxied("[::ffff:192.0.2.9]:9".parse().unwrap(), "[::ffff:192.0.2.1]:4".parse().unwrap());
    let unix = Addresses::UnixStream { source: Some(UnixName::Path("/run/client".into())), destination: None };
    // `None`: the proxy itself.
    let cases: [(Vec<u8>, Option<&str>, &str); 9] = [
        (v1(7), Some("192.0.2.7:5007"), "V1 Proxy none"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 7 443\r\n".to_vec(), Some("[2001:db8::7]:7"), "V1 Proxy none"),
        (b"PROXY UNKNOWN\r\n".to_vec(), None, "V1 Proxy none"),
        (b"PROXY UNKNOWN ffff::1 ::2 1 2\r\n".to_vec(), None, "V1 Proxy none"),
        (v2(7), Some("192.0.2.7:5007"), "V2 Proxy number-7"),
        (v6.encode_v2(), Some("[2001:db8::7]:7"), "V2 Proxy none"),
        (mapped.unwrap().encode_v2(), Some("192.0.2.9:9"), "V2 Proxy none"),
        (Header::between(unix).unwrap().encode_v2(), Some("unnamed"), "V2 Proxy none"),
        (Header::local().encode_v2(), None, "V2 Local none"),
    ];
    let count = cases.len();
    for (header, peer, said) in cases {
        let mut client = introduced(&stage, header, "peer\nheader\n");
        let opened = stage.line("opened ");
        let own = || client.local().map_or_else(|| format!("unix:pid={}", std::process::id()), |own| own.to_string());
        let peer = peer.map_or_else(own, str::to_owned);
        assert!(opened.contains(&format!("peer={peer}")), "{opened}, {peer}");
        let (_, named) = opened.split_once("peer=").unwrap();
        client.expect(format!("{named}\n{said}\n"));
        if how != How::Serial {
            let seen = facts(&stage);
            assert_eq!((seen.len(), &*seen[0]["peer"]), (1, named));
        }
        drop(client);
        let closed = stage.line("closed ");
        // The header is not the peer's.
        assert!(closed.contains(&format!("peer={named} ")) && closed.contains(" read=12 "), "{closed}");
    }
    let mut client = introduced(&stage, proxied("192.0.2.8:8"), "peer\n");
    client.expect("192.0.2.8:8\n");
    drop(client);
    let ended = stage.stop();
    adds_up(&ended, count as u64 + 1, 0, 0);
    assert_eq!(number(ended.line("totals"), " read: "), 12 * count as u64 + 5);
}

/// The header, and a request behind it.
fn byte_by_byte(how: How, endpoint: &str) {
    let stage = Stage::open("proxied", how, endpoint);
    for header in [v1(1), v2(1)] {
        let mut client = stage.connect();
        for byte in [&header[..], b"echo piece by piece\n"].concat() {
            client.say([byte]);
        }
        client.expect("piece by piece\n");
        let seen = settled(&stage, "it is in", |facts| facts.len() == 1);
        assert_eq!(seen[0]["peer"], "192.0.2.1:5001");
        drop(client);
        stage.line("closed ");
    }
    adds_up(&stage.stop(), 2, 0, 0);
}

/// Between the two parts somebody else is served, who comes behind the first one in every queue.
fn in_two(how: How, endpoint: &str) {
    let stage = Stage::open("proxied", how, endpoint);
    let mut other = is_in(&stage, 9);
    let mut count = 1;
    for header in [v1(1), v2(1)] {
        for at in 0..=header.len() {
            let mut client = stage.connect();
            client.say(&header[..at]);
            other.say("echo meanwhile\n");
            other.expect("meanwhile\n");
            client.say([&header[at..], b"peer\n"].concat());
            client.expect("192.0.2.1:5001\n");
            count += 1;
        }
    }
    drop(other);
    adds_up(&stage.stop(), count, 0, 0);
}

fn malformed(how: How, endpoint: &str) {
    let stage = Stage::open("proxied", how, endpoint);
    // These need nothing more to be seen.
    let wrong: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PROXY TCP4 192.0.2.256 192.0.2.1 1 2\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
        &[b'P'; 5000],
    ];
    for header in wrong {
        let mut client = stage.connect();
        client.say_if_there(header);
        client.expect_gone();
        let refused = stage.line("refused ");
        assert!(refused.starts_with("refused why=bad-header ") && refused.contains(" failure="), "{refused}");
    }
    let short: [&[u8]; 4] = [b"", b"PROXY TCP4 192.0.2.1 192", &v2(1)[..40], &v2(1)[..16]];
    for header in short {
        let mut client = stage.connect();
        client.say(header);
        client.end();
        client.expect_gone();
        let refused = stage.line("refused ");
        let words =
            if header.is_empty() { "before a PROXY header".to_owned() } else { format!("{} bytes", header.len()) };
        assert!(refused.contains(&words), "{refused}");
    }
    // One that breaks off; whether the server hears of the reset or of an end is the system's affair.
    let mut client = stage.connect();
    client.say("PROXY ");
    client.reset();
    stage.line("refused why=bad-header ");
    drop(is_in(&stage, 1));
    stage.line("closed ");
    adds_up(&stage.stop(), 1, 0, 10);
}

fn untrusted(how: How, endpoint: &str) {
    let stage = Stage::open("proxied", how, endpoint);
    let from = |last| Client::connect_from(stage.endpoint(), Ipv4Addr::new(127, 0, 0, last)).unwrap();
    // A word is not waited for.
    let mut silent = from(2);
    silent.expect_gone();
    let refused = stage.line("refused ");
    assert_eq!(refused, format!("refused why=untrusted peer={}", silent.local().unwrap()));
    // Whatever it says: that it is believed, say.
    let mut claims = from(3);
    claims.say_if_there(v1(1));
    claims.expect_gone();
    stage.line("refused why=untrusted ");
    // Only the proxy itself is looked at.
    drop(is_in(&stage, 3));
    stage.line("closed ");
    adds_up(&stage.stop(), 1, 2, 0);
}

/// Two may come in that are behind one proxy; one of them may not come a second time.
fn one_each(how: How, endpoint: &str) {
    for (role, words) in [("proxied-one-each", ""), ("proxied-one-each-close", ""), ("proxied-one-each-reply", "busy")]
    {
        let endpoint = if endpoint.starts_with("unix:") { format!("{endpoint}-{role}") } else { endpoint.to_owned() };
        let stage = Stage::open(role, how, &endpoint);
        let (one, mut two) = (is_in(&stage, 1), is_in(&stage, 2));
        for header in [v1(1), v2(1)] {
            let mut more = introduced(&stage, header, "echo in\n");
            if words.is_empty() {
                more.expect_gone();
            } else {
                assert_eq!(more.hear_all().unwrap(), words.as_bytes());
            }
            assert_eq!(stage.line("refused "), "refused why=peer-limit peer=192.0.2.1:5001");
        }
        two.say("echo still\n");
        two.expect("still\n");
        drop(one);
        stage.line("closed ");
        // Told is before left.
        settled(&stage, "the first has left", |facts| facts.len() == 1);
        drop((is_in(&stage, 1), is_in(&stage, 3), two));
        let ended = stage.stop();
        adds_up(&ended, 4, 0, 0);
        assert_eq!(number(ended.line("totals"), "over_peer_limit: "), 2);
    }
}

fn rules(how: How, endpoint: &str) {
    let stage = Stage::open("proxied-rules", how, endpoint);
    drop(is_in(&stage, 1));
    stage.line("closed ");
    is_out(&stage, 2, "denied");
    is_out(&stage, 3, "unverified");
    is_out(&stage, 4, "unverified");
    // The proxy speaks for itself, and is not one of them.
    let mut own = introduced(&stage, Header::local().encode_v2(), "echo in\n");
    own.expect_gone();
    assert_eq!(stage.line("refused "), format!("refused why=denied peer={}", own.local().unwrap()));
    drop(is_in(&stage, 1));
    stage.line("closed ");
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.line("hook_failed "), "hook_failed verify panicked: 192.0.2.4 came");
    let totals = ended.line("totals");
    assert_eq!(["accepted: ", "closed: ", "refused: ", "denied: "].map(|name| number(totals, name)), [2, 2, 4, 2]);
}

/// As many silent ones as leave room for two.
fn silent(how: How, endpoint: &str) {
    let stage = Stage::open("proxied-max-22", how, endpoint);
    let mut silent: Vec<_> = (0..20).map(|_| stage.connect()).collect();
    let (mut one, two) = (is_in(&stage, 1), is_in(&stage, 1));
    // Nobody is told of the others.
    let seen = facts(&stage);
    assert_eq!(seen.iter().map(|fact| &*fact["peer"]).collect::<Vec<_>>(), ["192.0.2.1:5001"; 2]);
    let mut last = introduced(&stage, v1(3), "echo in\n");
    still_out(&stage, &mut one, 2);
    silent.pop().unwrap().end();
    last.expect("in\n");
    settled(&stage, "three are in", |facts| facts.len() == 3);
    // It is never too late within the time.
    let mut late = silent.pop().unwrap();
    late.say([&v2(4)[..], b"echo at last\n"].concat());
    late.expect("at last\n");
    drop((one, two, last, late));
    for _ in 0..4 {
        stage.line("closed ");
    }
    let count = silent.len() as u64;
    assert_eq!(stage.so_far().iter().filter(|line| line.starts_with("refused ")).count(), 1);
    drop(silent);
    for _ in 0..count {
        stage.line("refused why=bad-header ");
    }
    adds_up(&stage.stop(), 4, 0, 1 + count);
}

fn late(how: How, endpoint: &str) {
    let stage = Stage::open("proxied-soon", how, endpoint);
    let clients = if how == How::Serial { 2 } else { 20 };
    let mut silent: Vec<_> = (0..clients).map(|_| stage.connect()).collect();
    for client in &mut silent {
        client.expect_gone();
        let refused = stage.line("refused ");
        assert!(refused.ends_with("failure=the handshake deadline passed: the PROXY header is not there"), "{refused}");
    }
    // A second may have the bad luck that the machine is slow: one that comes in has all its time.
    drop(is_in(&stage, 1));
    stage.line("closed ");
    adds_up(&stage.stop(), 1, 0, clients);
}

fn trickling(how: How, endpoint: &str) {
    let stage = Stage::open("proxied-soon", how, endpoint);
    let mut client = stage.connect();
    let header = v2(1);
    client.say(&header[..20]);
    // The filler at its end.
    let sent = client.trickle(0, SOON / 20);
    assert!(sent < header.len() - 20, "{sent}");
    client.expect_gone();
    stage.line("refused why=bad-header ");
    adds_up(&stage.stop(), 0, 0, 1);
}

fn lifetime(how: How, endpoint: &str) {
    let stage = Stage::open("proxied-lifetime", how, endpoint);
    stage.connect().expect_gone();
    let refused = stage.line("refused ");
    assert!(refused.starts_with("refused why=bad-header ") && refused.ends_with("its lifetime is over"), "{refused}");
    adds_up(&stage.stop(), 0, 0, 1);
}

/// Nothing was asked of the server, so it ends at once; for those who are in it would wait for two minutes.
fn drain(how: How, endpoint: &str) {
    let stage = Stage::open("proxied-long-drain", how, endpoint);
    let mut halfway = stage.connect();
    halfway.say("PROXY TCP4 ");
    let mut silent: Vec<_> = (0..5).map(|_| stage.connect()).collect();
    // Who comes later is accepted later.
    let mut idle = is_in(&stage, 1);
    settled(&stage, "it waits", |facts| crate::in_phase(facts, "waiting") == 1);
    stage.signal(Signal::TERM);
    assert_eq!(stage.line("draining"), "draining open=1");
    idle.expect_end();
    halfway.expect_gone();
    for client in &mut silent {
        client.expect_gone();
    }
    let ended = stage.wait();
    assert!(ended.line("report").starts_with("report served=1 cut=[]"), "{ended:?}");
    adds_up(&ended, 1, 0, 0);
    assert_eq!(ended.count("cut ") + ended.count("refused "), 0);
}

/// A deadline that has passed when the drain begins.
fn drain_at_once(how: How, endpoint: &str) {
    let stage = Stage::open("proxied-at-once", how, endpoint);
    let mut silent: Vec<_> = (0..5).map(|_| stage.connect()).collect();
    let mut busy = is_in(&stage, 1);
    busy.say("echo ha");
    settled(&stage, "it receives", |facts| crate::in_phase(facts, "receiving") == 1);
    step(&stage, "end");
    busy.expect_gone();
    for client in &mut silent {
        client.expect_gone();
    }
    let ended = stage.wait();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert_eq!((ended.count("cut "), ended.count("closed "), ended.count("refused ")), (1, 1, 0), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=1 cut=["), "{ended:?}");
    assert!(!ended.line("report").contains(", "), "{ended:?}");
}

fn kick(how: How, endpoint: &str) {
    let stage = Stage::open("proxied-kick", how, endpoint);
    let mut silent: Vec<_> = (0..5).map(|_| stage.connect()).collect();
    let mut known = is_in(&stage, 1);
    stage.signal(Signal::USR1);
    assert_eq!(stage.line("kicked "), "kicked 1");
    known.expect_gone();
    for client in &mut silent {
        client.say([&v1(2)[..], b"echo in\n"].concat());
        client.expect("in\n");
    }
    drop(silent);
    let ended = stage.stop();
    // It may be told before the kick is, or behind it, and behind those who left later.
    let told: Vec<_> = ended.lines.iter().filter(|line| line.contains(" reason=kicked ")).collect();
    assert!(matches!(told[..], [one] if one.contains(" peer=192.0.2.1:5001 ")), "{ended:?}");
    adds_up(&ended, 6, 0, 0);
}

/// Its time counts from the header on, and what came with that is a byte.
fn first_byte(how: How, endpoint: &str) {
    let stage = Stage::open("proxied-first-byte", how, endpoint);
    let mut late = stage.connect();
    let mut early = introduced(&stage, v2(1), "echo one\n");
    early.expect("one\n");
    // By the time that this one is gone, the first has waited for longer.
    introduced(&stage, v1(2), "").expect_gone();
    let closed = stage.line("closed ");
    assert!(closed.contains("peer=192.0.2.2:5002 ") && closed.contains(" reason=first-byte "), "{closed}");
    late.say(v1(3));
    stage.line("opened id=1 peer=192.0.2.3:5003");
    late.say("echo late\n");
    late.expect("late\n");
    early.say("echo two\n");
    early.expect("two\n");
    drop((late, early));
    adds_up(&stage.stop(), 3, 0, 0);
}

fn again(how: How, endpoint: &str) {
    let stage = Stage::open("proxied-again", how, endpoint);
    drop(is_in(&stage, 1));
    stage.line("closed ");
    let mut silent = stage.connect();
    step(&stage, "end");
    // Its connection may be the next run's, if it came too late for the first.
    stage.line("again");
    drop(is_in(&stage, 2));
    drop(silent.hear(1));
    drop(silent);
    stage.line("closed ");
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let totals = ended.lines.iter().rfind(|line| line.starts_with("totals")).unwrap();
    assert_eq!(["accepted: ", "closed: ", "open="].map(|name| number(totals, name)), [2, 2, 0]);
}

/// `serve_one` goes on until somebody was served.
fn one(how: How, endpoint: &str) {
    let stage = Stage::open("proxied-serve-one", how, endpoint);
    let mut wrong = stage.connect();
    wrong.say("HELO localhost\r\n");
    wrong.expect_gone();
    stage.line("refused why=bad-header ");
    is_out(&stage, 2, "denied");
    drop(is_in(&stage, 1));
    stage.line("served One");
    let ended = stage.wait();
    assert_eq!((ended.count("opened "), ended.count("refused ")), (1, 2), "{ended:?}");
}

/// A child that had another connection's socket would keep that open.
fn children(how: How, endpoint: &str) {
    let stage = Stage::open("proxied-2s", how, endpoint);
    let mut silent: Vec<_> = (0..3).map(|_| stage.connect()).collect();
    let mut many: Vec<_> = (0..6).map(|_| stage.connect()).collect();
    // All headers are there when the server looks.
    stage.signal(Signal::STOP);
    for (last, client) in many.iter_mut().enumerate() {
        client.say([&v1(last as u8)[..], b"echo in\n"].concat());
    }
    stage.signal(Signal::CONT);
    for client in &mut many {
        client.expect("in\n");
    }
    let sockets = |pid: u32| socketserver_testkit::Process::of(pid).sockets();
    let pids: Vec<u32> = many
        .iter_mut()
        .map(|client| {
            client.say("pid\n");
            let mut line = client.hear(100).unwrap();
            line.pop();
            String::from_utf8(line).unwrap().parse().unwrap()
        })
        .collect();
    for (at, pid) in pids.iter().enumerate() {
        let others = pids.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, pid)| *pid);
        for other in others {
            // What all have is the server's own: as a listener, or what wakes it.
            let both: Vec<_> = sockets(*pid).intersection(&sockets(other)).cloned().collect();
            assert!(both.len() <= shared_by_all(&pids), "{both:?}");
        }
    }
    for client in &mut silent {
        client.expect_gone();
    }
    // From the last to the first: a child was made when those after it were there.
    while let Some(mut client) = many.pop() {
        client.end();
        client.expect_end();
    }
    adds_up(&stage.stop(), 6, 0, 3);
}

fn shared_by_all(pids: &[u32]) -> usize {
    let mut all = pids.iter().map(|pid| socketserver_testkit::Process::of(*pid).sockets());
    let first = all.next().unwrap_or_default();
    all.fold(first, |both, of| both.intersection(&of).cloned().collect()).len()
}
