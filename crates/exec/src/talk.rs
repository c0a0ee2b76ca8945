//! The conversation is written once, for both engines: over a blocking connection nothing of it ever waits as a future.

use crate::request::LONGEST;
use crate::{Outcome, Output, Run};
use socketserver::{Peer, Stream, blocking};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// What the conversation needs of a connection.
pub(crate) trait Talk {
    fn id(&self) -> u64;
    fn peer(&self) -> &Peer;
    fn socket(&self) -> Option<BorrowedFd<'_>>;
    /// What one read gives; nothing is the end. More than [`LONGEST`] bytes are too many.
    async fn read(&mut self) -> io::Result<Vec<u8>>;
    /// What the client has to say before it is sent the rest.
    async fn read_answer(&mut self, bytes: &mut [u8]) -> io::Result<()>;
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    async fn flush(&mut self) -> io::Result<()>;
    /// Runs a command to its end.
    async fn finish(&mut self, run: &mut Run, sink: &mut impl FnMut(Output, &[u8])) -> io::Result<Outcome>;
}

impl Talk for Stream {
    fn id(&self) -> u64 {
        Self::id(self)
    }

    fn peer(&self) -> &Peer {
        Self::peer(self)
    }

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        Self::socket(self)
    }

    async fn read(&mut self) -> io::Result<Vec<u8>> {
        // While it waits it has no buffer.
        let bytes = self.fill_buf().await?.to_vec();
        self.consume(bytes.len());
        Ok(bytes)
    }

    async fn read_answer(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        Self::read_answer(self, bytes).await
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Self::write_all(self, bytes).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        Self::flush(self).await
    }

    async fn finish(&mut self, run: &mut Run, sink: &mut impl FnMut(Output, &[u8])) -> io::Result<Outcome> {
        run.finish(sink).await
    }
}

impl Talk for blocking::Stream {
    fn id(&self) -> u64 {
        Self::id(self)
    }

    fn peer(&self) -> &Peer {
        Self::peer(self)
    }

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }

    async fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; LONGEST + 1];
        let count = Self::read(self, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    async fn read_answer(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        Self::read_answer(self, bytes)
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Self::write_all(self, bytes)
    }

    async fn flush(&mut self) -> io::Result<()> {
        Self::flush(self)
    }

    async fn finish(&mut self, run: &mut Run, sink: &mut impl FnMut(Output, &[u8])) -> io::Result<Outcome> {
        run.wait(sink)
    }
}

/// The result of a conversation over a blocking connection.
pub(crate) fn now<R>(conversation: impl Future<Output = R>) -> R {
    match pin!(conversation).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("blocking connections wait inside their calls"),
    }
}
