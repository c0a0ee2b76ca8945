//! Async handlers in one's own runtime, and shards that are left behind.

use crate::{Reasons, within};
use socketserver::{Accept, AsyncTransport, ErrorKind, Peer, Reason, Server, Stream, Tasks};
use socketserver_testkit::{Client, PATIENCE};
use std::io;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::{Builder, Runtime};

pub(crate) async fn echo(c: &mut Stream) -> socketserver::Result {
    while let Some(line) = c.read_until(b'\n', 1 << 20).await? {
        c.write_all(&line).await?;
    }
    Ok(())
}

fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()].map(|mut one| one.enable_all().build().unwrap())
}

#[test]
fn run_serves_and_drains_in_a_runtime_of_ones_own() {
    for runtime in runtimes() {
        let mut server = Server::bind("tcp://127.0.0.1:0").unwrap();
        let handle = server.handle();
        let clients = thread::spawn(move || {
            let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(&handle.endpoints()[0]).unwrap()).collect();
            for client in &mut clients {
                client.say("hello\n");
                client.expect("hello\n");
            }
            // In the middle of a line, which is let come in.
            clients[0].say("hello\nwor");
            clients[0].expect("hello\n");
            handle.shutdown();
            clients[1].expect_end();
            clients[0].say("ld\n");
            clients[0].expect("world\n");
            clients[0].expect_end();
        });
        let report = within("a server in a runtime", move || runtime.block_on(server.run(echo)).unwrap());
        clients.join().unwrap();
        assert_eq!(report.served, 3);
        assert!(report.is_clean(), "{report:?}");
    }
}

#[test]
fn a_run_that_is_dropped_closes_its_connections_and_the_server_can_run_again() {
    for runtime in runtimes() {
        let reasons = Arc::new(Reasons::default());
        let mut server = Server::bind("tcp://127.0.0.1:0").unwrap().observe(reasons.clone());
        let endpoint = server.endpoints()[0].clone();
        let old = server.handle();
        let (connected, is_connected) = tokio::sync::oneshot::channel();
        let client = thread::spawn(move || {
            let mut client = Client::connect(&endpoint).unwrap();
            client.say("hello\n");
            client.expect("hello\n");
            connected.send(()).unwrap();
            client.expect_gone();
            // It listens all the while.
            let mut client = Client::connect(&endpoint).unwrap();
            client.say("again\n");
            client.expect("again\n");
            client
        });
        let (report, mut client) = within("a server that runs again", move || {
            runtime.block_on(async {
                tokio::select! {
                    ended = server.run(echo) => panic!("it ended: {ended:?}"),
                    connected = is_connected => connected.unwrap(),
                }
                assert_eq!(server.handle().open(), 0);
                // What is said to the run that was dropped says nothing about the next.
                old.shutdown();
                let handle = server.handle();
                let stop = tokio::task::spawn_blocking(move || {
                    let client = client.join().unwrap();
                    handle.shutdown();
                    client
                });
                (server.run(echo).await.unwrap(), stop.await.unwrap())
            })
        });
        client.expect_end();
        assert_eq!((report.served, report.is_clean()), (1, true), "{report:?}");
        assert_eq!(*reasons.0.lock().unwrap(), [Reason::Aborted, Reason::Drained]);
    }
}

#[test]
fn who_waits_for_the_drain_hears_of_a_run_that_is_dropped() {
    within("a run that is dropped", || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut server = Server::bind("tcp://127.0.0.1:0").unwrap();
            let draining = server.handle().draining();
            assert!(tokio::time::timeout(Duration::ZERO, server.run(echo)).await.is_err());
            draining.await;
        });
    });
}

/// A shard whose handler kept it until the server was gone ends all the same, and lets go of the port.
#[test]
fn an_abandoned_shard_keeps_nothing_of_the_server() {
    for shards in [1, 2] {
        let (release, released) = mpsc::channel::<()>();
        let (tell, begun) = mpsc::channel();
        let (released, tell) = (Mutex::new(released), Mutex::new(tell));
        let server = Server::bind("tcp://127.0.0.1:0").unwrap();
        let server = server
            .spawn(Tasks::new(shards), move |_: &mut Stream| {
                // It keeps its shard to itself.
                tell.lock().unwrap().send(()).unwrap();
                let _ = released.lock().unwrap().recv_timeout(2 * PATIENCE);
                async { Ok(()) }
            })
            .unwrap();
        let address = match &server.handle().endpoints()[0] {
            socketserver::Endpoint::Tcp { port, .. } => ("127.0.0.1", *port),
            other => panic!("{other}"),
        };
        let client = crate::connect(&server);
        begun.recv_timeout(PATIENCE).unwrap();
        server.handle().drain(Duration::ZERO);
        let report = within("a drain with a handler that computes", move || server.join()).unwrap();
        assert!(report.cut[0].abandoned, "{report:?}");
        drop(client);
        release.send(()).unwrap();
        let give_up = std::time::Instant::now() + PATIENCE;
        // Nobody comes in meanwhile: it ends by itself.
        while let Err(error) = std::net::TcpListener::bind(address) {
            assert!(std::time::Instant::now() < give_up, "{error}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn tasks_are_refused_inside_a_runtime() {
    for runtime in runtimes() {
        let mut server = Server::bind("tcp://127.0.0.1:0").unwrap();
        // If it did serve it would end at once.
        server.handle().shutdown();
        let error = runtime.block_on(async { server.serve(Tasks::new(1), echo).unwrap_err() });
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("`server.run(handler)`"), "{error}");
        // It goes on being of use.
        server.handle().shutdown();
        runtime.block_on(server.run(echo)).unwrap();
    }
}

/// Gives one connection, and fails for good when it is told to.
struct Failing(Option<DuplexStream>, tokio::sync::oneshot::Receiver<()>);

impl Accept for Failing {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn AsyncTransport>, Peer)>> {
        if let Some(end) = self.0.take() {
            return Poll::Ready(Ok((Box::new(end), Peer::unnamed())));
        }
        std::pin::Pin::new(&mut self.1).poll(cx).map(|_| Err(io::Error::other("the tunnel has fallen in")))
    }
}

/// Whoever is in when accepting fails for good is answered all the same, and then `serve` says what failed.
#[test]
fn a_source_that_fails_lets_those_who_are_in_finish() {
    for shards in [1, 2] {
        let (mut near, far) = duplex(1024);
        let (fail, failing) = tokio::sync::oneshot::channel();
        let server = Server::bind([]).unwrap().accept_from(Failing(Some(far), failing)).unwrap();
        let running = server.spawn(Tasks::new(shards), echo).unwrap();
        let handle = running.handle().clone();
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async move {
            near.write_all(b"hello\nhel").await.unwrap();
            let mut reply = [0; 6];
            near.read_exact(&mut reply).await.unwrap();
            fail.send(()).unwrap();
            tokio::time::timeout(PATIENCE, handle.draining()).await.expect("the server stops");
            near.write_all(b"lo\n").await.unwrap();
            near.read_exact(&mut reply).await.unwrap();
            assert_eq!(&reply, b"hello\n");
            drop(near);
        });
        let error = within("a server whose source failed", move || running.join()).unwrap_err();
        assert!(error.to_string().contains("the tunnel has fallen in"), "{error}");
    }
}
