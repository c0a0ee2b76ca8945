use socketserver::{Failure, Handle, Handler, Peer, Result, Stream, blocking};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What a role does with each connection, written once for the models of both engines: as
/// [`Handler`] and [`blocking::Handler`], with a [`Connection`] in place of the stream.
///
/// It must wait for nothing but its connection: on the blocking engine, where that wait happens inside the call, whoever
/// else is waited for never comes.
#[expect(async_fn_in_trait, reason = "futures stay on their shard: they need not be `Send`")]
pub trait Part: Send + Sync + 'static {
    /// See [`Handler::handle`].
    async fn handle(&self, c: &mut impl Connection) -> Result;

    /// See [`Handler::setup`].
    async fn setup(&self, c: &mut impl Connection) -> Result {
        let _ = c;
        Ok(())
    }

    /// See [`Handler::finish`].
    async fn finish(&self, c: &mut impl Connection) -> Result {
        let _ = c;
        Ok(())
    }

    /// See [`Handler::verify`].
    fn verify(&self, peer: &Peer) -> bool {
        let _ = peer;
        true
    }

    /// See [`Handler::on_error`].
    fn on_error(&self, error: &Failure, peer: &Peer) {
        let _ = (error, peer);
    }
}

/// A [`Part`] as a handler: every model runs it.
#[derive(Debug)]
pub struct Played<P>(pub P);

impl<P: Part> blocking::Handler for Played<P> {
    fn handle(&self, c: &mut blocking::Stream) -> Result {
        at_once(self.0.handle(c))
    }
    fn setup(&self, c: &mut blocking::Stream) -> Result {
        at_once(self.0.setup(c))
    }
    fn finish(&self, c: &mut blocking::Stream) -> Result {
        at_once(self.0.finish(c))
    }
    fn verify(&self, peer: &Peer) -> bool {
        self.0.verify(peer)
    }
    fn on_error(&self, error: &Failure, peer: &Peer) {
        self.0.on_error(error, peer);
    }
}

impl<P: Part> Handler for Played<P> {
    async fn handle(&self, c: &mut Stream) -> Result {
        self.0.handle(c).await
    }
    async fn setup(&self, c: &mut Stream) -> Result {
        self.0.setup(c).await
    }
    async fn finish(&self, c: &mut Stream) -> Result {
        self.0.finish(c).await
    }
    fn verify(&self, peer: &Peer) -> bool {
        self.0.verify(peer)
    }
    fn on_error(&self, error: &Failure, peer: &Peer) {
        self.0.on_error(error, peer);
    }
}

/// What a blocking stream waits for it waits for inside the call.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a part that waits for something else than its connection is for `Tasks` alone"),
    }
}

/// What a [`Stream`] and a [`blocking::Stream`] do alike; the names are theirs.
#[expect(async_fn_in_trait, reason = "futures stay on their shard: they need not be `Send`")]
#[expect(missing_docs, reason = "the methods are those of the streams")]
pub trait Connection {
    async fn read_line(&mut self, max: usize) -> io::Result<Option<String>>;
    async fn read_until(&mut self, delimiter: u8, max: usize) -> io::Result<Option<Vec<u8>>>;
    async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()>;
    async fn read_to_end(&mut self, max: usize) -> io::Result<Vec<u8>>;
    async fn fill_buf(&mut self) -> io::Result<&[u8]>;
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn id(&self) -> u64;
    fn endpoint(&self) -> Option<usize>;
    fn peer(&self) -> &Peer;
    fn local(&self) -> Option<SocketAddr>;
    fn server(&self) -> &Handle;
    fn is_draining(&self) -> bool;
    fn set_idle(&mut self, time: Option<Duration>);
    /// Its socket, for options and for `poll(2)`.
    fn socket(&self) -> Option<BorrowedFd<'_>>;
}

macro_rules! connection {
    ($stream:ty, $fill_buf:path, $c:ident => $socket:expr, { $($wait:tt)* }) => {
        impl Connection for $stream {
            async fn read_line(&mut self, max: usize) -> io::Result<Option<String>> {
                self.read_line(max)$($wait)*
            }
            async fn read_until(&mut self, delimiter: u8, max: usize) -> io::Result<Option<Vec<u8>>> {
                self.read_until(delimiter, max)$($wait)*
            }
            async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
                self.read_exact(buf)$($wait)*
            }
            async fn read_to_end(&mut self, max: usize) -> io::Result<Vec<u8>> {
                self.read_to_end(max)$($wait)*
            }
            async fn fill_buf(&mut self) -> io::Result<&[u8]> {
                $fill_buf(self)$($wait)*
            }
            async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
                self.write_all(bytes)$($wait)*
            }
            fn id(&self) -> u64 {
                self.id()
            }
            fn endpoint(&self) -> Option<usize> {
                self.endpoint()
            }
            fn peer(&self) -> &Peer {
                self.peer()
            }
            fn local(&self) -> Option<SocketAddr> {
                self.local()
            }
            fn server(&self) -> &Handle {
                self.server()
            }
            fn is_draining(&self) -> bool {
                self.is_draining()
            }
            fn set_idle(&mut self, time: Option<Duration>) {
                self.set_idle(time);
            }
            fn socket(&self) -> Option<BorrowedFd<'_>> {
                let $c = self;
                $socket
            }
        }
    };
}

connection!(blocking::Stream, io::BufRead::fill_buf, c => Some(c.as_fd()), {});
connection!(Stream, Stream::fill_buf, c => c.socket(), { .await });
