use crate::{MODELS, Suite, in_phase, settled};
use rustix::process::Signal;
use socketserver_testkit::{How, Stage};

pub(crate) fn add(suite: &mut Suite) {
    suite.both("a_drain_answers_every_request", &[How::Threads(1000), How::Tasks(2)], thousand);
    suite.both("a_drain_answers_every_request", &[How::Forks(100), How::Prefork(4, 100)], hundred);
    suite.both(
        "a_drain_names_whom_it_cuts",
        &[How::Threads(100), How::Forks(100), How::Prefork(4, 100), How::Tasks(2)],
        names,
    );
    suite.tcp("a_stop_before_and_twice", &MODELS, before);
    suite.tcp("a_stop_from_a_handler_twice", &MODELS, from_handler);
}

fn thousand(how: How, endpoint: &str) {
    answers(how, endpoint, 1000);
}

fn hundred(how: How, endpoint: &str) {
    answers(how, endpoint, 100);
}

/// Half of the connections are idle. A quarter have sent half a request; in a quarter the handler is at work.
fn answers(how: How, endpoint: &str, count: usize) {
    let stage = Stage::open("long-drain", how, endpoint);
    let mut clients: Vec<_> = (0..count).map(|_| stage.connect()).collect();
    for client in &mut clients {
        client.say("echo in\n");
    }
    for client in &mut clients {
        client.expect("in\n");
    }
    let (idle, others) = clients.split_at_mut(count / 2);
    let (halfway, working) = others.split_at_mut(count / 4);
    for client in &mut *halfway {
        client.say("echo ha");
    }
    for client in &mut *working {
        client.say("work\n");
    }
    settled(&stage, "half of them are in a request", |facts| {
        let phases = ["waiting", "receiving", "working"].map(|phase| in_phase(facts, phase));
        phases == [count / 2, count / 4, count / 4]
    });
    stage.signal(Signal::TERM);
    assert_eq!(stage.line("draining"), format!("draining open={count}"));
    for client in idle {
        client.expect_end();
    }
    for client in working {
        client.expect("work\n");
        client.expect_end();
    }
    let (last, rest) = halfway.split_last_mut().unwrap();
    for client in rest {
        client.say("lf\n");
        client.expect("half\n");
        client.expect_end();
    }
    // It waits for the last; the deadline is further off than anybody waits here.
    settled(&stage, "one is left", |facts| facts.len() == 1);
    last.say("lf\n");
    last.expect("half\n");
    last.expect_end();
    let ended = stage.wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("closed "), count);
    assert_eq!(ended.count("cut "), 0);
}

/// Of those in the middle of a request some never finish it: the report names just these.
fn names(how: How, endpoint: &str) {
    let stage = Stage::open("short-drain", how, endpoint);
    let mut clients: Vec<_> = (0..20).map(|_| stage.connect()).collect();
    for client in &mut clients {
        client.say("echo in\n");
        client.expect("in\n");
    }
    let (halfway, stuck) = clients.split_at_mut(5);
    let stuck = &mut stuck[..3];
    for client in halfway.iter_mut().chain(&mut *stuck) {
        client.say("echo ha");
    }
    let facts = settled(&stage, "eight have begun", |facts| in_phase(facts, "receiving") == 8);
    let mut named: Vec<String> = Vec::new();
    for client in &*stuck {
        // Over a Unix socket clients have no names: there they are all the same.
        if let Some(local) = client.local() {
            let fact = facts.iter().find(|fact| fact["peer"] == local.to_string()).unwrap();
            named.push(format!("cut id={}", fact["id"]));
        }
    }
    stage.signal(Signal::TERM);
    stage.line("draining open=20");
    for client in halfway {
        client.say("lf\n");
        client.expect("half\n");
    }
    for client in stuck {
        client.expect_gone();
    }
    let ended = stage.wait();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let mut cut: Vec<_> = ended.lines.iter().filter(|line| line.starts_with("cut ")).cloned().collect();
    assert_eq!(cut.len(), 3);
    if !named.is_empty() {
        cut.sort();
        named.sort();
        assert_eq!(cut, named);
    }
    let aborted: Vec<_> = ended.lines.iter().filter(|line| line.contains("reason=aborted ")).collect();
    for cut in &cut {
        let closed = format!("closed {} ", &cut["cut ".len()..]);
        assert!(aborted.iter().any(|line| line.starts_with(&closed)), "{ended:?}");
        assert!(ended.line("report").contains(&format!("{}:false", &cut["cut id=".len()..])), "{ended:?}");
    }
    assert_eq!(aborted.len(), 3);
    assert_eq!(ended.count("closed "), 20);
}

fn before(how: How, endpoint: &str) {
    let ended = Stage::try_open("stopped-before", how, endpoint).wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=0 cut=[]"), "{ended:?}");
}

fn from_handler(how: How, endpoint: &str) {
    let stage = Stage::open("long-drain", how, endpoint);
    let mut client = stage.connect();
    client.say("stop\necho still\n");
    client.expect("stop\nstill\n");
    client.expect_end();
    let ended = stage.wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=1 cut=[]"), "{ended:?}");
}
