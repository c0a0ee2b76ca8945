//! Async transports of one's own: what is written to them arrives, once, and they are told of the end.

use crate::paused::{Ends, HOUR, in_memory, serves, took};
use crate::within;
use socketserver::framing::Line;
use socketserver::{Accept, AsyncTransport, Channel, MessageHandler, Peer, Reason, Server, Stream};
use socketserver_testkit::paused;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;

/// A source of a single connection.
struct Once<T>(Option<T>);

impl<T: AsyncTransport> Accept for Once<T> {
    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(Box<dyn AsyncTransport>, Peer)>> {
        match self.0.take() {
            Some(transport) => Poll::Ready(Ok((Box::new(transport), Peer::unnamed()))),
            None => Poll::Pending,
        }
    }
}

fn serving(transport: impl AsyncTransport) -> Server<socketserver::Async> {
    Server::bind([]).unwrap().accept_from(Once(Some(transport))).unwrap()
}

#[test]
fn what_was_taken_is_not_sent_again() {
    paused(|| async {
        let (server, source) = in_memory();
        let much: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let expected = [b"first ", &much[..]].concat();
        let client = async {
            let mut client = source.connect();
            client.write_all(b"one\ntwo\n").await.unwrap();
            client.shutdown().await.unwrap();
            let mut replies = Vec::new();
            client.read_to_end(&mut replies).await.unwrap();
            assert!(replies == expected, "{} bytes of {}", replies.len(), expected.len());
        };
        let handler = async move |c: &mut Stream| {
            c.read_line(100).await?;
            AsyncWriteExt::write_all(c, b"first ").await?;
            c.read_line(100).await?;
            AsyncWriteExt::write_all(c, &much).await?;
            Ok(())
        };
        serves(server, handler, client).await;
    });
}

#[test]
fn a_transport_that_gathers_is_flushed_before_a_wait_and_at_the_end() {
    // The client closes its side first, or the server does, or the server drains.
    for end in ["client", "server", "drain"] {
        paused(move || async move {
            let (mut client, far) = duplex(1024);
            let mut server = serving(BufStream::new(far));
            let handle = server.handle();
            let talk = async {
                for _ in 0..3 {
                    client.write_all(b"hello\n").await.unwrap();
                    let mut reply = [0; 6];
                    client.read_exact(&mut reply).await.unwrap();
                    assert_eq!(&reply, b"hello\n");
                }
                let last: &[u8] = match end {
                    "client" => b"bye\nnow\n",
                    "server" => b"end\n",
                    _ => b"drain\n",
                };
                client.write_all(last).await.unwrap();
                if end == "client" {
                    client.shutdown().await.unwrap();
                }
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).await.unwrap();
                assert_eq!(rest, last);
                handle.shutdown();
            };
            let served = server.run(async |c: &mut Stream| {
                while let Some(line) = c.read_until(b'\n', 100).await? {
                    c.write_all(&line).await?;
                    match &line[..] {
                        b"drain\n" => c.server().shutdown(),
                        b"end\n" => break,
                        _ => {}
                    }
                }
                Ok(())
            });
            let (report, ()) = tokio::join!(served, talk);
            assert!(report.unwrap().is_clean());
        });
    }
}

/// Takes everything and never comes to its end.
struct Endless(DuplexStream);

impl AsyncRead for Endless {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[test]
fn the_goodbye_of_a_transport_has_the_write_deadline() {
    paused(|| async {
        let (_client, far) = duplex(1024);
        let (tell, mut ends) = unbounded_channel();
        let mut server = serving(Endless(far)).write_timeout(3 * HOUR).observe(Ends(tell));
        let handle = server.handle();
        let watch = async {
            let start = Instant::now();
            assert_eq!(ends.recv().await, Some(Reason::WriteTimeout));
            took(start, 3);
            handle.shutdown();
        };
        let (report, ()) = tokio::join!(server.run(async |_: &mut Stream| Ok(())), watch);
        assert_eq!(report.unwrap().served, 1);
    });
}

#[test]
fn a_transport_that_never_ends_is_kicked() {
    within("a transport that never ends", || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_client, far) = duplex(1024);
            let (tell, mut ends) = unbounded_channel();
            let mut server = serving(Endless(far)).write_timeout(None).observe(Ends(tell));
            let handle = server.handle();
            let watch = async {
                while handle.connections().iter().all(|one| one.phase != socketserver::Phase::Closing) {
                    tokio::task::yield_now().await;
                }
                assert!(handle.kick(1));
                assert_eq!(ends.recv().await, Some(Reason::Kicked));
                handle.shutdown();
            };
            let (report, ()) = tokio::join!(server.run(async |_: &mut Stream| Ok(())), watch);
            assert!(report.unwrap().is_clean());
        });
    });
}

/// Fails to read, once.
struct Failing {
    failed: bool,
}

impl AsyncRead for Failing {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        assert!(!std::mem::replace(&mut self.failed, true), "it is asked again after its error");
        Poll::Ready(Err(io::ErrorKind::Interrupted.into()))
    }
}

impl AsyncWrite for Failing {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// By that error the blocking engine tells of a push; of a transport it is one like any other.
#[test]
fn an_interrupted_transport_is_not_taken_for_one_that_was_pushed_to() {
    paused(|| async {
        let (tell, mut ends) = unbounded_channel();
        let mut server = serving(Failing { failed: false }).observe(Ends(tell));
        let handle = server.handle();
        let watch = async {
            assert_eq!(ends.recv().await, Some(Reason::Disconnected));
            handle.shutdown();
        };
        let echo = |line: &[u8], c: &mut Channel| Ok(c.send(line)?);
        let (report, ()) = tokio::join!(server.run(echo.framed(Line::new())), watch);
        assert_eq!(report.unwrap().served, 1);
    });
}
