//! What comes and goes leaves nothing behind. One test, so that nothing else opens descriptors meanwhile.

use socketserver::{Server, Threads, blocking};
use socketserver_testkit::{Client, Process};
use std::net::TcpListener;

fn echo(c: &mut blocking::Stream) -> socketserver::Result {
    while let Some(line) = c.read_until(b'\n', 1 << 20)? {
        c.write_all(&line)?;
    }
    Ok(())
}

#[test]
fn failing_binds_and_many_servers_leak_nothing() {
    let me = Process::me();
    let threads = me.threads();

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let held = format!("tcp://{}", taken.local_addr().unwrap());
    let before = me.descriptors().len();
    for _ in 0..1024 {
        assert!(Server::bind(["tcp://127.0.0.1:0", "unix:@socketserver-failing", &held]).is_err());
    }
    assert_eq!(me.descriptors().len(), before);

    for _ in 0..20 {
        let server = Server::bind("tcp://127.0.0.1:0").unwrap().spawn(Threads::default(), echo).unwrap();
        let mut client = Client::connect(&server.handle().endpoints()[0]).unwrap();
        client.say("hello\n");
        client.expect("hello\n");
        drop(client);
        server.stop().unwrap();
    }
    assert_eq!(me.descriptors().len(), before);
    assert_eq!(me.threads(), threads);
}
