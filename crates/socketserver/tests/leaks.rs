//! What comes and goes leaves nothing behind. One test, so that nothing else opens descriptors meanwhile.

use socketserver::{Error, Running, Server, Stream, Tasks, Threads, blocking};
use socketserver_testkit::{Client, Process};
use std::net::TcpListener;

fn echo(c: &mut blocking::Stream) -> socketserver::Result {
    while let Some(line) = c.read_until(b'\n', 1 << 20)? {
        c.write_all(&line)?;
    }
    Ok(())
}

async fn echo_task(c: &mut Stream) -> socketserver::Result {
    while let Some(line) = c.read_until(b'\n', 1 << 20).await? {
        c.write_all(&line).await?;
    }
    Ok(())
}

/// How a server is started on a model.
type Spawn = fn(Server) -> Result<Running, Error>;

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

    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("socket");
    let unix = format!("unix:{}", socket.display());
    let models: [Spawn; 2] =
        [|server| server.spawn(Threads::default(), echo), |server| server.spawn(Tasks::new(2), echo_task)];
    for spawn in models {
        for address in ["tcp://127.0.0.1:0", &unix] {
            for _ in 0..20 {
                let server = spawn(Server::bind(address).unwrap()).unwrap();
                let mut client = Client::connect(&server.handle().endpoints()[0]).unwrap();
                client.say("hello\n");
                client.expect("hello\n");
                drop(client);
                server.stop().unwrap();
            }
            assert_eq!(me.descriptors().len(), before, "{address}");
            // `/proc` may show a thread for a moment after it was joined.
            me.settles("its threads have ended", |me| me.threads() == threads);
            assert!(!socket.exists());
        }
    }
}
