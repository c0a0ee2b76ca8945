//! Sources whose `accept` fails in any order, and transports that are cut to pieces, interrupted, slow and reset at any byte.

use crate::paused::{Ends, HOUR, serves, took};
use rustix::io::Errno;
use socketserver::framing::{Decoder, Delimiter, Framing, LengthPrefix, Line, Netstring, Varint};
use socketserver::{Channel, MessageHandler, Model, Reason, Report, Serial, Server, Tasks, Threads};
use socketserver_testkit::faults::{Faults, Faulty, FaultyAccept};
use socketserver_testkit::{MemoryConnector, MemoryListener, PairListener, paused, within};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;

/// A connection is lost, each time.
const LOST: [Errno; 5] = [Errno::CONNABORTED, Errno::INTR, Errno::PROTO, Errno::HOSTUNREACH, Errno::PERM];
/// Something ran out.
const EXHAUSTED: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];

/// All of them, in an order of its own for each number.
fn in_some_order(order: usize) -> Vec<Errno> {
    let mut errors: Vec<_> = LOST.into_iter().chain(EXHAUSTED).collect();
    errors.rotate_left(order % LOST.len());
    (0..errors.len()).for_each(|at| errors.swap(at, (at * (order + 3) + order) % LOST.len()));
    errors
}

#[track_caller]
fn assert_counted(report: &Report, clients: u64) {
    let totals = report.totals;
    assert_eq!((totals.lost, totals.exhausted, totals.shed), (LOST.len() as u64, EXHAUSTED.len() as u64, 0));
    assert_eq!((report.served, totals.failed), (clients, 0));
}

#[test]
fn accepting_gets_over_errors_in_any_order_on_the_blocking_engine() {
    fn check<M: Model<Engine = socketserver::Blocking> + Send + 'static>(model: M, order: usize) {
        let (listener, connector) = PairListener::new().unwrap();
        // Who rests for want of descriptors looks for somebody to close: there is nobody then.
        let errors = in_some_order(order).into_iter().flat_map(|error| match EXHAUSTED.contains(&error) {
            true => vec![error, Errno::AGAIN],
            false => vec![error],
        });
        let server = Server::bind([]).unwrap().accept_from_blocking(FaultyAccept::failing(listener, errors)).unwrap();
        let server = server.spawn(model, crate::echo).unwrap();
        for _ in 0..3 {
            let mut client = connector.connect().unwrap();
            client.write_all(b"hello\n").unwrap();
            client.read_exact(&mut [0; 6]).unwrap();
        }
        assert_counted(&server.stop().unwrap(), 3);
    }
    for order in 0..4 {
        check(Serial::default(), order);
        check(Threads::new(3), order);
    }
}

#[test]
fn accepting_gets_over_errors_in_any_order_on_the_async_engine() {
    for order in 0..20 {
        paused(move || async move {
            let (listener, connector) = MemoryListener::new();
            let source = FaultyAccept::failing(listener, in_some_order(order));
            let server = Server::bind([]).unwrap().accept_from(source).unwrap();
            let clients = async {
                for _ in 0..3 {
                    let mut client = connector.connect();
                    client.write_all(b"hello\n").await.unwrap();
                    client.read_exact(&mut [0; 6]).await.unwrap();
                }
            };
            assert_counted(&serves(server, crate::tasks::echo, clients).await, 3);
        });
    }
}

/// Among those who are closed for want of descriptors, and the one with whom so many are lost that accepting rests.
#[test]
fn whoever_is_lost_is_counted_wherever_that_happens() {
    let (listener, connector) = PairListener::new().unwrap();
    let closing = [Errno::MFILE, Errno::CONNABORTED, Errno::INTR, Errno::AGAIN];
    let in_a_row = [Errno::CONNABORTED; 65];
    let source = FaultyAccept::failing(listener, closing.into_iter().chain(in_a_row));
    let server = Server::bind([]).unwrap().accept_from_blocking(source).unwrap();
    let server = server.spawn(Serial::default(), crate::echo).unwrap();
    let mut client = connector.connect().unwrap();
    client.write_all(b"hello\n").unwrap();
    client.read_exact(&mut [0; 6]).unwrap();
    drop(client);
    let report = server.stop().unwrap();
    let totals = report.totals;
    assert_eq!((report.served, totals.lost, totals.exhausted, totals.shed), (1, 67, 2, 0));
}

#[test]
fn accepting_ends_with_what_cannot_be_got_over() {
    for error in [Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::OPNOTSUPP, Errno::FAULT] {
        // In the midst of others.
        let errors = move || LOST.into_iter().chain([error]).chain(LOST);
        let (listener, connector) = PairListener::new().unwrap();
        let _waits = connector.connect().unwrap();
        let source = FaultyAccept::failing(listener, errors());
        let mut server = Server::bind([]).unwrap().accept_from_blocking(source).unwrap();
        let failed = within("a server that cannot accept", move || server.serve(Threads::new(2), crate::echo));
        assert!(failed.unwrap_err().to_string().contains("cannot accept"), "{error}");
        let source = FaultyAccept::failing(MemoryListener::new().0, errors());
        let mut server = Server::bind([]).unwrap().accept_from(source).unwrap();
        let failed = within("a server that cannot accept", move || server.serve(Tasks::new(2), crate::tasks::echo));
        assert!(failed.unwrap_err().to_string().contains("cannot accept"), "{error}");
    }
}

/// A server whose connections meet these faults, with buffers that are soon full.
fn faulty(faults: impl FnMut(usize) -> Faults + Send + 'static) -> (Server<socketserver::Async>, MemoryConnector) {
    let (listener, connector) = MemoryListener::new();
    let source = FaultyAccept::failing(listener, [Errno::INTR]).transports(faults);
    (Server::bind([]).unwrap().accept_from(source).unwrap(), connector.buffer(100))
}

/// Of many lengths.
fn messages() -> Vec<Vec<u8>> {
    (0..60_usize).map(|at| vec![b'a' + (at % 26) as u8; at * at % 700]).collect()
}

fn frames(framing: &impl Framing, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut frames = Vec::new();
    messages.iter().for_each(|message| framing.encode(message, &mut frames).unwrap());
    frames
}

fn come_whole(framing: impl Framing + Clone + Send + Sync + 'static) {
    let (messages, all) = (messages(), frames(&framing, &messages()));
    // The blocking side, by a decoder.
    for seed in 0..20 {
        let mut sent = Faulty::new(Vec::new(), Faults::seeded(seed));
        Write::write_all(&mut sent, &all).unwrap();
        let sent = sent.into_inner().unwrap();
        let mut input = Faulty::new(&sent[..], Faults::seeded(!seed));
        let (mut decoder, mut heard, mut buf) = (Decoder::new(framing.clone()), Vec::new(), [0; 400]);
        loop {
            match Read::read(&mut input, &mut buf) {
                Ok(0) => break,
                Ok(count) => {
                    let mut piece = &buf[..count];
                    while let Some(message) = decoder.next(&mut piece).unwrap() {
                        heard.push(message.to_vec());
                    }
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::Interrupted),
            }
        }
        assert!(heard == messages, "seed {seed}");
    }
    // The async engine: a peer as faulty as the server.
    paused(move || async move {
        const SEEDS: u64 = 20;
        let (server, source) = faulty(|nth| Faults::seeded(nth as u64));
        let echo = (|message: &[u8], c: &mut Channel| Ok(c.send(message)?)).framed(framing);
        let clients = async {
            for seed in 0..SEEDS {
                let (mut reads, mut writes) = tokio::io::split(Faulty::new(source.connect(), Faults::seeded(!seed)));
                let mut heard = vec![0; all.len()];
                let (sent, read) = tokio::join!(writes.write_all(&all), reads.read_exact(&mut heard));
                sent.unwrap();
                read.unwrap();
                assert!(heard == all, "seed {seed}");
            }
        };
        let report = serves(server, echo, clients).await;
        assert_eq!((report.served, report.totals.lost), (SEEDS, 1));
    });
}

#[test]
fn messages_come_whole_through_any_faults() {
    come_whole(LengthPrefix::u32_be());
    come_whole(Line::new());
    come_whole(Delimiter::new("\r\n\r\n"));
    come_whole(Netstring::new());
    come_whole(Varint::new());
}

/// However much came before the reset: what is whole of that is handled, and nothing else.
#[test]
fn a_reset_at_any_byte_costs_what_comes_after_it() {
    let messages: [&[u8]; 4] = [b"one", b"", b"three", b"x"];
    let mut all = Vec::new();
    // How many are whole when so many bytes have come.
    let mut whole = vec![0];
    for message in messages {
        LengthPrefix::u16_be().encode(message, &mut all).unwrap();
        let before = whole[whole.len() - 1];
        whole.resize(all.len(), before);
        whole.push(before + 1);
    }
    paused(move || async move {
        let resets = all.len();
        let (tell, mut ends) = unbounded_channel();
        let (server, source) = faulty(|nth| Faults::none().reset_after_reading(nth as u64));
        let server = server.observe(Ends(tell));
        let handled = Arc::new(AtomicUsize::new(0));
        let count = handled.clone();
        let handler = move |_: &[u8], _: &mut Channel| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        let clients = async {
            for whole in &whole[..=resets] {
                let mut client = source.connect();
                client.write_all(&all).await.unwrap();
                assert_eq!(ends.recv().await, Some(Reason::Disconnected));
                assert_eq!(handled.swap(0, Ordering::SeqCst), *whole);
            }
        };
        let report = serves(server, handler.framed(LengthPrefix::u16_be()), clients).await;
        assert_eq!(report.served, resets as u64 + 1);
    });
}

#[test]
fn a_reset_while_it_writes_is_a_peer_that_left() {
    paused(|| async {
        let (tell, mut ends) = unbounded_channel();
        let (server, source) = faulty(|nth| Faults::seeded(nth as u64).reset_after_writing(nth as u64));
        let server = server.observe(Ends(tell));
        let clients = async {
            for nth in 0..12 {
                let mut client = source.connect();
                client.write_all(b"hello, world\n").await.unwrap();
                let mut heard = Vec::new();
                client.read_to_end(&mut heard).await.unwrap();
                assert_eq!(heard, &b"hello, world\n"[..nth]);
                assert_eq!(ends.recv().await, Some(Reason::Disconnected));
            }
        };
        assert_eq!(serves(server, crate::tasks::echo, clients).await.served, 12);
    });
}

/// Whoever takes a byte an hour is not stuck; who takes none for longer is.
#[test]
fn a_slow_transport_has_the_write_deadline_for_each_piece() {
    paused(|| async {
        let (tell, mut ends) = unbounded_channel();
        let (server, source) = faulty(|nth| Faults::none().slow_to_write(if nth == 0 { HOUR } else { 4 * HOUR }));
        let server = server.write_timeout(2 * HOUR).idle(None).observe(Ends(tell));
        let clients = async {
            let start = Instant::now();
            let mut client = source.clone().buffer(1).connect();
            client.write_all(b"hello\n").await.unwrap();
            client.shutdown().await.unwrap();
            let mut heard = String::new();
            client.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "hello\n");
            took(start, 6);
            assert_eq!(ends.recv().await, Some(Reason::Finished));
            let start = Instant::now();
            let mut client = source.connect();
            client.write_all(b"hello\n").await.unwrap();
            assert_eq!(ends.recv().await, Some(Reason::WriteTimeout));
            took(start, 2);
        };
        assert_eq!(serves(server, crate::tasks::echo, clients).await.served, 2);
    });
}
