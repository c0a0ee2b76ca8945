use super::is_refused;
use crate::conformance::carrier;
use crate::faults::{Faults, Faulty};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, BufStream, DuplexStream, ReadBuf, duplex};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// Connects over the loopback.
async fn over_tcp() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((listener.accept().await?.0, client))
}

#[test]
fn carriers_pass() {
    carrier(async || Ok(duplex(16)));
    carrier(async || Ok(duplex(64 * 1024)));
    carrier(async || UnixStream::pair());
    carrier(over_tcp);
    carrier(async || over_tcp().await.map(|(server, client)| (BufStream::new(server), BufStream::new(client))));
    let mut seed = 0;
    carrier(async || {
        seed += 1;
        let (near, far) = duplex(1000);
        Ok((Faulty::new(near, Faults::seeded(seed)), Faulty::new(far, Faults::seeded(!seed))))
    });
}

/// What goes wrong with a carrier.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    LosesABytes,
    IsReadWithoutAWake,
    TakesEverything,
    EndsBothDirections,
    NeverEnds,
    SaysTwice,
}

struct Carrier(DuplexStream, Wrong, usize);

impl AsyncRead for Carrier {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let nobody = &mut Context::from_waker(Waker::noop());
        let cx = if self.1 == Wrong::IsReadWithoutAWake { nobody } else { cx };
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        let count = buf.filled().len() - before;
        if count == 0 && self.1 == Wrong::NeverEnds {
            return Poll::Pending;
        }
        self.2 += count;
        if self.1 == Wrong::LosesABytes && self.2 > 10_000 && count > 1 {
            self.2 = 0;
            buf.set_filled(before + count - 1);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.0).poll_write(cx, bytes) {
            Poll::Pending if self.1 == Wrong::TakesEverything => Poll::Ready(Ok(bytes.len())),
            Poll::Ready(Ok(count)) if self.1 == Wrong::SaysTwice && count > 1 => Poll::Ready(Ok(count - 1)),
            polled => polled,
        }
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.1 == Wrong::EndsBothDirections {
            self.0 = duplex(1).0;
        }
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn broken(wrong: Wrong) {
    carrier(async || {
        let (near, far) = duplex(64 * 1024);
        Ok((Carrier(near, wrong, 0), Carrier(far, wrong, 0)))
    });
}

#[test]
fn broken_carriers_are_found_out() {
    is_refused("what was written arrives", || broken(Wrong::LosesABytes));
    is_refused("bytes are taken that nobody reads", || carrier(async || Ok(duplex(1 << 30))));
    is_refused("before the end came", || broken(Wrong::SaysTwice));
    is_refused("what was written arrives", || broken(Wrong::TakesEverything));
    is_refused("a direction whose end nobody told of takes a write", || broken(Wrong::EndsBothDirections));
}

#[test]
fn carriers_that_hang_are_found_out() {
    let forgetful = std::thread::spawn(|| is_refused("it hangs", || broken(Wrong::IsReadWithoutAWake)));
    is_refused("it hangs: an end in each direction", || broken(Wrong::NeverEnds));
    forgetful.join().unwrap();
}
