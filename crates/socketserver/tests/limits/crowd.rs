//! Sessions, and a crowd of forged peers.

use crate::{Suite, number};
use rustix::net::SocketAddrAny;
use socketserver::Endpoint;
use socketserver_sys::{Local, Outbox};
use socketserver_testkit::{Carrier, How, PATIENCE, Stage};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

pub(crate) fn add(suite: &mut Suite) {
    // The roles know where to listen: packets come over UDP.
    suite.add(
        "a_crowd_of_forgers_displaces_its_own_kind",
        &[How::Tasks(1), How::Tasks(2), How::Threads(8)],
        &[Carrier::Tcp],
        crowd,
    );
}

/// How many sessions there may be.
pub(crate) const MAX: usize = 1000;

/// One socket sends from many addresses, more than there is room for many times over; somebody goes on with a conversation.
fn crowd(how: How, _: &str) {
    let time = if std::env::var_os("SOCKETSERVER_LONG").is_some() { 30 } else { 3 };
    let stage = Stage::open("sessions", how, "udp://127.0.0.1:0");
    let Endpoint::Udp { port, .. } = *stage.endpoint() else { panic!("{}", stage.endpoint()) };
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let honest = UdpSocket::bind("127.0.0.1:0").unwrap();
    honest.connect(server).unwrap();
    // What comes before it serves comes to the first shard, whomever it is from. It serves once somebody is answered.
    let first = UdpSocket::bind("127.0.0.1:0").unwrap();
    first.connect(server).unwrap();
    assert_eq!(talk(&first, 1), 1);
    assert_eq!(talk(&honest, 1), 1);
    assert_eq!(talk(&honest, 2), 2);
    let before = stage.process().resident();
    let mut most = before;
    let over = AtomicBool::new(false);
    let forged = std::thread::scope(|scope| {
        let forger = scope.spawn(|| forge(server, &over));
        let end = Instant::now() + Duration::from_secs(time);
        let mut count = 2;
        while Instant::now() < end {
            // The server has counted each packet of this conversation, and none of another.
            count += 1;
            assert_eq!(talk(&honest, count), count);
            most = most.max(stage.process().resident());
        }
        over.store(true, SeqCst);
        forger.join().unwrap()
    });
    assert!(forged > 20 * MAX as u64, "{forged} are no crowd");
    assert!(most - before < 4 << 20, "it has grown by {} bytes", most - before);
    let ended = stage.stop();
    let told = ended.line("sessions ");
    assert!(number(told, "evicted=") > MAX as u64, "{told}");
}

/// Says a number until it is answered, and gives the answer. Packets may get lost on the way: the queue is full of others.
fn talk(socket: &UdpSocket, number: u64) -> u64 {
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let give_up = Instant::now() + PATIENCE;
    loop {
        socket.send(number.to_string().as_bytes()).unwrap();
        let mut reply = [0; 100];
        match socket.recv(&mut reply) {
            Ok(count) => {
                let heard = std::str::from_utf8(&reply[..count]).unwrap().parse().unwrap();
                // An answer to what was said twice may come late.
                if heard >= number {
                    return heard;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
        assert!(Instant::now() < give_up, "nobody answers");
    }
}

/// Sends from ever other addresses until it is told that it is over; tells how many packets it sent.
fn forge(server: SocketAddr, over: &AtomicBool) -> u64 {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let to = SocketAddrAny::from(server);
    let mut outbox = Outbox::default();
    let mut sent = 0_u64;
    while !over.load(SeqCst) {
        for _ in 0..64 {
            sent += 1;
            // 127.1.0.0 and up, one after the other.
            let from = Ipv4Addr::from(0x7f01_0000 + u32::try_from(sent % (1 << 23)).unwrap());
            let local = Local { to: from.into(), from: Some(IpAddr::V4(from)), interface: 0 };
            outbox.push(b"0", Some(&to), Some(local));
        }
        outbox.send(&socket, |_, error| panic!("{error}"));
        // The replies of the server to it are nobody's.
        std::thread::yield_now();
    }
    sent
}
