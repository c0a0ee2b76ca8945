use crate::roles::MIN_RATE;
use crate::{MODELS, Suite, in_phase, number, settled};
use socketserver_testkit::{Client, How, PATIENCE, Stage};
use std::time::{Duration, Instant};

pub(crate) fn add(suite: &mut Suite) {
    suite.tcp("who_dribbles_is_cut_and_who_is_slow_is_not", &[How::Tasks(2), How::Threads(600)], many);
    suite.tcp("who_dribbles_is_cut_and_who_is_slow_is_not", &[How::Forks(80), How::Prefork(4, 80)], some);
    suite.both("a_slow_handler_is_not_held_against_its_peer", &MODELS, slow_handler);
}

/// Clients that send one long line at some rate.
struct Senders {
    clients: Vec<Client>,
    rate: u64,
    since: Instant,
    sent: usize,
}

impl Senders {
    fn new(stage: &Stage, count: usize, rate: u64) -> Self {
        let clients = (0..count).map(|_| stage.connect()).collect();
        Self { clients, rate, since: Instant::now(), sent: 0 }
    }

    /// Sends what is due, if they are still there.
    fn go_on(&mut self) {
        let due = (self.rate as u128 * self.since.elapsed().as_millis() / 1000) as usize;
        let piece = vec![b'x'; due - self.sent];
        self.sent = due;
        for client in &mut self.clients {
            client.say_if_there(&piece);
        }
    }

    /// Ends the lines, and is answered.
    fn end(mut self) {
        for client in &mut self.clients {
            client.say("\n");
        }
        for client in &mut self.clients {
            client.end();
            assert_eq!(client.hear_all().unwrap().len(), self.sent + 1);
        }
    }
}

fn many(how: How, endpoint: &str) {
    slowloris(how, endpoint, 500, 50);
}

fn some(how: How, endpoint: &str) {
    slowloris(how, endpoint, 40, 10);
}

/// Of two sorts of client that take their time over a line, one keeps to the minimum rate and the other does not.
fn slowloris(how: How, endpoint: &str, slow: usize, honest: usize) {
    let stage = Stage::open("min-rate", how, endpoint);
    let mut slow = Senders::new(&stage, slow, MIN_RATE / 2);
    let mut honest = Senders::new(&stage, honest, MIN_RATE * 2);
    let pause = Duration::from_millis(50);
    let give_up = Instant::now() + PATIENCE;
    let ended = |stage: &Stage| -> Vec<String> {
        stage.so_far().into_iter().filter(|line| line.starts_with("closed ")).collect()
    };
    while ended(&stage).len() < slow.clients.len() {
        assert!(Instant::now() < give_up, "{} are cut", ended(&stage).len());
        slow.go_on();
        honest.go_on();
        std::thread::sleep(pause);
    }
    for line in ended(&stage) {
        assert!(line.contains("reason=min-rate "), "{line}");
        assert!(number(&line, "ms=") >= 5000, "{line}");
    }
    for mut client in slow.clients {
        client.expect_gone();
    }
    // Those who come where the slow have been are not taken for them.
    let mut late = Senders::new(&stage, 20, MIN_RATE * 2);
    let until = Instant::now() + Duration::from_secs(2);
    late.since -= Duration::from_millis(500);
    while Instant::now() < until {
        late.go_on();
        honest.go_on();
        std::thread::sleep(pause);
    }
    let before = ended(&stage).len();
    late.end();
    honest.end();
    let told = stage.stop();
    assert_eq!(told.status, Some(0));
    let cut = told.lines.iter().filter(|line| line.contains("reason=min-rate ")).count();
    assert_eq!(cut, before, "one that was honest is among them");
    assert_eq!(told.count("closed "), told.count("opened "));
}

/// A request that has begun to come waits for the handler: for longer than the rate is measured.
fn slow_handler(how: How, endpoint: &str) {
    let stage = Stage::open("min-rate", how, endpoint);
    let mut client = stage.connect();
    client.say("sle");
    settled(&stage, "it has begun", |facts| in_phase(facts, "receiving") == 1);
    client.say("ep 7000\necho m");
    client.expect("sleep\n");
    // Long enough for the server to look, not for it to have waited for too long.
    std::thread::sleep(Duration::from_millis(1500));
    client.say("e\n");
    client.expect("me\n");
    drop(client);
    let line = stage.line("closed ");
    assert!(line.contains("reason=finished "), "{line}");
    assert_eq!(stage.stop().status, Some(0));
}
