use crate::{FORKING, Hold, Suite, is_alive};
use rustix::process::Signal;
use socketserver_testkit::{Caller, How, Process, Stage};

pub(crate) fn add(suite: &mut Suite) {
    suite.packets("a_killed_child_does_not_end_the_server", &FORKING, killed);
    suite.packets("a_child_that_aborts_or_exits", &FORKING, aborts);
    suite.packets("a_foreign_child_is_left_alone", &FORKING, foreign);
    suite.packets("packets_are_handled_by_a_child_of_their_own", &FORKING, processes);
    suite.packets("a_child_holds_what_is_its_own", &FORKING, descriptors);
    suite.udp("ready_children_make_room_for_packets", &[How::Prefork(2, 2), How::Prefork(1, 1)], makes_room);
    suite.packets("no_child_outlives_a_killed_parent", &FORKING, parent_killed);
}

fn pid(caller: &Caller) -> u32 {
    String::from_utf8(caller.ask("pid")).unwrap().parse().unwrap()
}

fn killed(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let caller = stage.caller();
    for _ in 0..3 {
        caller.send("hang");
        let child = Process::of(stage.line("hangs ")["hangs ".len()..].parse().unwrap());
        assert_ne!(child.pid(), stage.process().pid());
        // Others are served meanwhile.
        is_alive(&stage);
        child.signal(Signal::KILL);
        stage.line("child_ended killed by signal 9 connection=None");
        assert_eq!(caller.ask("echo still here"), b"still here");
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("child_ended"), 3, "{ended:?}");
    assert!(ended.line("packets").starts_with("packets received=9 replies=6 failed=3 "), "{ended:?}");
}

fn aborts(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let caller = stage.caller();
    for (word, told) in [("abort", "child_ended killed by signal 6"), ("exit 7", "child_ended exited with status 7")] {
        caller.send(word);
        stage.line(told);
        assert_eq!(caller.ask("echo alive"), b"alive");
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("child_ended"), 2, "{ended:?}");
}

fn foreign(how: How, endpoint: &str) {
    let stage = Stage::open("foreign-child", how, endpoint);
    for _ in 0..3 {
        is_alive(&stage);
    }
    let ended = stage.stop();
    assert_eq!(ended.count("foreign child: exit status: 0"), 1, "{ended:?}");
}

fn processes(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let caller = stage.caller();
    let pids = [pid(&caller), pid(&caller), pid(&caller)];
    assert!(!pids.contains(&stage.process().pid()));
    assert!(pids[0] != pids[1] && pids[1] != pids[2], "{pids:?}");
    stage.process().settles("they have ended", |process| process.children().is_empty());
    assert_eq!(stage.stop().status, Some(0));
}

/// The socket that it answers through, and what its handler opened. Nothing to wait with, nobody else's.
fn descriptors(how: How, endpoint: &str) {
    let stage = Stage::open("without-signals", how, endpoint);
    let (hold, caller) = (Hold::new(), stage.caller());
    let inherited = Process::me().sockets();
    let mut held = Vec::new();
    for _ in 0..3 {
        caller.send(hold.packet());
        held.push(hold.next(&stage));
    }
    let children = stage.process().children();
    assert_eq!(children.len(), 3);
    for child in children.into_iter().map(Process::of) {
        let sockets: Vec<_> = child.sockets().difference(&inherited).cloned().collect();
        assert_eq!(sockets.len(), 2, "{:?}", child.descriptors());
        let parents = stage.process().sockets();
        let shared = sockets.iter().filter(|socket| parents.contains(*socket)).count();
        assert_eq!(shared, 1, "{:?} and {parents:?}", child.descriptors());
        let all = child.descriptors();
        assert!(!all.iter().any(|fd| fd.contains("eventpoll") || fd.contains("pidfd")), "{all:?}");
    }
    for held in held {
        drop(held);
        caller.expect("let go, stopping: false");
    }
    assert_eq!(caller.ask("stop"), b"stopping");
    assert_eq!(stage.wait().status, Some(0));
}

/// Beside connections too there are never more children than the maximum: one that is ready for a connection gives way.
fn makes_room(how: How, endpoint: &str) {
    let How::Prefork(ready, max) = how else { unreachable!("a test for children kept ready") };
    let stage = Stage::open_all("pair", how, &[endpoint, "tcp://127.0.0.1:0"]);
    stage.process().settles("as many as may be are ready", |process| process.children().len() == ready);
    let (hold, caller) = (Hold::new(), stage.caller());
    let mut held = Vec::new();
    for _ in 0..max {
        caller.send(hold.packet());
        held.push(hold.next(&stage));
        assert!(stage.process().children().len() <= max);
    }
    let mut client = socketserver_testkit::Client::connect(&stage.endpoints()[1]).unwrap();
    client.say("line\n");
    drop(held.pop());
    caller.expect("let go, stopping: false");
    client.expect("line\n");
    drop(client);
    held.clear();
    (1..max).for_each(|_| caller.expect("let go, stopping: false"));
    assert_eq!(caller.ask("echo still here"), b"still here");
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("child_ended"), 0, "{ended:?}");
}

fn parent_killed(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    stage.caller().send("hang");
    let child = Process::of(stage.line("hangs ")["hangs ".len()..].parse().unwrap()).hold();
    stage.signal(Signal::KILL);
    child.expect_end();
    assert_eq!(stage.wait().status, None);
}
