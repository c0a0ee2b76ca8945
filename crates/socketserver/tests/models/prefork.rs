use crate::Suite;
use crate::forks::pid;
use rustix::process::Signal;
use socketserver_testkit::{How, Process, Stage};

pub(crate) fn add(suite: &mut Suite) {
    suite.tcp("ready_children_are_kept", &[How::Prefork(2, 8)], ready);
    suite.both("a_ready_child_that_was_killed_is_replaced", &[How::Prefork(2, 2)], replaced);
    suite.both("a_ready_child_dies_when_its_connection_is_there", &[How::Prefork(1, 1)], too_late);
    suite.both("a_connection_on_its_way_to_a_child_that_dies", &[How::Prefork(1, 1)], on_its_way);
}

fn ready(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    stage.process().settles("two are ready", |process| process.children().len() == 2);
    let mut clients: Vec<_> = (0..5).map(|_| stage.connect()).collect();
    for client in &mut clients {
        pid(client);
    }
    assert_eq!(stage.process().children().len(), 5);
    drop(clients);
    stage.process().settles("two are kept", |process| process.children().len() == 2);
    // One that dies while it waits is told of, and costs nobody a connection.
    Process::of(stage.process().children()[0]).signal(Signal::KILL);
    stage.line("child_ended killed by signal 9 connection=None");
    for _ in 0..3 {
        let mut client = stage.connect();
        client.say("echo alive\n");
        client.expect("alive\n");
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

/// Killed between its connections: as many as before are ready, and served at a time, however often that happens, whether
/// somebody comes at once or nobody does.
fn replaced(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut before = [0, 0];
    for round in 0..4 {
        let mut clients = [stage.connect(), stage.connect()];
        let pids = clients.each_mut().map(pid);
        assert_ne!(pids[0], pids[1]);
        assert!(!before.contains(&pids[0]) && !before.contains(&pids[1]), "{pids:?} after {before:?}");
        drop(clients);
        for _ in pids {
            stage.line("closed ");
        }
        for pid in pids {
            Process::of(pid).signal(Signal::KILL);
            stage.line("child_ended killed by signal 9 connection=None");
        }
        if round % 2 == 0 {
            stage.process().settles("as many are ready again", |process| {
                let children = process.children();
                children.len() == 2 && pids.iter().all(|pid| !children.contains(pid))
            });
        }
        before = pids;
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("child_ended"), 8, "{ended:?}");
    let report = ended.line("report");
    assert!(report.starts_with("report served=8 cut=[]") && report.ends_with("failed=0"), "{ended:?}");
}

/// It dies between the moment when the server hears of a connection and the moment when it hands it over: another child
/// gets it, and the peer notices nothing.
fn too_late(how: How, endpoint: &str) {
    let stage = Stage::open("verify-kills", how, endpoint);
    stage.process().settles("one is ready", |process| process.children().len() == 1);
    for _ in 0..3 {
        let mut client = stage.connect();
        client.say("echo alive\nbye\n");
        client.expect("alive\nbye");
        client.end();
        client.expect_end();
        stage.line("closed ");
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("child_ended killed by signal 9 connection=None"), 3, "{ended:?}");
    let report = ended.line("report");
    assert!(report.starts_with("report served=3 cut=[]") && report.ends_with("failed=0"), "{ended:?}");
}

/// It was handed the connection, and dies before it has looked: that connection is lost, and no other.
fn on_its_way(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    stage.process().settles("one is ready", |process| process.children().len() == 1);
    let child = Process::of(stage.process().children()[0]);
    child.signal(Signal::STOP);
    child.settles("it was stopped", |child| child.state() == Some('T'));
    let mut lost = stage.connect();
    stage.line("opened id=1");
    // Handing over waits for nothing: when the parent waits, it is done.
    stage.process().settles("it was handed over", |process| process.state() == Some('S'));
    child.signal(Signal::KILL);
    lost.expect_gone();
    stage.line("child_ended killed by signal 9 connection=Some(1)");
    assert!(stage.line("closed id=1").contains("reason=killed"));
    let mut next = stage.connect();
    assert_ne!(pid(&mut next), child.pid());
    drop(next);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let report = ended.line("report");
    assert!(report.starts_with("report served=2 cut=[]") && report.ends_with("failed=1"), "{ended:?}");
}
