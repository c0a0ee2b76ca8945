use crate::{MODELS, Suite};
use rustix::process::Signal;
use socketserver_testkit::{Client, How, Stage};

pub(crate) fn add(suite: &mut Suite) {
    suite.packets("streams_and_packets_and_one_drain_ends_both", &MODELS, both);
}

fn both(how: How, endpoint: &str) {
    let streams = match endpoint.strip_prefix("unixgram:") {
        Some(path) => format!("unix:{path}.streams"),
        None => "tcp://127.0.0.1:0".to_owned(),
    };
    let stage = Stage::open_all("pair", how, &[&streams, endpoint]);
    let caller = socketserver_testkit::Caller::of(&stage.endpoints()[1]).unwrap();
    let mut client = Client::connect(&stage.endpoints()[0]).unwrap();
    client.say("a line\n");
    client.expect("a line\n");
    if how == How::Serial {
        // One thing at a time: the packet waits until the connection has ended.
        caller.send("echo a packet");
        client.end();
        client.expect_end();
        caller.expect("a packet");
        client = Client::connect(&stage.endpoints()[0]).unwrap();
    } else {
        assert_eq!(caller.ask("echo a packet"), b"a packet");
    }
    client.say("another\n");
    client.expect("another\n");
    stage.signal(Signal::TERM);
    stage.line("draining open=1");
    // It is idle, and so let go.
    client.expect_end();
    let served = if how == How::Serial { 2 } else { 1 };
    let ended = stage.wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").starts_with(&format!("report served={served} cut=[]")), "{ended:?}");
    assert!(ended.line("packets").starts_with("packets received=1 replies=1 failed=0"), "{ended:?}");
}
