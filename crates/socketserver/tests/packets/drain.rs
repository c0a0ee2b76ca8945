use crate::{Hold, MODELS, PARALLEL, Suite};
use rustix::process::Signal;
use socketserver_testkit::{How, Stage};

pub(crate) fn add(suite: &mut Suite) {
    suite.packets("drain_waits_for_the_packets_that_are_handled", &MODELS, busy);
    suite.packets("drain_gives_up_on_a_handler_that_does_not_come_back", &PARALLEL, stuck);
    suite.packets("a_second_signal_ends_at_once", &PARALLEL, second_signal);
}

fn busy(how: How, endpoint: &str) {
    let stage = Stage::open("long-drain", how, endpoint);
    let (hold, caller) = (Hold::new(), stage.caller());
    caller.send(hold.packet());
    let held = hold.next(&stage);
    stage.signal(Signal::TERM);
    stage.line("draining open=0");
    drop(held);
    caller.expect("let go, stopping: true");
    let ended = stage.wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=0 cut=[]"), "{ended:?}");
}

fn stuck(how: How, endpoint: &str) {
    let stage = Stage::open("short-drain", how, endpoint);
    let (hold, caller) = (Hold::new(), stage.caller());
    caller.send(hold.packet());
    let held = hold.next(&stage);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=0 cut=[0:true]"), "{ended:?}");
    assert_eq!(ended.count("child_ended"), 0, "{ended:?}");
    held.expect_gone();
}

fn second_signal(how: How, endpoint: &str) {
    // The drain alone would take an hour.
    let stage = Stage::open("long-drain", how, endpoint);
    let (hold, caller) = (Hold::new(), stage.caller());
    caller.send(hold.packet());
    let held = hold.next(&stage);
    stage.signal(Signal::TERM);
    stage.line("draining open=0");
    stage.signal(Signal::TERM);
    let ended = stage.wait();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=0 cut=[0:true]"), "{ended:?}");
    held.expect_gone();
}
