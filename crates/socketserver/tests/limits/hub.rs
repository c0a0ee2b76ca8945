//! Rooms: what a member that does not read costs, and whom; and models that have none.

use crate::{Suite, number};
use socketserver::{Channel, Hub, Membership, MessageHandler, Overflow, Report, Result, Server, framing::Line};
use socketserver_testkit::{Carrier, Cast, Client, How, PATIENCE, Stage};
use std::time::Instant;

pub(crate) fn add(suite: &mut Suite) {
    // Over Unix sockets it is known how much the system holds of what nobody reads: little.
    suite.add("a_member_that_stops_reading_is_cut", &[How::Tasks(2)], &[Carrier::Unix], |how, at| {
        stalls(1000, how, at, "chat")
    });
    suite.add("a_member_that_stops_reading_is_cut", &[How::Threads(200)], &[Carrier::Unix], |how, at| {
        stalls(100, how, at, "chat")
    });
    suite.add("a_member_that_stops_reading_loses", &[How::Tasks(2)], &[Carrier::Unix], |how, at| {
        stalls(1000, how, at, "chat-drops")
    });
    suite.add("a_member_that_stops_reading_loses", &[How::Threads(200)], &[Carrier::Unix], |how, at| {
        stalls(100, how, at, "chat-drops")
    });
    suite.both("there_is_no_hub", &[How::Serial, How::Forks(2), How::Prefork(1, 2)], no_hub);
}

const MESSAGE: usize = 16 * 1024;
/// 2.5 MiB: many times what the system holds, 200 KiB or so, and what an outbox does.
const MESSAGES: usize = 160;
const OUTBOX: usize = 256 * 1024;

/// What one says the others hear.
struct Chat(Hub);

impl MessageHandler for Chat {
    type State = Membership;

    fn open(&self, c: &mut Channel) -> Result<Membership> {
        c.send(b"welcome")?;
        Ok(self.0.join("room", c)?)
    }

    fn message(&self, room: &mut Membership, line: &[u8], _: &mut Channel) -> Result {
        room.publish_to_others(line);
        Ok(())
    }

    fn hub(&self) -> Option<&Hub> {
        Some(&self.0)
    }
}

pub(crate) fn chat(cast: &Cast, mut server: Server, overflow: Overflow) -> Result<Report> {
    let handler = Chat(Hub::new()).framed(Line::new().max(2 * MESSAGE)).outbox(1024, OUTBOX).overflow(overflow);
    cast.serve_any(&mut server, handler)
}

/// A handler that does not say that it uses a hub.
pub(crate) fn silent(cast: &Cast, mut server: Server) -> Result<Report> {
    let hub = Hub::new();
    let join = move |room: &[u8], c: &mut Channel| {
        let joined = hub.join(std::str::from_utf8(room)?, c).map(|_| "joined".to_owned());
        Ok(c.send(joined.unwrap_or_else(|error| error.to_string()).as_bytes())?)
    };
    cast.serve_any(&mut server, join.framed(Line::new()))
}

/// Of so many members one reads nothing. The others hear everything, and the server holds no more of it than an outbox may.
fn stalls(members: usize, how: How, endpoint: &str, role: &str) {
    let stage = Stage::open(role, how, endpoint);
    let join = || {
        let mut client = stage.connect();
        client.expect("welcome\n");
        client
    };
    let mut publisher = join();
    let mut stalled = join();
    let mut others: Vec<Client> = (1..members).map(|_| join()).collect();
    let message = |number: usize| format!("{number:0MESSAGE$}\n");
    let mut publish = |number: usize| {
        let message = message(number);
        publisher.say(&message);
        others.iter_mut().for_each(|client| client.expect(&message));
    };
    // What they are served with is there, and so is what the system holds of what is not read.
    let warm = MESSAGES / 8;
    (0..warm).for_each(&mut publish);
    let before = stage.process().resident();
    let mut most = before;
    for number in warm..MESSAGES {
        publish(number);
        most = most.max(stage.process().resident());
    }
    assert!(most - before < 1 << 20, "it has grown by {} bytes", most - before);
    if role == "chat" {
        let closed = stage.line("closed ");
        assert!(closed.contains("reason=overflow "), "{closed}");
        // What was sent to it before.
        stalled.expect(message(0));
        stalled.expect_gone();
    } else {
        let mut heard = Vec::new();
        let newest = message(MESSAGES - 1);
        let give_up = Instant::now() + PATIENCE;
        while !heard.ends_with(newest.as_bytes()) {
            heard.extend(stalled.hear(1 << 20).unwrap());
            assert!(Instant::now() < give_up);
        }
        // Whole messages, some of the first and the last.
        let numbers: Vec<usize> =
            std::str::from_utf8(&heard).unwrap().lines().map(|line| line.parse().unwrap()).collect();
        assert!(numbers[0] == 0 && numbers.is_sorted() && numbers.len() < MESSAGES / 2, "{numbers:?}");
        assert!(!stage.so_far().iter().any(|line| line.starts_with("closed ")));
    }
    drop((others, stalled));
    let told = stage.stop();
    assert_eq!(told.status, Some(0));
    assert_eq!(told.count("closed "), members + 1);
}

fn no_hub(how: How, endpoint: &str) {
    let stage = Stage::open("silent-hub", how, endpoint);
    for _ in 0..2 {
        let mut client = stage.connect();
        client.say("room\n");
        client.end();
        let answer = String::from_utf8(client.hear_all().unwrap()).unwrap();
        let model = if how == How::Serial { "`Serial`" } else { "`Forks`" };
        assert!(answer.starts_with(&format!("{model} has no hub: ")), "{answer}");
    }
    let told = stage.stop();
    assert_eq!((told.status, number(told.line("report "), "served=")), (Some(0), 2));
}
