use crate::{FORKING, Suite};
use rustix::process::{Pid, Signal};
use socketserver_testkit::{Client, How, Process, Stage};

pub(crate) fn add(suite: &mut Suite) {
    suite.both("a_killed_child_costs_one_connection", &FORKING, killed);
    suite.both("a_child_that_aborts_or_exits", &FORKING, aborts);
    suite.both("a_foreign_child_is_left_alone", &FORKING, foreign);
    suite.both("each_connection_has_its_process", &FORKING, processes);
    suite.tcp("threads_are_refused", &[How::Forks(2)], threaded);
    suite.both("no_child_keeps_anothers_connection", &[How::Forks(8), How::Prefork(1, 8)], no_copies);
    suite.tcp("ready_children_are_kept", &[How::Prefork(2, 8)], ready);
}

/// A child that is made while a connection is on its way to another must not keep it open.
fn no_copies(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut first = stage.connect();
    pid(&mut first);
    for _ in 0..3 {
        let mut other = stage.connect();
        other.say("echo me\n");
        other.end();
        other.expect("me\n");
        other.expect_end();
    }
    // Whoever came later holds no more than whoever came first, and when that dies its connection ends.
    let mut second = stage.connect();
    let (early, late) = (pid(&mut first), pid(&mut second));
    assert_eq!(Process::of(early).sockets().len(), Process::of(late).sockets().len());
    rustix::process::kill_process(Pid::from_raw(early.cast_signed()).unwrap(), Signal::KILL).unwrap();
    first.expect_gone();
    drop(second);
    assert_eq!(stage.stop().status, Some(0));
}

fn pid(client: &mut Client) -> u32 {
    client.say("pid\n");
    let line = client.hear(100).unwrap();
    std::str::from_utf8(&line).unwrap().trim().parse().unwrap()
}

fn killed(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut other = stage.connect();
    let other_pid = pid(&mut other);
    let mut victim = stage.connect();
    let victim_pid = pid(&mut victim);
    assert_ne!(other_pid, victim_pid);
    rustix::process::kill_process(Pid::from_raw(victim_pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
    victim.expect_gone();
    stage.line("child_ended killed by signal 9 connection=Some(2)");
    assert!(stage.line("closed id=2").contains("reason=killed"));
    assert_eq!(pid(&mut other), other_pid);
    let mut next = stage.connect();
    assert_ne!(pid(&mut next), victim_pid);
    drop((other, next));
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("child_ended"), 1, "{ended:?}");
    assert!(ended.line("report").ends_with("failed=1"), "{ended:?}");
}

fn aborts(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    for (word, told) in [("abort", "child_ended killed by signal 6"), ("exit 7", "child_ended exited with status 7")] {
        let mut client = stage.connect();
        client.say(format!("{word}\n"));
        client.expect_gone();
        stage.line(told);
    }
    let mut client = stage.connect();
    client.say("echo alive\n");
    client.expect("alive\n");
    drop(client);
    let ended = stage.stop();
    assert_eq!(ended.count("child_ended"), 2, "{ended:?}");
    assert_eq!(ended.count("closed"), 3, "{ended:?}");
}

fn foreign(how: How, endpoint: &str) {
    let stage = Stage::open("foreign-child", how, endpoint);
    for _ in 0..3 {
        let mut client = stage.connect();
        client.say("bye\n");
        client.expect("bye");
    }
    let ended = stage.stop();
    assert_eq!(ended.count("foreign child: exit status: 0"), 1, "{ended:?}");
}

fn processes(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut clients: Vec<_> = (0..4).map(|_| stage.connect()).collect();
    let mut pids: Vec<_> = clients.iter_mut().map(pid).collect();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 4);
    let mut children = stage.process().children();
    children.retain(|child| pids.contains(child));
    assert_eq!(children.len(), 4);
    // Bytes that children moved are the parent's to report.
    drop(clients);
    let ended = stage.stop();
    assert!(ended.line("report").contains(" read=16 "), "{ended:?}");
}

fn threaded(_: How, endpoint: &str) {
    let stage = Stage::open("threaded-forks", How::Forks(2), endpoint);
    let ended = stage.wait();
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let line = ended.line("failed: ");
    assert!(line.contains("one thread, and this one has 2"), "{line}");
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
    let child = stage.process().children()[0];
    rustix::process::kill_process(Pid::from_raw(child.cast_signed()).unwrap(), Signal::KILL).unwrap();
    stage.line("child_ended killed by signal 9 connection=None");
    for _ in 0..3 {
        let mut client = stage.connect();
        client.say("echo alive\n");
        client.expect("alive\n");
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
}
