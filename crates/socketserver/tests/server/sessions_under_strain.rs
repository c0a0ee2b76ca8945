//! Sessions whose handlers or peers make it hard for the others.

use crate::eventually;
use crate::sessions::{client, exchange, hear, udp};
use socketserver::{AsyncDatagramHandler, Datagram, Endpoint, Running, Server, Session, Tasks, Threads, UnixName};
use socketserver::{blocking, sessions};
use socketserver_testkit::PATIENCE;
use std::future::poll_fn;
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::task::Poll;
use std::time::Duration;

/// Lets others go on, without the runtime's help.
async fn give_way() {
    let mut again = true;
    poll_fn(move |cx| {
        if std::mem::take(&mut again) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

#[test]
fn who_wakes_himself_all_the_time_holds_up_no_timer_and_nobody_else() {
    let server = udp()
        .spawn(
            Tasks::new(1),
            sessions(async |s: &mut Session| {
                while let Some(packet) = s.recv().await? {
                    if packet == b"busy" {
                        let (done, mut is_done) = tokio::sync::oneshot::channel();
                        tokio::spawn(async {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                            done.send(())
                        });
                        s.send(b"begun").await?;
                        while is_done.try_recv().is_err() {
                            give_way().await;
                        }
                    }
                    s.send(&packet).await?;
                }
                Ok(())
            }),
        )
        .unwrap();
    let (busy, other) = (client(&server), client(&server));
    assert_eq!(exchange(&busy, "busy"), "begun");
    assert_eq!(exchange(&other, "hello"), "hello");
    assert_eq!(hear(&busy), "busy");
    assert!(server.stop().unwrap().is_clean());
}

#[test]
fn who_sends_without_end_lets_others_send_and_hears_of_the_drain() {
    let server = udp()
        .spawn(
            Tasks::new(1),
            sessions(async |s: &mut Session| {
                while let Some(packet) = s.recv().await? {
                    if packet == b"stream" {
                        let mut draining = s.server().draining();
                        loop {
                            for _ in 0..64 {
                                s.send(&[1; 1200]).await?;
                            }
                            // Not to be ready costs no turn.
                            let now = poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut draining).poll(cx).is_ready()));
                            if now.await {
                                return Ok(());
                            }
                        }
                    }
                    s.send(&packet).await?;
                }
                Ok(())
            }),
        )
        .unwrap();
    let (greedy, other) = (client(&server), client(&server));
    greedy.send(b"stream").unwrap();
    let mut piece = [0; 2000];
    assert_eq!(greedy.recv(&mut piece).unwrap(), 1200);
    for _ in 0..3 {
        assert_eq!(exchange(&other, "hello"), "hello");
    }
    assert!(server.stop().unwrap().is_clean());
}

#[test]
fn a_unix_peer_that_does_not_read_pins_no_thread() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let server = Server::bind(Endpoint::Unixgram { name: UnixName::Path(path.clone()), mode: None })
        .unwrap()
        .spawn(
            Threads::new(4),
            sessions(move |s: &mut blocking::Session| {
                s.recv()?;
                let failed = std::iter::repeat_with(|| s.send(b"hello")).find_map(Result::err);
                tell.lock().unwrap().send(failed.map(|error| error.kind()))?;
                Ok(())
            }),
        )
        .unwrap();
    let deaf = UnixDatagram::bind(dir.path().join("deaf")).unwrap();
    deaf.send_to(b"hello", &path).unwrap();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), Some(std::io::ErrorKind::WouldBlock));
    assert!(server.stop().unwrap().is_clean());
}

/// Ten packets of one peer, which wait when the server begins to look.
fn answered(server: Running) -> usize {
    server.handle().suspend();
    let client = client(&server);
    for number in 0..10_u8 {
        client.send(&[number]).unwrap();
    }
    server.handle().resume();
    eventually(|| server.handle().totals().packets == 10);
    // A thread takes its time.
    assert_eq!(hear(&client), "\0");
    let report = server.stop().unwrap();
    assert_eq!(report.totals.replies + report.totals.queue_full, 10, "each packet is answered or accounted for");
    usize::try_from(report.totals.replies).unwrap()
}

#[test]
fn a_packet_that_comes_when_its_session_has_ended_begins_another() {
    let on_tasks = sessions(async |s: &mut Session| {
        if let Some(packet) = s.recv().await? {
            s.send(&packet).await?;
        }
        Ok(())
    });
    assert_eq!(answered(udp().spawn(Tasks::new(1), on_tasks).unwrap()), 10);
    let on_threads = sessions(|s: &mut blocking::Session| {
        if let Some(packet) = s.recv()? {
            s.send(&packet)?;
        }
        Ok(())
    });
    // What comes until a thread is there is in the queue of a session that takes one.
    assert!(answered(udp().spawn(Threads::new(4), on_threads).unwrap()) >= 1);
}

#[test]
fn silent_peers_do_not_keep_all_threads() {
    let server = udp()
        .spawn(
            Threads::new(2),
            sessions(|s: &mut blocking::Session| {
                while let Some(packet) = s.recv()? {
                    s.send(&packet)?;
                }
                Ok(())
            }),
        )
        .unwrap();
    let silent: Vec<_> = (0..2).map(|_| client(&server)).collect();
    for client in &silent {
        assert_eq!(exchange(client, "once"), "once");
    }
    assert_eq!(exchange(&client(&server), "hello"), "hello");
    assert_eq!(server.stop().unwrap().totals.evicted, 1);
}

#[test]
fn a_session_may_be_served_on_another_thread() {
    let server = udp()
        .spawn(
            Threads::new(2),
            sessions(|s: &mut blocking::Session| {
                let serve = || {
                    while let Some(packet) = s.recv()? {
                        s.send(&packet)?;
                    }
                    std::io::Result::Ok(())
                };
                Ok(std::thread::scope(|scope| scope.spawn(serve).join().unwrap())?)
            }),
        )
        .unwrap();
    let client = client(&server);
    for _ in 0..3 {
        assert_eq!(exchange(&client, "hello"), "hello");
    }
    assert!(server.stop().unwrap().is_clean());
}

/// It fails before there is anything to wait for.
struct Early;

impl AsyncDatagramHandler for Early {
    fn handle(&self, d: &mut Datagram) -> impl Future<Output = socketserver::Result> {
        assert!(d.packet() != b"panic", "as it was told");
        async { Ok(d.reply(b"fine")?) }
    }
}

#[test]
fn a_panic_before_there_is_a_future_is_that_of_one_alone() {
    let early = sessions(|s: &mut Session| {
        assert!(!s.peer().to_string().starts_with("127.0.0.66"), "as it was told");
        async { Ok(()) }
    });
    let server = udp().spawn(Tasks::new(1), early).unwrap();
    crate::sessions::client_at("127.0.0.66", &server).send(b"hello").unwrap();
    eventually(|| server.handle().totals().failed == 1);
    client(&server).send(b"hello").unwrap();
    eventually(|| server.handle().totals().closed == 2);
    assert!(server.stop().unwrap().is_clean());

    let server = udp().spawn(Tasks::new(1), Early).unwrap();
    let client = client(&server);
    client.send(b"panic").unwrap();
    assert_eq!(exchange(&client, "hello"), "fine");
    assert_eq!(server.stop().unwrap().totals.packets_failed, 1);
}

#[test]
fn a_session_that_gave_up_waiting_for_a_packet_is_at_work() {
    let (go, wait) = tokio::sync::watch::channel(false);
    let server = udp()
        .spawn(
            Tasks::new(1),
            sessions(async move |s: &mut Session| {
                s.recv().await?;
                let nothing = tokio::time::timeout(Duration::from_millis(1), s.recv()).await;
                s.send(if nothing.is_err() { b"waited" } else { b"heard!" }).await?;
                wait.clone().wait_for(|go| *go).await?;
                s.send(b"done").await?;
                Ok(())
            })
            .max(1),
        )
        .unwrap();
    let first = client(&server);
    assert_eq!(exchange(&first, "hello"), "waited");
    client(&server).send(b"hello").unwrap();
    eventually(|| server.handle().totals().over_limit == 1);
    assert_eq!(server.handle().totals().evicted, 0);
    go.send(true).unwrap();
    assert_eq!(hear(&first), "done");
    assert!(server.stop().unwrap().is_clean());
}
