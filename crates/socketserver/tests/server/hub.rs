//! Rooms: who is in them, who hears what, and who loses.

use crate::{Reasons, eventually, within};
use socketserver::framing::{FrameError, Framing, Line, Scan, Step};
use socketserver::{
    Channel, Endpoint, ErrorKind, Forks, Hub, HubError, Membership, MessageHandler, Model, Outbox, Overflow, Reason,
    Result, Running, Serial, Server, Tasks, Threads, blocking, client,
};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// `+room` and `-room` are answered with how many are in it then, or why not; `room words` is said to all in it, `!room words`
/// to all others.
struct Rooms(Hub);

impl MessageHandler for Rooms {
    type State = HashMap<String, Membership>;

    fn open(&self, _: &mut Channel) -> Result<Self::State> {
        Ok(HashMap::new())
    }

    fn message(&self, rooms: &mut Self::State, line: &[u8], c: &mut Channel) -> Result {
        let line = std::str::from_utf8(line)?;
        let count = |room: &str| self.0.members(room).len().to_string();
        if let Some(room) = line.strip_prefix('+') {
            match self.0.join(room, c) {
                Ok(membership) => drop(rooms.insert(room.to_owned(), membership)),
                Err(error) => return Ok(c.send(error.to_string().as_bytes())?),
            }
            c.send(count(room).as_bytes())?;
        } else if let Some(room) = line.strip_prefix('-') {
            drop(rooms.remove(room));
            c.send(count(room).as_bytes())?;
        } else if let Some((room, words)) = line.strip_prefix('!').and_then(|line| line.split_once(' ')) {
            rooms[room].publish_to_others(words.as_bytes());
        } else if let Some((room, words)) = line.split_once(' ') {
            self.0.publish(room, words.as_bytes());
        } else {
            panic!("{line}");
        }
        Ok(())
    }

    fn hub(&self) -> Option<&Hub> {
        Some(&self.0)
    }
}

fn rooms(model: impl Model + Send + 'static) -> (Running, Hub) {
    let hub = Hub::new();
    let handler = Rooms(hub.clone()).framed(Line::new());
    (Server::bind("tcp://127.0.0.1:0").unwrap().spawn(model, handler).unwrap(), hub)
}

struct Peer(blocking::Stream);

impl Peer {
    fn of(server: &Running) -> Self {
        Self(client::connect(&server.handle().endpoints()[0]).unwrap())
    }

    fn say(&mut self, line: &str) {
        self.0.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    #[track_caller]
    fn hears(&mut self, line: &str) {
        assert_eq!(self.0.read_line(100_000).unwrap().as_deref(), Some(line));
    }

    #[track_caller]
    fn asks(&mut self, line: &str, answer: &str) {
        self.say(line);
        self.hears(answer);
    }
}

/// Both are models with a hub: shards, and threads.
fn each_model(test: fn(Running, Hub)) {
    for (server, hub) in [rooms(Tasks::new(2)), rooms(Threads::default())] {
        within("peers in rooms", move || test(server, hub));
    }
}

#[test]
fn who_is_in_a_room_hears_what_is_said_there() {
    each_model(|server, hub| {
        let [mut ada, mut bob, mut eve] = [(); 3].map(|()| Peer::of(&server));
        ada.asks("+one", "1");
        bob.asks("+one", "2");
        eve.asks("+one", "3");
        eve.asks("+two", "1");
        let mut there = hub.rooms();
        there.sort();
        assert_eq!(there, [("one".to_owned(), 3), ("two".to_owned(), 1)]);
        ada.say("one hello");
        [&mut ada, &mut bob, &mut eve].into_iter().for_each(|peer| peer.hears("hello"));
        bob.say("!one hi");
        [&mut ada, &mut eve].into_iter().for_each(|peer| peer.hears("hi"));
        // Who is in two rooms hears both, and nobody else does; nor did who said it to others hear himself.
        bob.say("two psst");
        eve.hears("psst");
        bob.asks("-one", "2");
        eve.say("one he has gone");
        [&mut ada, &mut eve].into_iter().for_each(|peer| peer.hears("he has gone"));
        bob.asks("+three", "1");
        assert_eq!(hub.publish("one", *b"from elsewhere"), 2);
        assert_eq!(hub.publish("nowhere", *b"into the void"), 0);
        [&mut ada, &mut eve].into_iter().for_each(|peer| peer.hears("from elsewhere"));
        // To one alone, and who that is.
        let members = hub.members("one");
        assert_eq!(members.iter().map(|member| member.id).collect::<Vec<_>>(), [1, 3]);
        assert!(members[0].peer.addr().is_some_and(|addr| addr.ip().is_loopback()));
        members[0].outbox.push(*b"whispered").unwrap();
        ada.hears("whispered");
        assert_eq!(hub.members("two")[0].number, members[1].number);
        assert!(hub.members("nowhere").is_empty());
        server.stop().unwrap();
        assert!(hub.rooms().is_empty());
    });
}

#[test]
fn whoever_is_gone_however_is_in_no_room() {
    each_model(|server, hub| {
        let at = |count| move |hub: &Hub| hub.rooms().first().map_or(0, |(_, members)| *members) == count;
        let mut peers: Vec<Peer> = (1..=5).map(|_| Peer::of(&server)).collect();
        for (before, peer) in peers.iter_mut().enumerate() {
            peer.asks("+room", &(before + 1).to_string());
        }
        let mut next = || peers.pop().unwrap();
        drop(next());
        eventually(|| at(4)(&hub));
        next().say("panic");
        eventually(|| at(3)(&hub));
        next().0.write_all(b"not UTF-8: \xff\n").unwrap();
        eventually(|| at(2)(&hub));
        assert!(server.handle().kick(hub.members("room")[1].id));
        eventually(|| at(1)(&hub));
        next();
        next().hears_nothing_but_the_end(&server);
        eventually(|| hub.rooms().is_empty());
        server.stop().unwrap();
    });
}

impl Peer {
    /// The server stops, and says no more.
    fn hears_nothing_but_the_end(mut self, server: &Running) {
        server.handle().shutdown();
        assert_eq!(self.0.read_line(100).unwrap(), None);
    }
}

#[test]
fn whoever_is_in_a_room_twice_hears_once_and_leaves_twice() {
    let hub = Hub::new().max_joined(1);
    let (tell, told) = channel();
    let clone = hub.clone();
    let twice = move |_: &[u8], c: &mut Channel| {
        let both = [clone.join("room", c)?, clone.join("room", c)?];
        assert_eq!(clone.members("room").len(), 1);
        Ok(tell.send(both)?)
    };
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().spawn(Tasks::new(1), twice.framed(Line::new())).unwrap();
    let mut peer = Peer::of(&server);
    peer.say("in");
    let [one, other] = told.recv().unwrap();
    assert_eq!((one.room(), one.number()), ("room", other.number()));
    assert_eq!(one.publish(*b"hello"), 1);
    drop(one);
    assert_eq!(other.publish_to_others(*b"to nobody"), 0);
    assert_eq!(other.publish(*b"once"), 1);
    peer.hears("hello");
    peer.hears("once");
    // One that outlives its channel reaches nobody, and is listed nowhere.
    drop(peer);
    server.stop().unwrap();
    assert_eq!((other.publish(*b"late"), other.hub().members("room").len()), (0, 0));
    drop(other);
    assert!(hub.rooms().is_empty());
}

#[test]
fn what_one_says_is_heard_in_its_order() {
    const ROUNDS: usize = 40;
    const LINES: usize = 50;
    each_model(|server, _| {
        let mut peers: Vec<Peer> = (0..20).map(|_| Peer::of(&server)).collect();
        for (before, peer) in peers.iter_mut().enumerate() {
            peer.asks("+room", &(before + 1).to_string());
        }
        for round in 0..ROUNDS {
            // Two of them speak at a time.
            for (peer, name) in peers.iter_mut().zip(['a', 'b']) {
                let lines = (round * LINES..(round + 1) * LINES).map(|at| format!("room {name}{at}\n"));
                peer.0.write_all(lines.collect::<String>().as_bytes()).unwrap();
            }
            for peer in &mut peers {
                let mut next = HashMap::from(["a", "b"].map(|name| (name, round * LINES)));
                for _ in 0..2 * LINES {
                    let line = peer.0.read_line(100).unwrap().unwrap();
                    let next = next.get_mut(&line[..1]).unwrap();
                    assert_eq!(line[1..].parse(), Ok(*next));
                    *next += 1;
                }
            }
        }
        server.stop().unwrap();
    });
}

/// One member reads nothing, others read everything: what becomes of the one is for the policy to say, and of the others
/// nothing.
fn one_stalls(model: impl Model + Send + 'static, at: &str, policy: Overflow) {
    const MESSAGE: usize = 8 * 1024;
    const MESSAGES: usize = 200;
    let hub = Hub::new();
    let reasons = Arc::new(Reasons::default());
    let handler = Rooms(hub.clone()).framed(Line::new()).outbox(16, 1 << 20).overflow(policy);
    let server = Server::bind(at).unwrap().observe(reasons.clone()).spawn(model, handler).unwrap();
    let mut peers: Vec<Peer> = (0..20).map(|_| Peer::of(&server)).collect();
    let mut stalled = Peer::of(&server);
    peers.iter_mut().enumerate().for_each(|(before, peer)| peer.asks("+room", &(before + 1).to_string()));
    stalled.asks("+room", "21");
    let outbox = hub.members("room").pop().unwrap().outbox;
    let message = |number: usize| format!("{number:0MESSAGE$}");
    let mut reached = 0;
    for number in 0..MESSAGES {
        reached += hub.publish("room", message(number).into_bytes());
        peers.iter_mut().for_each(|peer| peer.hears(&message(number)));
    }
    let mut heard = Vec::new();
    match policy {
        Overflow::Disconnect => {
            eventually(|| hub.members("room").len() == peers.len());
            // What left before is there, and a message is not cut in two but by the end.
            while let Ok(Some(line)) = stalled.0.read_line(2 * MESSAGE) {
                heard.push(line);
            }
            assert!(outbox.is_closed());
            assert_eq!(*reasons.0.lock().unwrap(), [Reason::Overflow]);
            assert!(heard.len() < MESSAGES && reached < 21 * MESSAGES, "{} heard, {reached} reached", heard.len());
        }
        _ => {
            let lost = usize::try_from(outbox.dropped()).unwrap();
            let newest = message(if policy == Overflow::DropOldest { MESSAGES - 1 } else { MESSAGES - lost - 1 });
            while heard.last() != Some(&newest) {
                heard.push(stalled.0.read_line(2 * MESSAGE).unwrap().unwrap());
            }
            assert!(lost > 0);
            assert_eq!(heard.len(), MESSAGES - lost);
            assert_eq!(reached, 21 * MESSAGES - if policy == Overflow::DropNewest { lost } else { 0 });
            assert!(heard.is_sorted());
        }
    }
    let all: Vec<String> = (0..MESSAGES).map(message).collect();
    assert!(policy == Overflow::DropOldest || all.starts_with(&heard[..heard.len().saturating_sub(1)]));
    drop((peers, stalled));
    server.stop().unwrap();
}

#[test]
fn a_member_that_stops_reading_loses_by_policy_and_the_others_nothing() {
    for policy in [Overflow::Disconnect, Overflow::DropOldest, Overflow::DropNewest] {
        within("members beside one that stalls", move || {
            // Their queues have one size, so it is known what is too much.
            one_stalls(Tasks::new(2), "unix:@socketserver-test-hub-tasks", policy);
            one_stalls(Threads::default(), "unix:@socketserver-test-hub-threads", policy);
        });
    }
}

/// Much more at once than an outbox holds: those who read are no slow members for that.
#[test]
fn who_says_much_at_once_costs_nobody_anything() {
    const LINES: usize = 20_000;
    for (messages, bytes) in [(1024, 1 << 20), (8, 1 << 20), (1 << 20, 64)] {
        within("much at once", move || {
            let handler = Rooms(Hub::new()).framed(Line::new()).outbox(messages, bytes);
            let server = Server::bind("tcp://127.0.0.1:0").unwrap().spawn(Tasks::new(1), handler).unwrap();
            let mut peers: Vec<Peer> = (0..10).map(|_| Peer::of(&server)).collect();
            peers.iter_mut().enumerate().for_each(|(before, peer)| peer.asks("+room", &(before + 1).to_string()));
            let threads: Vec<_> = peers
                .into_iter()
                .enumerate()
                .map(|(index, peer)| {
                    std::thread::spawn(move || {
                        let (reading, mut writing) = peer.0.split().unwrap();
                        if index == 0 {
                            let lines: String = (0..LINES).map(|number| format!("room {number}\n")).collect();
                            std::thread::spawn(move || writing.write_all(lines.as_bytes()).unwrap());
                        }
                        let lines = BufReader::new(reading).lines().take(LINES);
                        let heard = lines.map(|line| line.unwrap().parse::<usize>().unwrap());
                        assert!(heard.eq(0..LINES));
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            server.stop().unwrap();
        });
    }
}

/// Lines. For each `more` that leaves another one is pushed, so that there is always one.
struct Flood(Arc<OnceLock<Outbox>>);

impl Framing for Flood {
    fn decode(&self, input: &[u8], scan: &mut Scan) -> std::result::Result<Step, FrameError> {
        Line::new().decode(input, scan)
    }
    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> std::result::Result<(), FrameError> {
        if let (b"more", Some(outbox)) = (message, self.0.get()) {
            let _ = outbox.push(*b"more");
        }
        Line::new().encode(message, out)
    }
    fn max_message(&self) -> usize {
        Line::new().max_message()
    }
}

fn heard_in_a_flood(model: impl Model + Send + 'static) {
    let flooded = Arc::new(OnceLock::new());
    let framing = Flood(flooded.clone());
    let handler = move |line: &[u8], c: &mut Channel| {
        flooded.get_or_init(|| c.outbox());
        Ok(c.send(line)?)
    };
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().spawn(model, handler.framed(framing)).unwrap();
    let mut peer = Peer::of(&server);
    peer.asks("there?", "there?");
    peer.asks("more", "more");
    for _ in 0..3 {
        peer.hears("more");
        peer.say("still there?");
        while peer.0.read_line(100).unwrap().unwrap() == "more" {}
    }
    drop(peer);
    server.stop().unwrap();
}

#[test]
fn whoever_is_pushed_to_without_end_is_heard() {
    within("a peer in a flood", || {
        heard_in_a_flood(Serial::default());
        heard_in_a_flood(Threads::default());
        heard_in_a_flood(Tasks::new(1));
    });
}

#[test]
fn names_and_numbers_of_rooms_are_bounded() {
    let hub = Hub::new().max_rooms(3).max_joined(2);
    let handler = Rooms(hub.clone()).framed(Line::new());
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().spawn(Tasks::new(1), handler).unwrap();
    let [mut ada, mut bob] = [(); 2].map(|()| Peer::of(&server));
    let longest = "x".repeat(Hub::MAX_NAME);
    ada.asks(&format!("+{longest}x"), &HubError::NameTooLong(257).to_string());
    ada.asks(&format!("+{longest}"), "1");
    ada.asks("+a", "1");
    ada.asks("+a", "1");
    ada.asks("+b", "the channel is in 2 rooms, and may be in no more (`Hub::max_joined`)");
    bob.asks("+b", "1");
    bob.asks("+c", "there are 3 rooms, and there may be no more (`Hub::max_rooms`)");
    bob.asks("+a", "2");
    ada.asks("-a", "1");
    ada.asks("+b", "2");
    ada.asks(&format!("-{longest}"), "0");
    ada.asks("+c", "1");
    drop((ada, bob));
    server.stop().unwrap();
    assert!(hub.rooms().is_empty());
}

#[test]
fn peers_over_packets_and_over_streams_share_a_room() {
    let hub = Hub::new();
    let handler = Rooms(hub.clone()).framed(Line::new());
    let server =
        Server::bind(["tcp://127.0.0.1:0", "udp://127.0.0.1:0"]).unwrap().spawn(Tasks::new(2), handler).unwrap();
    let mut one = Peer::of(&server);
    one.asks("+room", "1");
    let Endpoint::Udp { port, .. } = server.handle().endpoints()[1] else { unreachable!() };
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    other.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    other.connect(("127.0.0.1", port)).unwrap();
    let hears = |words: &str| {
        let mut heard = [0; 100];
        let count = other.recv(&mut heard).unwrap();
        assert_eq!(&heard[..count], words.as_bytes());
    };
    other.send(b"+room").unwrap();
    hears("2");
    assert_eq!(hub.members("room")[1].peer.addr(), Some(other.local_addr().unwrap()));
    other.send(b"!room hello").unwrap();
    one.hears("hello");
    one.say("room goodbye");
    hears("goodbye");
    one.hears("goodbye");
    drop(one);
    server.stop().unwrap();
    assert!(hub.rooms().is_empty());
}

const SERIAL: &str = "`Serial` has no hub: it serves one peer at a time, so nobody else is ever in a room; `Threads` and \
                      `Tasks` have one";
const FORKS: &str = "`Forks` has no hub: its children share no memory, so no peer reaches one in another child; `Threads` \
                     and `Tasks` have one";

#[test]
fn models_without_a_hub_refuse_whoever_says_that_it_has_one() {
    let mut server = Server::bind("tcp://127.0.0.1:0").unwrap();
    let handler = || Arc::new(Rooms(Hub::new())).framed(Line::new());
    let refused = [
        (SERIAL, server.serve(Serial::default(), handler()).unwrap_err()),
        (SERIAL, server.serve_one(handler(), Duration::ZERO).unwrap_err()),
        (FORKS, server.serve(Forks::new(2), handler()).unwrap_err()),
        (FORKS, server.serve(Forks::new(2).prefork(1), handler()).unwrap_err()),
    ];
    for (why, error) in refused {
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unsupported, why));
    }
}

#[test]
fn whoever_did_not_say_so_is_refused_when_it_joins() {
    let hub = Hub::new();
    let join = move |room: &[u8], c: &mut Channel| {
        let joined = hub.join(std::str::from_utf8(room)?, c);
        Ok(c.send(joined.map_or_else(|error| error.to_string(), |room| room.room().to_owned()).as_bytes())?)
    };
    let join = Arc::new(join);
    let mut endpoint = Server::bind("tcp://127.0.0.1:0").unwrap();
    // The same server with one model after the other.
    for (model, answer) in [("serial", SERIAL), ("threads", "room")] {
        let mut peer = Peer(client::connect(&endpoint.endpoints()[0]).unwrap());
        peer.say("room");
        peer.0.close_write().unwrap();
        let handle = endpoint.handle();
        let listening = std::thread::spawn(move || {
            let answer = peer.0.read_line(1000).unwrap();
            handle.shutdown();
            answer
        });
        match model {
            "serial" => endpoint.serve(Serial::default(), join.clone().framed(Line::new())).unwrap(),
            _ => endpoint.serve(Threads::default(), join.clone().framed(Line::new())).unwrap(),
        };
        assert_eq!(listening.join().unwrap().as_deref(), Some(answer));
    }
}
