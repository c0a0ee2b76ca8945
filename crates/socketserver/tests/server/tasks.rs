//! Async handlers in one's own runtime, by its clock, and what they leave to other threads.

use crate::{Reasons, within};
use socketserver::{
    Accept, AsyncTransport, Closed, ErrorKind, Observer, Offload, Peer, Reason, Report, Server, Stream, Tasks,
};
use socketserver_testkit::{Client, PATIENCE};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

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

/// Connections in memory.
struct Memory(UnboundedReceiver<DuplexStream>);

impl Accept for Memory {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn AsyncTransport>, Peer)>> {
        match self.0.poll_recv(cx) {
            Poll::Ready(Some(end)) => Poll::Ready(Ok((Box::new(end), Peer::unnamed()))),
            _ => Poll::Pending,
        }
    }
}

pub(crate) struct Connect(UnboundedSender<DuplexStream>);

impl Connect {
    pub(crate) fn connect(&self) -> DuplexStream {
        let (near, far) = duplex(1024);
        self.0.send(far).unwrap();
        near
    }
}

pub(crate) fn in_memory() -> (Server<socketserver::Async>, Connect) {
    let (connect, source) = unbounded_channel();
    (Server::bind([]).unwrap().accept_from(Memory(source)).unwrap(), Connect(connect))
}

/// Runs this where hours pass in no time.
pub(crate) fn paused<T: Send + 'static, F: Future<Output = T>>(body: impl FnOnce() -> F + Send + 'static) -> T {
    within("a server whose clock is paused", || {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async { body().await })
    })
}

/// It took so long by the paused clock, and an eighth more at most.
pub(crate) fn took(start: Instant, hours: u32) {
    let (time, took) = (HOUR * hours, start.elapsed());
    assert!(time <= took && took <= time + time / 8 + Duration::from_secs(1), "{took:?}");
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Why connections ended, as it happens.
pub(crate) struct Ends(pub(crate) UnboundedSender<Reason>);

impl Observer for Ends {
    fn closed(&self, event: &Closed<'_>) {
        self.0.send(event.reason).unwrap();
    }
}

#[test]
fn the_idle_deadline_is_by_a_paused_clock() {
    paused(|| async {
        let (server, source) = in_memory();
        let (tell, mut ends) = unbounded_channel();
        let mut server = server.idle(8 * HOUR).observe(Ends(tell));
        let handle = server.handle();
        let client = async {
            let mut client = source.connect();
            // Each of them is less than the deadline.
            for _ in 0..3 {
                tokio::time::sleep(6 * HOUR).await;
                client.write_all(b"hello\n").await.unwrap();
                client.read_exact(&mut [0; 6]).await.unwrap();
            }
            let start = Instant::now();
            assert_eq!(client.read(&mut [0; 10]).await.unwrap(), 0);
            took(start, 8);
            assert_eq!(ends.recv().await, Some(Reason::Idle));
            handle.shutdown();
        };
        let (report, ()) = tokio::join!(server.run(echo), client);
        assert_eq!(report.unwrap().served, 1);
    });
}

#[test]
fn a_read_that_was_given_up_has_taken_nothing() {
    paused(|| async {
        let (mut server, source) = in_memory();
        let handle = server.handle();
        let client = async {
            let mut client = source.connect();
            client.write_all(b"one\r\nha").await.unwrap();
            let mut heard = [0; 6];
            client.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"go on\n");
            client.write_all(b"lf\nlast;\n\xff\n").await.unwrap();
            let mut rest = String::new();
            client.read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest, "half, last;, [10] [], InvalidData");
            handle.shutdown();
        };
        let serving = server.run(async |c: &mut Stream| {
            let (mut line, mut bytes) = (String::from("old"), Vec::new());
            assert!(c.read_line_into(100, &mut line).await?);
            assert_eq!(line, "one");
            let given_up = tokio::time::timeout(Duration::from_secs(10), c.read_until_into(b'\n', 100, &mut bytes));
            assert!(given_up.await.is_err());
            c.write_all(b"go on\n").await?;
            assert!(c.read_line_into(100, &mut line).await?);
            assert!(c.read_until_into(b';', 100, &mut bytes).await?);
            let last = String::from_utf8(bytes.clone())?;
            assert!(c.read_until_into(b'\n', 100, &mut bytes).await?);
            let mut text = String::from("old");
            let error = c.read_line_into(100, &mut text).await.unwrap_err();
            let all = format!("{line}, {last}, {bytes:?} {:?}, {:?}", text.as_bytes(), error.kind());
            c.write_all(all.as_bytes()).await?;
            Ok(())
        });
        let (report, ()) = tokio::join!(serving, client);
        assert_eq!(report.unwrap().totals.failed, 0);
    });
}

/// As long as the handler waits for the peer it waits, whatever else it looks at meanwhile.
#[test]
fn a_wait_beside_other_waits_is_as_long() {
    paused(|| async {
        let (server, source) = in_memory();
        let (tell, mut ends) = unbounded_channel();
        let mut server = server.idle(8 * HOUR).observe(Ends(tell));
        let handle = server.handle();
        let client = async {
            let start = Instant::now();
            let client = source.connect();
            assert_eq!(ends.recv().await, Some(Reason::Idle));
            took(start, 8);
            drop(client);
            handle.shutdown();
        };
        let served = server.run(async |c: &mut Stream| {
            let mut line = std::pin::pin!(c.read_line(100));
            loop {
                tokio::select! {
                    line = &mut line => return line.map(|_| ()).map_err(Into::into),
                    () = tokio::time::sleep(HOUR) => {}
                }
            }
        });
        let (report, ()) = tokio::join!(served, client);
        assert_eq!(report.unwrap().served, 1);
    });
}

#[test]
fn the_write_deadline_is_by_a_paused_clock() {
    paused(|| async {
        let (server, source) = in_memory();
        let (tell, mut ends) = unbounded_channel();
        let mut server = server.write_timeout(3 * HOUR).observe(Ends(tell));
        let handle = server.handle();
        let client = async {
            let start = Instant::now();
            // It never reads.
            let client = source.connect();
            assert_eq!(ends.recv().await, Some(Reason::WriteTimeout));
            took(start, 3);
            drop(client);
            handle.shutdown();
        };
        let served = server.run(async |c: &mut Stream| {
            loop {
                c.write_all(b"all work and no play\n").await?;
            }
        });
        let (report, ()) = tokio::join!(served, client);
        assert!(report.unwrap().is_clean());
    });
}

#[test]
fn a_write_that_was_given_up_leaves_no_deadline_behind() {
    paused(|| async {
        let (server, source) = in_memory();
        let mut server = server.write_timeout(3 * HOUR);
        let handle = server.handle();
        let (tell, mut told) = unbounded_channel();
        let client = async {
            // It never reads.
            let client = source.connect();
            told.recv().await.unwrap();
            drop(client);
            handle.shutdown();
        };
        let served = server.run(async move |c: &mut Stream| {
            let much = [0; 10_000];
            assert!(tokio::time::timeout(2 * HOUR, c.write_all(&much)).await.is_err());
            let start = Instant::now();
            assert_eq!(c.write_all(&much).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
            took(start, 3);
            tell.send(())?;
            Ok(())
        });
        let (report, ()) = tokio::join!(served, client);
        assert_eq!(report.unwrap().totals.failed, 0);
    });
}

#[test]
fn what_is_written_by_tokios_trait_leaves_without_a_flush() {
    paused(|| async {
        let (mut server, source) = in_memory();
        let handle = server.handle();
        let client = async {
            let mut client = source.connect();
            client.write_all(b"one\ntwo\n").await.unwrap();
            let mut replies = [0; 10];
            client.read_exact(&mut replies).await.unwrap();
            assert_eq!(&replies, b"1st, 2nd.\n");
            drop(client);
            handle.shutdown();
        };
        let served = server.run(async |c: &mut Stream| {
            for reply in [&b"1st, "[..], b"2nd.\n"] {
                c.read_line(100).await?;
                assert_eq!(AsyncWriteExt::write(c, reply).await?, reply.len());
            }
            // It waits for something else, and nobody flushes.
            c.draining().await;
            Ok(())
        });
        let (report, ()) = tokio::join!(served, client);
        assert_eq!(report.unwrap().totals.failed, 0);
    });
}

#[test]
fn the_drains_deadline_is_by_a_paused_clock() {
    paused(|| async {
        let (server, source) = in_memory();
        let (tell, mut ends) = unbounded_channel();
        let mut server = server.drain_deadline(2 * HOUR).observe(Ends(tell));
        let handle = server.handle();
        let stop = async {
            let mut client = source.connect();
            client.read_exact(&mut [0; 3]).await.unwrap();
            handle.shutdown();
            client
        };
        let start = Instant::now();
        let served = server.run(async |c: &mut Stream| {
            c.write_all(b"go\n").await?;
            std::future::pending().await
        });
        let (report, mut client) = tokio::join!(served, stop);
        took(start, 2);
        let report: Report = report.unwrap();
        assert_eq!(report.cut.iter().map(|cut| (cut.id, cut.abandoned)).collect::<Vec<_>>(), [(1, false)]);
        assert_eq!(ends.recv().await, Some(Reason::Aborted));
        assert_eq!(client.read(&mut [0; 10]).await.unwrap(), 0);
    });
}

#[test]
fn every_is_by_a_paused_clock() {
    paused(|| async {
        let (server, _source) = in_memory();
        let turns = Arc::new(AtomicUsize::new(0));
        let turn = turns.clone();
        let start = Instant::now();
        let mut server = server.every(HOUR, move |handle| {
            if turn.fetch_add(1, Ordering::SeqCst) == 9 {
                handle.shutdown();
            }
            Ok(())
        });
        server.run(echo).await.unwrap();
        took(start, 10);
        assert_eq!(turns.load(Ordering::SeqCst), 10);
    });
}

/// A source that has no descriptors left, again and again, and then a connection.
struct Exhausted(VecDeque<DuplexStream>, usize);

impl Accept for Exhausted {
    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(Box<dyn AsyncTransport>, Peer)>> {
        if self.1 > 0 {
            self.1 -= 1;
            return Poll::Ready(Err(rustix::io::Errno::MFILE.into()));
        }
        self.0.pop_front().map_or(Poll::Pending, |end| Poll::Ready(Ok((Box::new(end), Peer::unnamed()))))
    }
}

#[test]
fn accepting_rests_by_a_paused_clock() {
    paused(|| async {
        // Not the same any more as everybody else's.
        tokio::time::advance(HOUR).await;
        let (mut near, far) = duplex(1024);
        let mut server = Server::bind([]).unwrap().accept_from(Exhausted([far].into(), 5)).unwrap();
        let handle = server.handle();
        let start = Instant::now();
        let client = async {
            near.write_all(b"hello\n").await.unwrap();
            near.read_exact(&mut [0; 6]).await.unwrap();
            // 5, 10, 20, 40, 80 ms, and the runtime's timers go by whole ones.
            let took = start.elapsed().as_millis();
            assert!((155..=160).contains(&took), "{took} ms");
            handle.shutdown();
        };
        let (report, ()) = tokio::join!(server.run(echo), client);
        assert_eq!(report.unwrap().totals.exhausted, 5);
    });
}

#[test]
fn offloaded_work_is_done_so_many_at_a_time() {
    for limit in [1, 3] {
        let offload = Offload::new(limit);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, highest) = (now.clone(), most.clone());
        let server = Server::bind("tcp://127.0.0.1:0").unwrap();
        let server = server
            .spawn(Tasks::new(2), async move |c: &mut Stream| {
                let (now, most) = (counted.clone(), highest.clone());
                let work = move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(20));
                    now.fetch_sub(1, Ordering::SeqCst);
                };
                offload.run(work).await?;
                c.write_all(b"done\n").await?;
                Ok(())
            })
            .unwrap();
        let mut clients: Vec<Client> = (0..9).map(|_| crate::connect(&server)).collect();
        for client in &mut clients {
            client.expect("done\n");
        }
        assert_eq!((most.load(Ordering::SeqCst), now.load(Ordering::SeqCst)), (limit, 0));
        server.stop().unwrap();
    }
}

#[test]
fn offloaded_work_holds_up_nobody_and_its_panic_is_an_error() {
    let offload = Offload::new(1);
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let server = Server::bind("tcp://127.0.0.1:0").unwrap();
    let server = server
        .spawn(Tasks::new(1), async move |c: &mut Stream| {
            while let Some(word) = c.read_line(100).await? {
                let released = released.clone();
                // What was written leaves before a wait for something else.
                c.flush().await?;
                let reply = match &word[..] {
                    "wait" => offload.run(move || released.lock().unwrap().recv_timeout(PATIENCE).is_ok()).await?,
                    "panic" => {
                        let error = offload.run(|| panic!("on purpose")).await.unwrap_err();
                        error.to_string() == "panicked: on purpose"
                    }
                    _ => true,
                };
                c.write_all(format!("{word} {reply}\n").as_bytes()).await?;
            }
            Ok(())
        })
        .unwrap();
    let mut clients = [crate::connect(&server), crate::connect(&server), crate::connect(&server)];
    clients[0].say("echo\nwait\n");
    clients[0].expect("echo true\n");
    // On the same shard, while that goes on.
    clients[1].say("echo\npanic\n");
    clients[1].expect("echo true\n");
    clients[2].say("echo\n");
    clients[2].expect("echo true\n");
    release.send(()).unwrap();
    clients[0].expect("wait true\n");
    clients[1].expect("panic true\n");
    // A panic gives its turn back.
    clients[2].say("panic\n");
    clients[2].expect("panic true\n");
    drop(clients);
    assert!(server.stop().unwrap().is_clean());
}

#[test]
fn offloaded_work_does_not_hold_up_the_end() {
    for shards in [1, 2] {
        let (release, released) = mpsc::channel();
        let (tell, begun) = mpsc::channel();
        let (released, tell) = (Arc::new(Mutex::new(released)), Mutex::new(tell));
        let offload = Offload::new(1);
        let server = Server::bind("tcp://127.0.0.1:0")
            .unwrap()
            .spawn(Tasks::new(shards), async move |_: &mut Stream| {
                let (released, tell) = (released.clone(), tell.lock().unwrap().clone());
                let wait = move || {
                    tell.send(()).unwrap();
                    released.lock().unwrap().recv_timeout(2 * PATIENCE)
                };
                offload.run(wait).await??;
                Ok(())
            })
            .unwrap();
        let _client = crate::connect(&server);
        begun.recv_timeout(PATIENCE).unwrap();
        server.handle().drain(Duration::ZERO);
        let report = within("a drain with work left to another thread", move || server.join()).unwrap();
        assert_eq!(report.cut.len(), 1, "{report:?}");
        release.send(()).unwrap();
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
