use crate::{Hold, Suite};
use rustix::process::Signal;
use socketserver_testkit::{How, Stage};

pub(crate) fn add(suite: &mut Suite) {
    suite.packets("at_the_maximum_packets_wait", &[How::Threads(2), How::Forks(2), How::Prefork(2, 2)], limit);
}

fn limit(how: How, endpoint: &str) {
    let stage = Stage::open("script", how, endpoint);
    let (hold, caller) = (Hold::new(), stage.caller());
    let mut held = Vec::new();
    for _ in 0..2 {
        caller.send(hold.packet());
        held.push(hold.next(&stage));
    }
    let late = stage.caller();
    late.send("echo late");
    let children = if let How::Threads(_) = how { 0 } else { 2 };
    // Time enough for a third child, if there were to be one.
    for _ in 0..20 {
        assert_eq!(stage.process().children().len(), children);
        stage.process().settles("it waits", |process| process.waits());
    }
    held.pop();
    late.expect("late");
    caller.expect("let go, stopping: false");
    drop(held);
    caller.expect("let go, stopping: false");
    // At the maximum a stop is heard too.
    caller.send(hold.packet());
    let one = hold.next(&stage);
    caller.send(hold.packet());
    let other = hold.next(&stage);
    late.send("echo too late");
    stage.signal(Signal::TERM);
    stage.line("draining open=0");
    drop((one, other));
    let ended = stage.wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("packets").starts_with("packets received=5 replies=5 "), "{ended:?}");
}
