use crate::{MODELS, Suite};
use socketserver_testkit::{Client, How, Stage};
use std::time::{Duration, Instant};

pub(crate) fn add(suite: &mut Suite) {
    suite.both("a_silent_client_is_cut_and_the_next_served", &MODELS, silent);
    suite.both(
        "forty_silent_clients_do_not_keep_the_last_out",
        &[How::Threads(8), How::Forks(8), How::Tasks(1), How::Tasks(2)],
        forty_silent,
    );
    suite.both("a_peer_that_never_reads_is_cut", &MODELS, never_reads);
    suite.both(
        "at_the_maximum_the_next_waits",
        &[How::Serial, How::Threads(2), How::Forks(2), How::Prefork(1, 2), How::Tasks(1), How::Tasks(2)],
        max,
    );
    suite.both(
        "at_the_maximum_a_stop_is_heard",
        &[How::Threads(2), How::Forks(2), How::Prefork(1, 2), How::Tasks(1), How::Tasks(2)],
        stop_at_max,
    );
    suite.tcp("out_of_descriptors", &[How::Threads(200), How::Tasks(1), How::Tasks(2)], out_of_descriptors);
}

fn silent(how: How, endpoint: &str) {
    let stage = Stage::open("script-idle", how, endpoint);
    let mut silent = stage.connect();
    let mut next = stage.connect();
    next.say("echo me\n");
    next.expect("me\n");
    drop(next);
    silent.expect_gone();
    let ended = stage.stop();
    assert_eq!(ended.lines.iter().filter(|line| line.contains("reason=idle")).count(), 1, "{ended:?}");
    assert_eq!(ended.count("on_error"), 0, "{ended:?}");
}

fn forty_silent(how: How, endpoint: &str) {
    let stage = Stage::open("script-idle", how, endpoint);
    crate::is_served(&stage);
    let check = stage.leak_check();
    let silent: Vec<Client> = (0..40).map(|_| stage.connect()).collect();
    let mut last = stage.connect();
    last.say("echo last\n");
    last.expect("last\n");
    drop((silent, last));
    check.end();
    assert_eq!(stage.stop().status, Some(0));
}

fn never_reads(how: How, endpoint: &str) {
    let stage = Stage::open("write-timeout", how, endpoint);
    let client = stage.connect();
    assert!(stage.line("closed ").contains("reason=write-timeout"));
    drop(client);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0));
    assert_eq!(ended.count("on_error"), 0, "{ended:?}");
}

/// Two at a time: `Tasks` has no maximum of its own.
fn two_at_most(how: How, endpoint: &str) -> Stage {
    Stage::open(if matches!(how, How::Tasks(_)) { "script-two-at-most" } else { "script" }, how, endpoint)
}

fn max(how: How, endpoint: &str) {
    let stage = two_at_most(how, endpoint);
    let max = if how == How::Serial { 1 } else { 2 };
    let mut inside: Vec<_> = (0..max).map(|_| stage.connect()).collect();
    for client in &mut inside {
        client.say("echo in\n");
        client.expect("in\n");
    }
    let mut outside = stage.connect();
    outside.say("echo in\n");
    for _ in 0..max {
        stage.line("opened");
    }
    // Time enough for the one outside to be let in, if it were.
    for _ in 0..500 {
        inside[0].say("echo still in\n");
        inside[0].expect("still in\n");
    }
    drop(inside.pop());
    outside.expect("in\n");
    drop((inside, outside));
    let ended = stage.stop();
    // Never more at a time than the maximum.
    let (mut open, mut most) = (0usize, 0);
    for line in &ended.lines {
        open += usize::from(line.starts_with("opened"));
        open -= usize::from(line.starts_with("closed"));
        most = most.max(open);
    }
    assert_eq!((open, most), (0, max), "{ended:?}");
}

fn stop_at_max(how: How, endpoint: &str) {
    let stage = two_at_most(how, endpoint);
    let mut inside: Vec<_> = (0..2).map(|_| stage.connect()).collect();
    for client in &mut inside {
        client.say("echo in\n");
        client.expect("in\n");
    }
    let _outside = stage.connect();
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=2 cut=[]"), "{ended:?}");
}

/// A limit of 64 descriptors and 200 clients: who cannot be served is turned away, accepting rests instead of spinning,
/// and all is well again when descriptors are.
fn out_of_descriptors(how: How, endpoint: &str) {
    let stage = Stage::open("few-descriptors", how, endpoint);
    let mut clients: Vec<Client> = (0..200).filter_map(|_| Client::connect(stage.endpoint()).ok()).collect();
    stage.line("accept_failed Too many open files");
    // What it has told already is told of the time before.
    stage.so_far();
    let (cpu, start) = (stage.process().cpu(), Instant::now());
    // Accepting rests 5, 10, 20 … ms, up to a second: a loop that spins would use all of that second.
    while start.elapsed() < Duration::from_secs(1) {
        let pressing = Client::connect(stage.endpoint());
        stage.line("accept_failed Too many open files");
        drop(pressing);
    }
    let used = stage.process().cpu() - cpu;
    assert!(used < start.elapsed() / 10, "{used:?} of {:?}", start.elapsed());
    // Those that came in are served all along.
    let mut served = 0;
    for client in &mut clients {
        client.say_if_there("echo in\n");
    }
    for client in &mut clients {
        served += usize::from(client.hear(3).is_ok_and(|heard| heard == b"in\n"));
    }
    assert!((30..64).contains(&served), "{served}");
    drop(clients);
    // Who comes before there are descriptors again is turned away too.
    stage.process().settles("descriptors are free again", |process| process.descriptors().len() < 32);
    let mut client = stage.connect();
    client.say("echo again\n");
    client.expect("again\n");
    drop(client);
    assert_eq!(stage.stop().status, Some(0));
}
