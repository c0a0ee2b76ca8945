//! Packets whose handlers are async, and may wait.

use crate::datagrams::{client, exchange, port};
use crate::eventually;
use socketserver::{AsyncDatagramHandler, Datagram, Failure, Peer, Server, Tasks};
use socketserver_testkit::PATIENCE;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

#[test]
fn handlers_that_wait_do_so_beside_each_other() {
    for shards in [1, 2] {
        let (release, released) = tokio::sync::watch::channel(false);
        let server = Server::bind("udp://127.0.0.1:0").unwrap();
        let server = server
            .spawn(Tasks::new(shards), async move |d: &mut Datagram| {
                d.reply(b"wait")?;
                if d.packet() == b"slow" {
                    released.clone().wait_for(|is| *is).await?;
                }
                let upper = d.packet().to_ascii_uppercase();
                Ok(d.reply(&upper)?)
            })
            .unwrap();
        let slow: Vec<_> = (0..100).map(|_| client("127.0.0.1", [127, 0, 0, 1], port(&server))).collect();
        for client in &slow {
            client.send(b"slow").unwrap();
        }
        let quick = client("127.0.0.1", [127, 0, 0, 1], port(&server));
        assert_eq!(exchange(&quick, b"quick"), b"wait");
        let mut reply = [0; 100];
        assert_eq!(quick.recv(&mut reply).unwrap(), 5);
        assert_eq!(&reply[..5], b"QUICK");
        eventually(|| server.handle().totals().packets == 101);
        // A drain waits for those that wait.
        server.handle().shutdown();
        release.send(true).unwrap();
        for client in &slow {
            for words in ["wait", "SLOW"] {
                assert_eq!(client.recv(&mut reply).unwrap(), 4);
                assert_eq!(&reply[..4], words.as_bytes());
            }
        }
        let report = server.join().unwrap();
        assert!(report.is_clean());
        assert_eq!((report.totals.packets, report.totals.replies), (101, 202));
    }
}

#[test]
fn a_handler_that_waits_too_long_is_cut_and_named() {
    let (begin, begun) = channel();
    let begin = Mutex::new(begin);
    let server = Server::bind("udp://127.0.0.1:0").unwrap().drain_deadline(std::time::Duration::from_millis(50));
    let server = server
        .spawn(Tasks::new(1), async move |_: &mut Datagram| {
            begin.lock().unwrap().send(())?;
            std::future::pending().await
        })
        .unwrap();
    let client = client("127.0.0.1", [127, 0, 0, 1], port(&server));
    client.send(b"hello").unwrap();
    begun.recv_timeout(PATIENCE).unwrap();
    let report = server.stop().unwrap();
    assert_eq!(report.cut.len(), 1);
    assert_eq!((report.cut[0].id, report.cut[0].peer.addr()), (0, Some(client.local_addr().unwrap())));
    assert!(!report.cut[0].abandoned);
}

/// As [`Fails`], in async code.
struct FailsLater(Mutex<Sender<String>>);

impl AsyncDatagramHandler for FailsLater {
    async fn handle(&self, d: &mut Datagram) -> socketserver::Result {
        d.reply(b"got it")?;
        tokio::task::yield_now().await;
        match d.packet() {
            b"error" => Err("on purpose")?,
            b"panic" => panic!("on purpose"),
            _ => Ok(()),
        }
    }
    fn verify(&self, peer: &Peer) -> bool {
        peer.addr().is_none_or(|addr| addr.ip() != IpAddr::from([127, 0, 0, 3]))
    }
    fn on_error(&self, error: &Failure, _: &Peer) {
        self.0.lock().unwrap().send(error.to_string()).unwrap();
    }
}

#[test]
fn a_failure_in_async_code_is_that_of_one_packet() {
    let (tell, told) = channel();
    let server = Server::bind("udp://127.0.0.1:0").unwrap();
    let server = server.spawn(Tasks::new(1), FailsLater(Mutex::new(tell))).unwrap();
    let client_at = |from: &str| client(from, [127, 0, 0, 1], port(&server));
    let client = client_at("127.0.0.1");
    for packet in ["error", "panic", "all is well"] {
        assert_eq!(exchange(&client, packet.as_bytes()), b"got it");
    }
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "on purpose");
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "panicked: on purpose");
    client_at("127.0.0.3").send(b"error").unwrap();
    assert_eq!(exchange(&client, b"still there?"), b"got it");
    let totals = server.stop().unwrap().totals;
    assert_eq!((totals.packets, totals.unwelcome, totals.packets_failed, totals.replies), (5, 1, 2, 4));
}
