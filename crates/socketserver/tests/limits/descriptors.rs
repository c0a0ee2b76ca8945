use crate::{Suite, number};
use socketserver_testkit::{Client, How, Stage};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

pub(crate) fn add(suite: &mut Suite) {
    suite.tcp("out_of_descriptors", &[How::Threads(400), How::Forks(400), How::Tasks(2)], out_of_descriptors);
}

/// A server with 256 descriptors and 2,000 clients: those that cannot be served are closed, accepting rests instead of
/// spinning, and all is well again when descriptors are.
fn out_of_descriptors(how: How, endpoint: &str) {
    let stage = Stage::open("few-descriptors", how, endpoint);
    let mut clients: Vec<_> = (0..2000).map(|_| stage.connect()).collect();
    for client in &mut clients {
        client.say_if_there("echo in\n");
    }
    // A child takes a descriptor after its connection has: there it is the fork that fails.
    let first = if matches!(how, How::Forks(_)) { "spawn_failed process" } else { "accept_failed" };
    stage.line(&format!("{first} Too many open files"));
    let (cpu, start) = (stage.process().cpu(), Instant::now());
    let mut unheard = 0;
    clients.retain_mut(|client| {
        let heard = client.hear(3);
        assert!(!heard.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "it is left to wait");
        let served = heard.is_ok_and(|heard| heard == b"in\n");
        unheard += u64::from(!served);
        served
    });
    // Those that still come are closed as well, one after the other, for long enough to see what it costs.
    let mut late = 0;
    while late < 30 || start.elapsed() < Duration::from_millis(1500) {
        let mut client = Client::connect(stage.endpoint()).unwrap();
        client.expect_gone();
        late += 1;
    }
    unheard += late;
    let (used, time) = (stage.process().cpu() - cpu, start.elapsed());
    // One that spins uses all that it can get, which beside others may be half of the time.
    assert!(used < time / 4, "{used:?} of {time:?}");
    // Those that are in are served all along.
    assert!((80..256).contains(&clients.len()), "{}", clients.len());
    for client in &mut clients {
        client.say_if_there("echo still\n");
        let heard = client.hear(6);
        assert!(heard.as_ref().is_ok_and(|heard| heard == b"still\n"), "{heard:?} {:#?}", stage.so_far());
    }
    drop(clients);
    stage.process().settles("descriptors are free again", |process| process.descriptors().len() < 64);
    let mut clients: Vec<_> = (0..40).map(|_| stage.connect()).collect();
    for client in &mut clients {
        client.say("echo again\n");
        client.expect("again\n");
    }
    drop(clients);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0));
    let totals = ended.line("totals");
    // A process that could not be had costs a connection that was let in.
    assert_eq!(number(totals, "shed: ") + number(totals, "failed: "), unheard, "{totals}");
    assert!(number(totals, "exhausted: ") > 0 || matches!(how, How::Forks(_)), "{totals}");
    assert_eq!(number(totals, "open="), 0);
}
