use crate::roles::SOON;
use crate::{MODELS, Suite, number};
use socketserver_testkit::{How, Process, Stage};
use std::time::{Duration, Instant};

pub(crate) fn add(suite: &mut Suite) {
    suite.both("a_peer_that_never_reads_costs_no_memory", &MODELS, never_reads);
}

/// The handler writes 1 GiB, the peer reads none of it.
fn never_reads(how: How, endpoint: &str) {
    let stage = Stage::open("write-timeout", how, endpoint);
    let mut client = stage.connect();
    client.say("pid\n");
    let pid = client.hear(100).unwrap();
    let serving = Process::of(std::str::from_utf8(&pid).unwrap().trim().parse().unwrap());
    let (before, parent_before) = (serving.resident(), stage.process().resident());
    let mut most = [before, parent_before];
    // With more to do after it: until that is done what is written may be gathered, but not without end.
    client.say("flood\necho more\n");
    let give_up = Instant::now() + socketserver_testkit::PATIENCE;
    let closed = loop {
        // A child is gone in the end, and takes nothing then.
        most = [most[0].max(serving.resident()), most[1].max(stage.process().resident())];
        if let Some(line) = stage.so_far().into_iter().find(|line| line.starts_with("closed ")) {
            break line;
        }
        assert!(Instant::now() < give_up, "the write goes on");
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(closed.contains("reason=write-timeout "), "{closed}");
    assert!(u128::from(number(&closed, "ms=")) >= SOON.as_millis(), "{closed}");
    assert!((1..1 << 30).contains(&number(&closed, "written=")), "{closed}");
    let grown = [most[0] - before, most[1] - parent_before];
    assert!(grown.iter().all(|grown| *grown < 4 << 20), "{grown:?}");
    drop(client);
    assert_eq!(stage.stop().status, Some(0));
}
