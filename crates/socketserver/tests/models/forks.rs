use crate::{FORKING, Suite};
use rustix::process::{Pid, Signal};
use socketserver_testkit::{Client, How, Process, Stage};
use std::collections::BTreeSet;

pub(crate) fn add(suite: &mut Suite) {
    suite.both("a_killed_child_costs_one_connection", &FORKING, killed);
    suite.both("a_child_that_aborts_or_exits", &FORKING, aborts);
    suite.both("a_foreign_child_is_left_alone", &FORKING, foreign);
    suite.both("each_connection_has_its_process", &FORKING, processes);
    suite.tcp("threads_are_refused", &[How::Forks(2)], threaded);
    suite.both("no_child_keeps_anothers_connection", &[How::Forks(8), How::Prefork(1, 8)], no_copies);
    suite.both("a_child_holds_what_is_its_own", &FORKING, descriptors);
    suite.both("no_child_outlives_a_killed_parent", &FORKING, parent_killed);
    suite.both("a_signal_to_a_child_is_not_the_servers", &FORKING, child_signalled);
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

/// To its own connection, and pre-forked to its end of what it is fed through. Not to listeners, other ends, other
/// children or their connections: copies of them would keep open what others close.
fn descriptors(how: How, endpoint: &str) {
    let stage = Stage::open("without-signals", how, endpoint);
    let own = if matches!(how, How::Prefork(..)) { 2 } else { 1 };
    // All of them open at a time: each child comes to a server that has more.
    let mut clients: Vec<_> = (0..4).map(|_| stage.connect()).collect();
    let children: Vec<_> = clients.iter_mut().map(|client| Process::of(pid(client))).collect();
    // Where this program writes its errors to may be a socket, and everybody's.
    let inherited = Process::me().sockets();
    let mut all = BTreeSet::new();
    for child in &children {
        let sockets: BTreeSet<_> = child.sockets().difference(&inherited).cloned().collect();
        assert_eq!(sockets.len(), own, "{:?}", child.descriptors());
        assert!(all.is_disjoint(&sockets), "{:?} of {all:?}", child.descriptors());
        let shared = stage.process().sockets().intersection(&sockets).count();
        // The parent keeps each connection open until its child has ended.
        assert_eq!(shared, 1, "{:?} and {:?}", child.descriptors(), stage.process().descriptors());
        let others = child.descriptors();
        assert!(!others.iter().any(|fd| fd.contains("eventpoll") || fd.contains("pidfd")), "{others:?}");
        all.extend(sockets);
    }
    // Nor does one that waits.
    drop(clients.split_off(2));
    if let How::Prefork(ready, _) = how {
        stage.process().settles("two serve, and so many are ready", |process| process.children().len() == 2 + ready);
        let everybody = stage.process().children().into_iter().map(Process::of);
        for idle in everybody.filter(|child| !children[..2].contains(child)) {
            idle.settles("it has its end of the feed alone", |idle| idle.sockets().difference(&inherited).count() == 1);
        }
    }
    clients[0].say("stop\n");
    clients[0].expect_end();
    assert_eq!(stage.wait().status, Some(0));
}

/// Nobody is left to tell it to stop: one that waits for nothing goes as well.
fn parent_killed(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut client = stage.connect();
    let child = Process::of(pid(&mut client)).hold();
    client.say("hang\n");
    stage.signal(Signal::KILL);
    child.expect_end();
    client.expect_gone();
    // Those that were ready too: its output ends with the last of its processes.
    assert_eq!(stage.wait().status, None);
}

/// A Ctrl-C goes to the whole group. The parent hears it itself, and tells the children.
fn child_signalled(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let mut client = stage.connect();
    let child = pid(&mut client);
    Process::of(child).signal(Signal::TERM);
    // By then the child has had it. Had the parent, it would let nobody in any more.
    assert_eq!(pid(&mut client), child);
    let mut next = stage.connect();
    assert_ne!(pid(&mut next), child);
    assert_eq!(stage.so_far().iter().filter(|line| line.starts_with("draining")).count(), 0);
    drop((client, next));
    assert_eq!(stage.stop().status, Some(0));
}

pub(crate) fn pid(client: &mut Client) -> u32 {
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
