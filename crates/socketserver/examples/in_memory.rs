//! A handler is tested with no socket and no waiting: its connections come from memory, and the runtime's clock is paused,
//! so that an hour passes as soon as everybody waits.
//!
//! `Server::run` serves inside the runtime that polls it, and by that runtime's clock.

use socketserver::{Accept, AsyncTransport, Closed, Observer, Peer, Reason, Server, Stream};
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Connections that are made of memory: one end of each comes in here.
struct Memory(mpsc::Receiver<DuplexStream>);

impl Accept for Memory {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn AsyncTransport>, Peer)>> {
        match self.0.poll_recv(cx) {
            Poll::Ready(Some(end)) => Poll::Ready(Ok((Box::new(end), Peer::unnamed()))),
            // Whoever could connect is gone: nobody comes any more.
            _ => Poll::Pending,
        }
    }
}

/// Notes why connections ended.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<Reason>>>);

impl Observer for Ends {
    fn closed(&self, c: &Closed<'_>) {
        self.0.lock().expect("nothing panics while it is locked").push(c.reason);
    }
}

/// What is to be tested.
async fn alarm_clock(c: &mut Stream) -> socketserver::Result {
    while let Some(line) = c.read_line(100).await? {
        tokio::time::sleep(Duration::from_secs(line.parse()?)).await;
        c.write_all(b"wake up\n").await?;
    }
    Ok(())
}

fn main() -> socketserver::Result {
    let began = std::time::Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(test())?;
    println!("and in truth {} s", began.elapsed().as_secs());
    assert!(began.elapsed() < Duration::from_secs(30));
    Ok(())
}

async fn test() -> socketserver::Result {
    let (connect, source) = mpsc::channel(8);
    let ends = Ends::default();
    let mut server =
        Server::bind([])?.accept_from(Memory(source))?.idle(Duration::from_secs(3600)).observe(ends.clone());
    let handle = server.handle();

    let client = async {
        let (mut near, far) = duplex(1024);
        connect.send(far).await?;

        let asked = Instant::now();
        near.write_all(b"600\n").await?;
        let mut answer = [0; 8];
        near.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"wake up\n");
        assert_eq!(asked.elapsed().as_secs(), 600);

        // Nothing more is said, until the server has had enough of it: an hour, and an eighth at most.
        assert_eq!(near.read(&mut answer).await?, 0);
        let minutes = asked.elapsed().as_secs() / 60;
        println!("{minutes} minutes went by");
        assert!((70..=78).contains(&minutes), "{minutes}");

        handle.shutdown();
        Ok::<_, socketserver::Failure>(())
    };
    let (report, client) = tokio::join!(server.run(alarm_clock), client);
    client?;
    assert_eq!(report?.served, 1);
    assert_eq!(*ends.0.lock().expect("nothing panics while it is locked"), [Reason::Idle]);
    Ok(())
}
