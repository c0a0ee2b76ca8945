//! Deadlines, duties and rests by a clock that is paused: hours pass in no time, over connections in memory.

use crate::tasks::echo;
use socketserver::{
    Accept, Async, AsyncTransport, Closed, Observer, Peer, Reason, Report, RunsOn, Server, Stream, Tasks,
};
use socketserver_testkit::{MemoryConnector, MemoryListener, paused};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// With buffers that are soon full.
pub(crate) fn in_memory() -> (Server<Async>, MemoryConnector) {
    let (listener, connector) = MemoryListener::new();
    (Server::bind([]).unwrap().accept_from(listener).unwrap(), connector.buffer(1024))
}

/// It took so long by the paused clock, and an eighth more at most.
pub(crate) fn took(start: Instant, hours: u32) {
    let (time, took) = (HOUR * hours, start.elapsed());
    assert!(time <= took && took <= time + time / 8 + Duration::from_secs(1), "{took:?}");
}

/// Serves until the client is through. No handler fails meanwhile.
pub(crate) async fn serves<H, K>(mut server: Server<Async>, handler: H, client: impl Future<Output = ()>) -> Report
where
    H: RunsOn<Tasks, K> + Send + Sync + 'static,
{
    let handle = server.handle();
    let client = async {
        client.await;
        handle.shutdown();
    };
    let (report, ()) = tokio::join!(server.run(handler), client);
    let report = report.unwrap();
    assert_eq!(report.totals.failed, 0);
    report
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
        let server = server.idle(8 * HOUR).observe(Ends(tell));
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
        };
        assert_eq!(serves(server, echo, client).await.served, 1);
    });
}

#[test]
fn the_first_bytes_deadline_is_by_a_paused_clock() {
    paused(|| async {
        let (server, source) = in_memory();
        let (tell, mut ends) = unbounded_channel();
        let server = server.first_byte(2 * HOUR).idle(None).observe(Ends(tell));
        let client = async {
            // One that has said something in time may be silent for ever.
            let mut early = source.connect();
            tokio::time::sleep(HOUR).await;
            early.write_all(b"hello\n").await.unwrap();
            early.read_exact(&mut [0; 6]).await.unwrap();
            let start = Instant::now();
            let mut silent = source.connect();
            assert_eq!(silent.read(&mut [0; 10]).await.unwrap(), 0);
            took(start, 2);
            assert_eq!(ends.recv().await, Some(Reason::FirstByte));
            tokio::time::sleep(1000 * HOUR).await;
            early.write_all(b"hello\n").await.unwrap();
            early.read_exact(&mut [0; 6]).await.unwrap();
            drop(early);
        };
        assert_eq!(serves(server, echo, client).await.served, 2);
    });
}

#[test]
fn the_lifetime_is_by_a_paused_clock() {
    paused(|| async {
        let (server, source) = in_memory();
        let (tell, mut ends) = unbounded_channel();
        let server = server.lifetime(8 * HOUR).idle(None).observe(Ends(tell));
        let client = async {
            let start = Instant::now();
            let mut client = source.connect();
            // However busy it is.
            while client.write_all(b"hello\n").await.is_ok() && client.read_exact(&mut [0; 6]).await.is_ok() {
                tokio::time::sleep(HOUR / 4).await;
            }
            assert_eq!(ends.recv().await, Some(Reason::Lifetime));
            took(start, 8);
        };
        assert_eq!(serves(server, echo, client).await.served, 1);
    });
}

#[test]
fn a_read_that_was_given_up_has_taken_nothing() {
    paused(|| async {
        let (server, source) = in_memory();
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
        };
        let handler = async |c: &mut Stream| {
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
        };
        serves(server, handler, client).await;
    });
}

/// As long as the handler waits for the peer it waits, whatever else it looks at meanwhile.
#[test]
fn a_wait_beside_other_waits_is_as_long() {
    paused(|| async {
        let (server, source) = in_memory();
        let (tell, mut ends) = unbounded_channel();
        let server = server.idle(8 * HOUR).observe(Ends(tell));
        let client = async {
            let start = Instant::now();
            let client = source.connect();
            assert_eq!(ends.recv().await, Some(Reason::Idle));
            took(start, 8);
            drop(client);
        };
        let handler = async |c: &mut Stream| {
            let mut line = std::pin::pin!(c.read_line(100));
            loop {
                tokio::select! {
                    line = &mut line => return line.map(|_| ()).map_err(Into::into),
                    () = tokio::time::sleep(HOUR) => {}
                }
            }
        };
        assert_eq!(serves(server, handler, client).await.served, 1);
    });
}

#[test]
fn the_write_deadline_is_by_a_paused_clock() {
    paused(|| async {
        let (server, source) = in_memory();
        let (tell, mut ends) = unbounded_channel();
        let server = server.write_timeout(3 * HOUR).observe(Ends(tell));
        let client = async {
            let start = Instant::now();
            // It never reads.
            let client = source.connect();
            assert_eq!(ends.recv().await, Some(Reason::WriteTimeout));
            took(start, 3);
            drop(client);
        };
        let handler = async |c: &mut Stream| {
            loop {
                c.write_all(b"all work and no play\n").await?;
            }
        };
        assert!(serves(server, handler, client).await.is_clean());
    });
}

#[test]
fn a_write_that_was_given_up_leaves_no_deadline_behind() {
    paused(|| async {
        let (server, source) = in_memory();
        let server = server.write_timeout(3 * HOUR);
        let (tell, mut told) = unbounded_channel();
        let client = async {
            // It never reads.
            let client = source.connect();
            told.recv().await.unwrap();
            drop(client);
        };
        let handler = async move |c: &mut Stream| {
            let much = [0; 10_000];
            assert!(tokio::time::timeout(2 * HOUR, c.write_all(&much)).await.is_err());
            let start = Instant::now();
            assert_eq!(c.write_all(&much).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
            took(start, 3);
            tell.send(())?;
            Ok(())
        };
        serves(server, handler, client).await;
    });
}

#[test]
fn what_is_written_by_tokios_trait_leaves_without_a_flush() {
    paused(|| async {
        let (server, source) = in_memory();
        let client = async {
            let mut client = source.connect();
            client.write_all(b"one\ntwo\n").await.unwrap();
            let mut replies = [0; 10];
            client.read_exact(&mut replies).await.unwrap();
            assert_eq!(&replies, b"1st, 2nd.\n");
            drop(client);
        };
        let handler = async |c: &mut Stream| {
            for reply in [&b"1st, "[..], b"2nd.\n"] {
                c.read_line(100).await?;
                assert_eq!(AsyncWriteExt::write(c, reply).await?, reply.len());
            }
            // It waits for something else, and nobody flushes.
            c.draining().await;
            Ok(())
        };
        serves(server, handler, client).await;
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
        let server = Server::bind([]).unwrap().accept_from(Exhausted([far].into(), 5)).unwrap();
        let start = Instant::now();
        let client = async {
            near.write_all(b"hello\n").await.unwrap();
            near.read_exact(&mut [0; 6]).await.unwrap();
            // 5, 10, 20, 40, 80 ms, and the runtime's timers go by whole ones.
            let took = start.elapsed().as_millis();
            assert!((155..=160).contains(&took), "{took} ms");
        };
        assert_eq!(serves(server, echo, client).await.totals.exhausted, 5);
    });
}
