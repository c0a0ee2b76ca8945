//! Trains of packets: a handler is given one packet after the other, on every model of one process, and trains are answered
//! in trains.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socketserver::{Datagram, Model, Serial, Server, Session, Tasks, Threads, sessions};
use socketserver_sys::{Inbox, Outbox, join_trains, joins_trains};
use socketserver_testkit::PATIENCE;
use std::net::UdpSocket;
use std::sync::Mutex;
use std::sync::mpsc::channel;

/// Runs the same with each model that fits into one process.
macro_rules! on_each_model {
    ($check:ident) => {
        $check(Serial::default());
        $check(Threads::new(4));
        $check(Tasks::new(1));
        $check(Tasks::new(2));
    };
}

fn echo(d: &mut Datagram) -> socketserver::Result {
    let (packet, mut replies) = d.split();
    Ok(replies.send(packet)?)
}

/// A socket for a server, and another hold of it to see what becomes of it.
fn socket() -> (UdpSocket, UdpSocket) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    (socket.try_clone().unwrap(), socket)
}

fn client(server: &UdpSocket) -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(server.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// Packets of these sizes, each list as one train.
fn send(client: &UdpSocket, trains: &[&[usize]]) {
    let mut outbox = Outbox::default();
    for train in trains {
        for (at, len) in train.iter().enumerate() {
            outbox.join(at > 0);
            outbox.push(&vec![at as u8; *len], None, None);
        }
    }
    assert!(outbox.send(client, |_, error| panic!("{error}")));
    assert!(!outbox.take_refused());
}

/// The sizes of so many packets that come to whoever knows no trains.
fn sizes(client: &UdpSocket, count: usize) -> Vec<usize> {
    let mut buf = [0; 2000];
    (0..count).map(|_| client.recv(&mut buf).unwrap()).collect()
}

/// The same for whoever joins them: a list for each train.
fn trains(client: &UdpSocket, count: usize) -> Vec<Vec<usize>> {
    let (mut inbox, mut trains, mut left) = (Inbox::new(16, 65_535), Vec::new(), count);
    let patience = Timespec::try_from(PATIENCE).unwrap();
    while left > 0 {
        assert_eq!(poll(&mut [PollFd::new(client, PollFlags::IN)], Some(&patience)).unwrap(), 1, "{left} are missing");
        for at in 0..inbox.receive(client).unwrap() {
            let sizes: Vec<_> = inbox.packet(at).parts().map(<[u8]>::len).collect();
            left = left.checked_sub(sizes.len()).expect("more than were asked for");
            trains.push(sizes);
        }
    }
    trains
}

#[test]
fn a_train_is_handled_packet_by_packet_and_answered_in_one() {
    fn check<M: Model + Send + 'static>(model: M)
    where
        socketserver::AnyEngine: socketserver::Suits<M::Engine>,
    {
        let (seen, socket) = socket();
        let server = Server::bind(socket).unwrap();
        // So that what is sent has come before anything is received.
        server.handle().suspend();
        let (one, other) = (client(&seen), client(&seen));
        join_trains(&other, true).unwrap();
        send(&one, &[&[100; 40], &[1200, 1200, 700]]);
        let server = server.spawn(model, echo).unwrap();
        assert!(!joins_trains(&seen).unwrap());
        server.handle().resume();
        // Before it knows: they come as packets of one sender, one after the other.
        let expected = [&[100; 40][..], &[1200, 1200, 700]].concat();
        assert_eq!(sizes(&one, 43), expected);
        assert!(joins_trains(&seen).unwrap(), "many came that were alike");
        // Each in a call of its own, since several threads may answer.
        for train in [&[1200; 50][..], &[1200, 1200, 1], &[300], &[0], &[7; 64]] {
            send(&one, &[train]);
            assert_eq!(sizes(&one, train.len()), train);
            send(&other, &[train]);
            assert_eq!(trains(&other, train.len()), [train]);
        }
        let report = server.stop().unwrap();
        assert!(report.is_clean());
        let totals = report.totals;
        let count = 43 + 2 * (50 + 3 + 1 + 1 + 64);
        assert_eq!((totals.packets, totals.replies, totals.unsent, totals.truncated), (count, count, 0, 0));
        assert!(!joins_trains(&seen).unwrap(), "it is as it was");
    }
    on_each_model!(check);
}

#[test]
fn trains_and_packets_of_several_come_together() {
    let (seen, socket) = socket();
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let server = Server::bind(socket)
        .unwrap()
        .spawn(Serial::default(), move |d: &mut Datagram| {
            tell.lock().unwrap().send((d.peer().addr().unwrap().port(), d.packet().to_vec()))?;
            echo(d)
        })
        .unwrap();
    let clients = [client(&seen), client(&seen)];
    send(&clients[0], &[&[5; 20]]);
    assert_eq!(sizes(&clients[0], 20), [5; 20]);
    while told.try_recv().is_ok() {}
    // Whether it was quick enough to see the first as one batch or not.
    join_trains(&seen, true).unwrap();
    let sent: [(usize, &[usize]); 8] = [
        (0, &[100; 5]),
        (1, &[50]),
        (0, &[0]),
        (0, &[200, 200, 150]),
        (1, &[64; 4]),
        (1, &[63; 4]),
        (0, &[10]),
        (0, &[10]),
    ];
    for (from, train) in sent {
        send(&clients[from], &[train]);
    }
    for (from, train) in sent {
        for (at, len) in train.iter().enumerate() {
            let (port, packet) = told.recv_timeout(PATIENCE).unwrap();
            assert_eq!(port, clients[from].local_addr().unwrap().port());
            assert_eq!(packet, vec![at as u8; *len]);
        }
    }
    for (at, client) in clients.iter().enumerate() {
        let all: Vec<_> = sent.iter().filter(|(from, _)| *from == at).flat_map(|(_, train)| *train).copied().collect();
        assert_eq!(sizes(client, all.len()), all);
    }
    let totals = server.stop().unwrap().totals;
    assert_eq!((totals.packets, totals.replies), (20 + 20, 20 + 20));
}

#[test]
fn several_replies_to_one_packet_leave_as_a_train() {
    let (seen, socket) = socket();
    let server = Server::bind(socket)
        .unwrap()
        .spawn(Serial::default(), |d: &mut Datagram| {
            for len in [500, 500, 500, 20, 30] {
                d.reply(&vec![7; len])?;
            }
            Ok(())
        })
        .unwrap();
    let client = client(&seen);
    join_trains(&client, true).unwrap();
    client.send(b"tell me").unwrap();
    assert_eq!(trains(&client, 5), [vec![500, 500, 500, 20], vec![30]]);
    assert_eq!(server.stop().unwrap().totals.replies, 5);
}

#[test]
fn a_session_takes_train_after_train() {
    let (seen, socket) = socket();
    let server = Server::bind(socket).unwrap();
    server.handle().suspend();
    let client = client(&seen);
    send(&client, &[&[100; 20]]);
    let echo = sessions(async |s: &mut Session| {
        while let Some(packet) = s.recv().await? {
            s.send(&packet).await?;
        }
        Ok(())
    });
    let server = server.spawn(Tasks::new(1), echo).unwrap();
    server.handle().resume();
    assert_eq!(sizes(&client, 20), [100; 20]);
    assert!(joins_trains(&seen).unwrap());
    // A queue holds 64 packets.
    server.handle().suspend();
    send(&client, &[&[100; 60], &[100; 60], &[100; 60]]);
    server.handle().resume();
    assert_eq!(sizes(&client, 180), [100; 180]);
    let totals = server.stop().unwrap().totals;
    assert_eq!((totals.packets, totals.replies, totals.queue_full), (200, 200, 0));
}

#[test]
fn where_no_trains_come_any_more_none_are_joined() {
    let (seen, socket) = socket();
    let server = Server::bind(socket).unwrap();
    server.handle().suspend();
    let client = client(&seen);
    send(&client, &[&[100; 20]]);
    let server = server.spawn(Serial::default(), echo).unwrap();
    server.handle().resume();
    assert_eq!(sizes(&client, 20), [100; 20]);
    send(&client, &[&[100; 20]]);
    assert_eq!(sizes(&client, 20), [100; 20]);
    assert!(joins_trains(&seen).unwrap());
    let mut single = 0;
    while joins_trains(&seen).unwrap() {
        send(&client, &[&[100]]);
        assert_eq!(sizes(&client, 1), [100]);
        single += 1;
        assert!(single < 1000, "it goes on for ever");
    }
    // Not at once either: between trains there may be others.
    assert!(single > 50);
    assert_eq!(server.stop().unwrap().totals.packets, 40 + single);
}
