use crate::{MODELS, PARALLEL, Suite};
use rustix::process::{Signal, getegid, geteuid};
use socketserver::Endpoint;
use socketserver_testkit::{How, Process, Stage};

pub(crate) fn add(suite: &mut Suite) {
    suite.both("three_clients_are_served_and_nothing_is_left", &MODELS, three_clients);
    suite.both("close_without_a_request", &MODELS, close_without_a_request);
    suite.both("a_write_is_visible_without_flush", &MODELS, visible_without_flush);
    suite.both("millions_of_bytes_survive_signals", &MODELS, bulk);
    suite.both("waits_survive_signals", &MODELS, interrupted);
    suite.both("the_last_reply_survives_unread_input", &MODELS, last_reply);
    suite.both("the_same_server_serves_again", &MODELS, twice);
    suite.both("twenty_servers_back_to_back", &MODELS, back_to_back);
    suite.both("stopped_before_it_serves", &MODELS, early);
    suite.tcp("every_goes_on_after_failures", &MODELS, every);
    suite.both("input_in_pieces_and_in_heaps", &MODELS, pieces);
    suite.both("connections_are_served_at_a_time", &PARALLEL, parallel);
    suite.both("facts_of_a_connection", &MODELS, facts);
    suite.tcp("a_small_stack_is_enough", &[How::Threads(4)], small_stack);
    suite.tcp("threads_end_when_idle", &[How::Threads(8)], threads_end);
}

fn three_clients(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    if let Endpoint::Tcp { port, .. } = stage.endpoint() {
        assert_ne!(*port, 0);
    }
    let mut check = None;
    for name in ["Ada", "Bob", "Cid"] {
        let mut client = stage.connect();
        client.say(format!("echo {name}\n"));
        client.expect(format!("{name}\n"));
        client.end();
        client.expect_end();
        stage.line("closed ");
        // It has all that it serves with.
        check.get_or_insert_with(|| stage.leak_check());
    }
    check.unwrap().end();
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=3 cut=[]"), "{ended:?}");
    assert_eq!(ended.count("closed "), 3);
    assert_eq!(ended.lines.iter().filter(|line| line.contains("reason=finished")).count(), 3, "{ended:?}");
    if let Some(path) = endpoint.strip_prefix("unix:") {
        assert!(!std::path::Path::new(path).exists());
    }
}

fn close_without_a_request(how: How, endpoint: &str) {
    let ended = Stage::open("script", how, endpoint).stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=0 cut=[]"));
}

fn visible_without_flush(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut client = stage.connect();
    for word in ["one", "two"] {
        // The handler waits for the next line when this comes out: nobody but the framework could have sent it.
        client.say(format!("echo {word}\n"));
        client.expect(format!("{word}\n"));
    }
    drop(client);
    assert_eq!(stage.stop().status, Some(0));
}

fn bulk(how: How, endpoint: &str) {
    let stage = Stage::open("bulk", how, endpoint);
    let mut client = stage.connect();
    client.say("!");
    let piece: Vec<u8> = (0..250u8).cycle().take(1_000_000).collect();
    for _ in 0..8 {
        for part in piece.chunks(50_000) {
            stage.signal(Signal::USR2);
            client.expect(part);
        }
    }
    client.expect_end();
    drop(client);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").contains("written=8000000"), "{ended:?}");
}

/// Several times what two sockets hold of what nobody reads: the writer's buffer grows to 4 MB (`tcp_wmem`, `tcp(7)`), the
/// reader's only with what is read.
pub(crate) const MORE_THAN_FITS: usize = 20_000_000;

/// A signal ends a call that waits, and not the connection: neither a write nor a read, the second time neither.
fn interrupted(how: How, endpoint: &str) {
    let stage = Stage::open("interrupted", how, endpoint);
    let mut client = stage.connect();
    let thread = Process::of(stage.line("thread ")["thread ".len()..].parse().unwrap());
    let interrupt = |what: &str| {
        for _ in 0..10 {
            // A signal wakes it at once, so one that waits has taken the last signal and waits again.
            thread.settles(what, |thread| thread.state() == Some('S'));
            thread.signal(Signal::USR2);
        }
    };
    // It has begun to write, and comes to no end of it.
    client.expect("x");
    interrupt("it waits for us to read");
    client.expect("x".repeat(MORE_THAN_FITS - 1));
    interrupt("it waits for us to write");
    client.say("still here\n");
    client.expect("still here");
    client.expect_end();
    drop(client);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("closed ").contains("reason=finished"), "{ended:?}");
}

/// A close with unread input resets a TCP connection, and a reset eats what the peer has not read yet.
fn last_reply(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut client = stage.connect();
    // In one piece: what the server reads out has to be there within a second of its reply.
    client.say([b"bye\n".to_vec(), vec![b'x'; 100_000]].concat());
    client.end();
    assert_eq!(client.hear_all().expect("no reset"), b"bye");
    // One that is still on its way when the handler is through.
    let mut client = stage.connect();
    client.say("long-bye\n");
    client.say(vec![b'x'; 100_000]);
    client.end();
    assert_eq!(client.hear_all().expect("no reset").len(), 600_000);
    assert_eq!(stage.stop().status, Some(0));
}

fn twice(how: How, endpoint: &str) {
    let stage = Stage::open("twice", how, endpoint);
    for run in 0..2 {
        if run > 0 {
            // Who comes a moment earlier may still be let in by the run before.
            stage.line("listening");
        }
        let mut client = stage.connect();
        client.say("stop\n");
        // The drain gives the handler the end of input.
        client.expect_gone();
        stage.line("closed ");
    }
    let ended = stage.wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=1 "), "{ended:?}");
}

fn back_to_back(how: How, endpoint: &str) {
    let stage = Stage::open("back-to-back", how, endpoint);
    for _ in 0..19 {
        stage.line("listening");
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

fn early(how: How, endpoint: &str) {
    let ended = Stage::open("early", how, endpoint).wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("opened"), 0);
}

fn every(how: How, endpoint: &str) {
    let stage = Stage::open("every", how, endpoint);
    stage.line("hook_failed every the first turn failed");
    stage.line("hook_failed every panicked: the second turn panicked");
    stage.line("third turn, open=0");
    let mut client = stage.connect();
    client.say("echo still here\n");
    client.expect("still here\n");
    drop(client);
    assert_eq!(stage.stop().status, Some(0));
}

fn pieces(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut client = stage.connect();
    for byte in "echo 一个字\n".bytes() {
        client.say([byte]);
    }
    client.expect("一个字\n");
    let heap: String = (0..5000).map(|at| format!("echo {at}\n")).collect();
    let replies: String = (0..5000).map(|at| format!("{at}\n")).collect();
    client.say(heap);
    client.expect(replies);
    client.say("exact 5\nhel");
    client.say("lo");
    client.expect("hello");
    // Replies that were gathered leave before the handler waits, and before it ends.
    client.say("echo a\necho b\nbye\n");
    client.expect("a\nb\nbye");
    client.expect_end();
    assert_eq!(stage.stop().status, Some(0));
}

fn parallel(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut clients: Vec<_> = (0..8).map(|_| stage.connect()).collect();
    for client in clients.iter_mut().rev() {
        client.say("echo me\n");
        client.expect("me\n");
    }
    clients[0].say("totals\n");
    clients[0].expect("8\n");
    drop(clients);
    assert_eq!(stage.stop().status, Some(0));
}

fn facts(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    for id in 1..=2 {
        let mut client = stage.connect();
        client.say("id\npeer\nlocal\n");
        let (peer, local) = match stage.endpoint() {
            Endpoint::Tcp { host, port } => (client.local().unwrap().to_string(), format!("Some({host}:{port})")),
            _ => {
                let (pid, uid, gid) = (std::process::id(), geteuid().as_raw(), getegid().as_raw());
                (format!("unix:pid={pid},uid={uid},gid={gid}"), "None".into())
            }
        };
        client.expect(format!("{id} Some(0)\n{peer}\n{local}\n"));
    }
    assert_eq!(stage.stop().status, Some(0));
}

fn small_stack(how: How, endpoint: &str) {
    pieces_on("small-stack", how, endpoint);
}

fn pieces_on(role: &str, how: How, endpoint: &str) {
    let stage = Stage::open(role, how, endpoint);
    let mut client = stage.connect();
    client.say(format!("echo {}\n", "x".repeat(90_000)));
    client.expect("x".repeat(90_000) + "\n");
    client.say("fail on purpose\n");
    client.expect_end();
    stage.line("on_error on purpose");
    assert_eq!(stage.stop().status, Some(0));
}

fn threads_end(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    // The thread that started it, the one that watches, the one that leads.
    stage.process().settles("three threads", |process| process.threads() == 3);
    let mut clients: Vec<_> = (0..8).map(|_| stage.connect()).collect();
    for client in &mut clients {
        client.say("echo me\n");
        client.expect("me\n");
    }
    // One that had nothing to do for a while, and was replaced, may be on its way out.
    stage.process().settles("one for each client", |process| process.threads() == 2 + 8);
    drop(clients);
    stage.process().settles("three threads again", |process| process.threads() == 3);
    assert_eq!(stage.stop().status, Some(0));
}
