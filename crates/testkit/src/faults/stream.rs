use super::{Fault, Faults, Side};
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream that meets [`Faults`]: blocking if what it wraps is, async if that is.
///
/// A reset is felt on both sides: every further call here fails with `ConnectionReset`, and what was wrapped is dropped,
/// so that the peer is at its end.
///
/// ```
/// use socketserver_testkit::faults::{Faults, Faulty};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
///
/// socketserver_testkit::paused(async || {
///     let (near, mut far) = duplex(64);
///     let mut near = Faulty::new(near, Faults::seeded(7));
///     // Whatever comes in between, it arrives.
///     near.write_all(b"hello").await?;
///     let mut heard = [0; 5];
///     far.read_exact(&mut heard).await?;
///     assert_eq!(&heard, b"hello");
///     Ok::<_, std::io::Error>(())
/// })?;
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Faulty<S> {
    /// `None`: it was reset.
    stream: Option<S>,
    read: Direction,
    write: Direction,
}

#[derive(Debug)]
struct Direction {
    side: Side,
    /// What happens to the call that goes on.
    fault: Option<Fault>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<S> Faulty<S> {
    /// That stream, with these faults.
    #[must_use]
    pub fn new(stream: S, faults: Faults) -> Self {
        let direction = |side| Direction { side, fault: None, sleep: None };
        Self { stream: Some(stream), read: direction(faults.read), write: direction(faults.write) }
    }

    /// What it wraps; `None`: it was reset.
    #[must_use]
    pub fn get_ref(&self) -> Option<&S> {
        self.stream.as_ref()
    }

    /// What it wraps; `None`: it was reset.
    #[must_use]
    pub fn into_inner(self) -> Option<S> {
        self.stream
    }
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// How much of so much may be transferred now. No stream: it was reset, or is now.
fn room<'a, S>(stream: &'a mut Option<S>, side: &Side, wanted: usize) -> io::Result<(&'a mut S, usize)> {
    let left = side.left();
    if left.is_none() {
        *stream = None;
    }
    Ok((stream.as_mut().ok_or_else(reset)?, left.unwrap_or(0).min(wanted)))
}

impl Direction {
    /// What happens to a blocking call of so many bytes: how many of them may go.
    fn meet(&mut self, wanted: usize) -> io::Result<usize> {
        match self.side.next() {
            Fault::None => {}
            Fault::Short(max) => return Ok(wanted.min(max.max(1))),
            Fault::Interrupted => return Err(io::ErrorKind::Interrupted.into()),
            Fault::WouldBlock => return Err(io::ErrorKind::WouldBlock.into()),
            Fault::Delay(time) => std::thread::sleep(time),
            Fault::Error(kind) => return Err(kind.into()),
        }
        Ok(wanted)
    }

    /// The same of an async one, which goes on until it has come to something: then [`came`](Self::came) is to be called.
    fn poll_meet(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let fault = *self.fault.get_or_insert_with(|| self.side.next());
        match fault {
            Fault::None => {}
            Fault::Short(max) => return Poll::Ready(Ok(wanted.min(max.max(1)))),
            Fault::Interrupted | Fault::WouldBlock => {
                self.fault = Some(Fault::None);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Fault::Delay(time) => {
                ready!(self.poll_sleep(cx, time));
                self.fault = Some(Fault::None);
            }
            Fault::Error(kind) => {
                self.fault = None;
                return Poll::Ready(Err(kind.into()));
            }
        }
        Poll::Ready(Ok(wanted))
    }

    fn poll_sleep(&mut self, cx: &mut Context<'_>, time: Duration) -> Poll<()> {
        ready!(self.sleep.get_or_insert_with(|| Box::pin(sleep(time))).as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }

    /// So many bytes went.
    fn came(&mut self, bytes: usize) {
        self.fault = None;
        self.side.done += bytes as u64;
    }
}

impl<S: Read> Read for Faulty<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let (stream, room) = room(&mut self.stream, &self.read.side, buf.len())?;
        let room = self.read.meet(room)?;
        let count = stream.read(&mut buf[..room])?;
        self.read.came(count);
        Ok(count)
    }
}

impl<S: Write> Write for Faulty<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let (stream, room) = room(&mut self.stream, &self.write.side, buf.len())?;
        let room = self.write.meet(room)?;
        let count = stream.write(&buf[..room])?;
        self.write.came(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.as_mut().ok_or_else(reset)?.flush()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Faulty<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, read, .. } = &mut *self;
        let (stream, room) = room(stream, &read.side, buf.remaining())?;
        let room = ready!(read.poll_meet(cx, room))?;
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        let polled = ready!(Pin::new(stream).poll_read(cx, &mut part));
        let count = part.filled().len();
        buf.advance(count);
        read.came(count);
        Poll::Ready(polled)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Faulty<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, write, .. } = &mut *self;
        let (stream, room) = room(stream, &write.side, buf.len())?;
        let room = ready!(write.poll_meet(cx, room))?;
        let polled = ready!(Pin::new(stream).poll_write(cx, &buf[..room]));
        write.came(*polled.as_ref().unwrap_or(&0));
        Poll::Ready(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.as_mut().ok_or_else(reset)?).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.as_mut().ok_or_else(reset)?).poll_shutdown(cx)
    }
}
