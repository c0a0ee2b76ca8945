//! What comes and goes leaves nothing behind. One test, so that nothing else opens descriptors meanwhile.

use socketserver::{Channel, Error, Running, Server, Stream, Tasks, Threads, blocking};
use socketserver_testkit::{Caller, Client, LeakCheck, Process};
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

fn echo_message(message: &[u8], c: &mut Channel) -> socketserver::Result {
    Ok(c.send(message)?)
}

/// How a server is started on a model.
type Spawn = fn(Server) -> Result<Running, Error>;

#[test]
fn failing_binds_and_many_servers_leak_nothing() {
    let me = Process::me();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let held = format!("tcp://{}", taken.local_addr().unwrap());
    let check = LeakCheck::begin(me);
    for _ in 0..1024 {
        assert!(Server::bind(["tcp://127.0.0.1:0", "unix:@socketserver-failing", &held]).is_err());
    }
    assert_eq!(check.leaked(), [""; 0]);

    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("socket");
    let check = check.without_file(&socket);
    let unix = format!("unix:{}", socket.display());
    let [unixgram, seqpacket] = ["unixgram", "seqpacket"].map(|scheme| unix.replace("unix", scheme));
    let streams: [Spawn; 2] =
        [|server| server.spawn(Threads::default(), echo), |server| server.spawn(Tasks::new(2), echo_task)];
    let messages: [Spawn; 2] =
        [|server| server.spawn(Threads::default(), echo_message), |server| server.spawn(Tasks::new(2), echo_message)];
    let (over_streams, over_messages) = (["tcp://127.0.0.1:0", &unix], ["udp://127.0.0.1:0", &unixgram, &seqpacket]);
    let streams = streams.into_iter().map(|spawn| (spawn, &over_streams[..]));
    for (spawn, addresses) in streams.chain(messages.into_iter().map(|spawn| (spawn, &over_messages[..]))) {
        for address in addresses {
            for _ in 0..20 {
                let server = spawn(Server::bind(*address).unwrap()).unwrap();
                let at = &server.handle().endpoints()[0];
                if let Ok(mut client) = Client::connect(at) {
                    client.say("hello\n");
                    client.expect("hello\n");
                } else {
                    assert_eq!(Caller::of(at).unwrap().ask("hello"), b"hello");
                }
                server.stop().unwrap();
            }
            // `/proc` may show a thread for a moment after it was joined; all else is gone at once.
            assert!(check.leaked().iter().all(|what| what.contains(" threads, ")), "{address} {:?}", check.leaked());
            check.end();
        }
    }
}
