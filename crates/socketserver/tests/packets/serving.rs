use crate::{MODELS, Suite, is_alive};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use socketserver::Endpoint;
use socketserver_sys::Outbox;
use socketserver_testkit::{Caller, Carrier, How, LeakCheck, Process, Stage};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU16, Ordering};

pub(crate) fn add(suite: &mut Suite) {
    suite.packets("three_clients_are_answered_and_nothing_is_left", &MODELS, three_clients);
    suite.packets("close_without_a_packet", &MODELS, close_without_a_packet);
    suite.packets("stopped_before_it_serves", &MODELS, early);
    suite.packets("the_same_server_serves_again", &MODELS, twice);
    suite.packets("twenty_servers_back_to_back_on_the_same_address", &MODELS, back_to_back);
    suite.packets("facts_of_a_packet", &MODELS, facts);
    suite.packets("several_replies_to_a_packet", &MODELS, several_replies);
    suite.udp("a_reply_elsewhere_comes_from_the_same_socket", &MODELS, elsewhere);
    suite.packets("an_empty_packet_is_handled_and_nothing_is_sent_by_itself", &MODELS, empty);
    suite.packets("large_packets_are_whole", &MODELS, large);
    suite.add("a_packet_that_was_cut_is_told_and_counted", &MODELS, &[Carrier::Unixgram], cut);
    suite.packets("every_goes_on_after_failures", &MODELS, every);
    suite.packets("suspended_packets_wait", &MODELS, suspended);
    suite.udp("packets_that_the_system_dropped_are_counted_once", &MODELS, overflow);
    suite.udp("trains_are_handled_packet_by_packet", &MODELS, trains);
    suite.packets("waits_survive_signals", &MODELS, interrupted);
}

/// Begins when the server has answered once: so it has all that it serves with, also where a shard has not been asked yet.
fn leak_check(stage: &Stage) -> LeakCheck {
    is_alive(stage);
    stage.leak_check()
}

fn three_clients(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    if let Endpoint::Udp { port, .. } = stage.endpoint() {
        assert_ne!(*port, 0);
    }
    let check = leak_check(&stage);
    for name in ["Ada", "Bob", "Cid"] {
        // It hears nobody but the address that is said to be the server's.
        let caller = stage.caller();
        assert_eq!(caller.ask(format!("echo {name}")), name.as_bytes());
        assert_eq!(caller.ask(format!("echo {name} again")), format!("{name} again").as_bytes());
    }
    check.end();
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=0 cut=[]"), "{ended:?}");
    assert_eq!(
        ended.line("packets"),
        "packets received=7 replies=7 failed=0 unwelcome=0 truncated=0 overflowed=0 unsent=0"
    );
    if let Some(path) = endpoint.strip_prefix("unixgram:") {
        assert!(!std::path::Path::new(path).exists());
    }
}

fn close_without_a_packet(how: How, endpoint: &str) {
    let ended = Stage::open("script", how, endpoint).stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=0 cut=[]"), "{ended:?}");
    assert_eq!(ended.count("packets"), 0, "{ended:?}");
}

fn early(how: How, endpoint: &str) {
    let ended = Stage::open("early", how, endpoint).wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

fn twice(how: How, endpoint: &str) {
    let stage = Stage::open("twice", how, endpoint);
    for run in 0..2 {
        if run > 0 {
            // What comes a moment earlier may still be the run's before.
            stage.line("listening");
        }
        let caller = stage.caller();
        assert_eq!(caller.ask("echo served"), b"served");
        assert_eq!(caller.ask("stop"), b"stopping");
    }
    let ended = stage.wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("packets").starts_with("packets received=4 replies=4 failed=0"), "{ended:?}");
}

fn back_to_back(how: How, endpoint: &str) {
    // Between two of them anybody could be given the port: so it is none of those that are given, on an address of our own.
    static PORT: AtomicU16 = AtomicU16::new(20_000);
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let own = format!("udp://127.{}.{b}.{c}:{}", 64 | a, PORT.fetch_add(1, Ordering::SeqCst));
    let endpoint = if endpoint.starts_with("udp") { &own } else { endpoint };
    let stage = Stage::open("back-to-back", how, endpoint);
    for _ in 0..19 {
        assert_eq!(stage.line("listening "), format!("listening {endpoint}"));
    }
    is_alive(&stage);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

fn facts(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    for _ in 0..2 {
        let caller = stage.caller();
        let (peer, local) = match caller.local() {
            Some(local) => (local.to_string(), "Some(127.0.0.1)"),
            None => {
                let (pid, uid, gid) = (std::process::id(), rustix::process::geteuid(), rustix::process::getegid());
                (format!("unix:pid={pid},uid={},gid={}", uid.as_raw(), gid.as_raw()), "None")
            }
        };
        let facts = caller.ask("facts");
        assert_eq!(String::from_utf8(facts).unwrap(), format!("0 {peer} {local} false"));
    }
    assert_eq!(stage.stop().status, Some(0));
}

fn several_replies(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let callers = [stage.caller(), stage.caller()];
    for caller in &callers {
        caller.send("three of them");
    }
    for caller in &callers {
        for at in 1..=3 {
            caller.expect(format!("{at} of them"));
        }
        // No more than these.
        assert_eq!(caller.ask("echo after"), b"after");
    }
    let ended = stage.stop();
    assert!(ended.line("packets").starts_with("packets received=4 replies=8 "), "{ended:?}");
}

fn elsewhere(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    // Connected to the server: it hears nobody else, and no other port.
    let other = stage.caller();
    let caller = stage.caller();
    assert_eq!(caller.ask(format!("elsewhere {} for you", other.local().unwrap())), b"sent");
    other.expect("for you");
    assert_eq!(stage.stop().status, Some(0));
}

fn empty(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let caller = stage.caller();
    for (packet, told) in [("", "handled 0 bytes"), ("silence", "silence")] {
        caller.send(packet);
        stage.line(told);
    }
    // The first that it hears; and one that the handler does send is as empty.
    assert_eq!(caller.ask("echo first"), b"first");
    assert_eq!(caller.ask("nothing"), b"");
    assert_eq!(caller.ask("echo last"), b"last");
    let ended = stage.stop();
    assert!(ended.line("packets").starts_with("packets received=5 replies=3 failed=0"), "{ended:?}");
}

fn large(how: How, endpoint: &str) {
    let stage = Stage::open("large", how, endpoint);
    let caller = stage.caller();
    // As large as UDP over IPv4 can be; over Unix sockets, as large as there is room for.
    let size = if endpoint.starts_with("udp") { 65_507 } else { 65_535 };
    for size in [size, size - 1, 1] {
        let packet: Vec<u8> = (0..250_u8).cycle().take(size).collect();
        caller.send(&packet);
        caller.expect(format!("{size} false"));
        caller.expect(&packet);
    }
    let ended = stage.stop();
    assert!(ended.line("packets").contains(" truncated=0 "), "{ended:?}");
}

fn cut(how: How, endpoint: &str) {
    let stage = Stage::open("large", how, endpoint);
    let caller = stage.caller();
    for _ in 0..2 {
        let packet: Vec<u8> = (0..250_u8).cycle().take(65_536).collect();
        caller.send(&packet);
        caller.expect("65535 true");
        caller.expect(&packet[..65_535]);
    }
    assert_eq!(caller.ask("whole"), b"5 false");
    caller.expect("whole");
    let ended = stage.stop();
    assert!(ended.line("packets").starts_with("packets received=3 replies=6 failed=0"), "{ended:?}");
    assert!(ended.line("packets").contains(" truncated=2 "), "{ended:?}");
}

fn every(how: How, endpoint: &str) {
    let stage = Stage::open("every", how, endpoint);
    stage.line("hook_failed every the first turn failed");
    stage.line("hook_failed every panicked: the second turn panicked");
    stage.line("third turn, packets=0");
    is_alive(&stage);
    assert_eq!(stage.stop().status, Some(0));
}

/// A thread that was between its look at that and the call that receives may have a packet that came meanwhile.
const LOOKED: &str = "whoever was about to receive when it was suspended has looked";

fn suspended(how: How, endpoint: &str) {
    let stage = Stage::open("steered", how, endpoint);
    let caller = stage.caller();
    for by_hand in [false, true] {
        assert_eq!(caller.ask("is-suspended"), b"false");
        if by_hand {
            // From a handler: in a child, where there are children.
            assert_eq!(caller.ask("suspend"), b"suspended");
        } else {
            stage.signal(Signal::USR1);
            stage.line("suspended");
        }
        stage.process().settles(LOOKED, Process::waits);
        caller.send("is-suspended");
        // It has been there for a while.
        for _ in 0..5 {
            stage.line("still suspended");
        }
        stage.signal(Signal::USR2);
        stage.line("resumed");
        caller.expect("false");
    }
    // A stop is heard all the same.
    stage.signal(Signal::USR1);
    stage.line("suspended");
    stage.process().settles(LOOKED, Process::waits);
    caller.send("echo nobody is told");
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("packets").starts_with("packets received=5 replies=5 "), "{ended:?}");
}

/// The queue has room for some hundred; the rest is dropped, and the packets that come later tell how many.
fn overflow(how: How, endpoint: &str) {
    let stage = Stage::open("steered", how, endpoint);
    let caller = stage.caller();
    let mut sent = 0;
    for _ in 0..2 {
        assert_eq!(caller.ask("suspend"), b"suspended");
        for _ in 0..2000 {
            caller.send("ignore".to_owned() + &" ".repeat(1000));
        }
        stage.signal(Signal::USR2);
        stage.line("resumed");
        sent += 2001 + asks_until_heard(&caller);
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let number = |name: &str| {
        let (_, rest) = ended.line("packets").split_once(name).unwrap();
        rest.split(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let (received, overflowed) = (number(" received="), number(" overflowed="));
    assert!(overflowed > 1000, "{ended:?}");
    assert_eq!(received + overflowed, sent, "{ended:?}");
}

/// While the queue is full a packet is lost without a word: this sends until the last is answered, and tells how many.
fn asks_until_heard(caller: &Caller) -> usize {
    let soon = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    for at in 1..1000 {
        caller.send(format!("echo {at}"));
        while poll(&mut [PollFd::new(caller, PollFlags::IN)], Some(&soon)).unwrap() > 0 {
            if caller.hear().unwrap() == at.to_string().as_bytes() {
                return at;
            }
        }
    }
    panic!("the queue does not come empty");
}

/// Many packets that look like trains make the server ask for trains; of those that come then each packet is handled and
/// answered, also where they are looked at in one process and handled in another.
fn trains(how: How, endpoint: &str) {
    let stage = Stage::open("steered", how, endpoint);
    let callers = [stage.caller(), stage.caller()];
    for _ in 0..3 {
        stage.signal(Signal::USR1);
        stage.line("suspended");
        for caller in &callers {
            let mut outbox = Outbox::default();
            for at in 10..60 {
                outbox.join(at > 10);
                outbox.push(format!("echo {at}").as_bytes(), None, None);
            }
            assert!(outbox.send(caller, |_, error| panic!("{error}")));
        }
        stage.signal(Signal::USR2);
        stage.line("resumed");
        for caller in &callers {
            let heard: BTreeSet<_> = (10..60).map(|_| String::from_utf8(caller.hear().unwrap()).unwrap()).collect();
            assert_eq!(heard, (10..60).map(|at| at.to_string()).collect());
        }
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("packets").starts_with("packets received=300 replies=300 failed=0 "), "{ended:?}");
}

/// A signal ends a call that waits, and not the server.
fn interrupted(how: How, endpoint: &str) {
    let stage = Stage::open("steered", how, endpoint);
    let caller = stage.caller();
    for at in 0..50 {
        stage.signal(Signal::USR2);
        assert_eq!(caller.ask(format!("echo {at}")), at.to_string().as_bytes());
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
}
