//! The conversation is written once, for both engines: over a blocking connection nothing of it ever waits as a future.

use crate::auth::{Binding, Channel};
use crate::request::LONGEST;
use crate::{Outcome, Output, Run};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use socketserver::{Peer, Stream, blocking};
use socketserver_sys::Watched;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What the conversation needs of a connection.
pub(crate) trait Talk {
    /// A command that runs, watched as this engine waits.
    type Watch;

    fn id(&self) -> u64;
    fn peer(&self) -> &Peer;
    fn local(&self) -> Option<SocketAddr>;
    fn socket(&self) -> Option<BorrowedFd<'_>>;
    fn set_label(&self, label: &str);
    /// How long each read waits; `None`: as long as the server lets it.
    fn set_patience(&mut self, time: Option<Duration>);
    /// What one read gives; nothing is the end. More than [`LONGEST`] bytes are too many.
    async fn read(&mut self) -> io::Result<Vec<u8>>;
    /// Some bytes, at least one; 0 is the end. Before the first of a request: a drain ends that.
    async fn read_some(&mut self, bytes: &mut [u8]) -> io::Result<usize>;
    /// What the client has to say before it is sent the rest.
    async fn read_answer(&mut self, bytes: &mut [u8]) -> io::Result<()>;
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    async fn flush(&mut self) -> io::Result<()>;
    /// Runs a command to its end.
    async fn finish(&mut self, run: &mut Run, sink: &mut impl FnMut(Output, &[u8])) -> io::Result<Outcome>;
    fn watch(&self, run: &Run) -> io::Result<Self::Watch>;
    /// Waits until a turn of the command has something to do.
    async fn ready(&mut self, watch: &Self::Watch) -> io::Result<()>;

    fn binding(&self) -> Binding;

    /// Whether the server has cut the connection: from below that looks as if the client had left.
    async fn was_cut(&mut self) -> bool {
        self.read().await.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionAborted)
    }

    /// What the connection itself says of who is there.
    fn channel(&self) -> Channel {
        let on_loopback = self.local().is_some_and(|local| local.ip().to_canonical().is_loopback());
        Channel::of(self.peer(), on_loopback, self.binding())
    }
}

/// What both streams have by the same names.
macro_rules! alike {
    () => {
        fn id(&self) -> u64 {
            Self::id(self)
        }

        fn peer(&self) -> &Peer {
            Self::peer(self)
        }

        fn local(&self) -> Option<SocketAddr> {
            Self::local(self)
        }

        fn set_label(&self, label: &str) {
            Self::set_label(self, label);
        }

        fn set_patience(&mut self, time: Option<Duration>) {
            match time {
                Some(time) => self.set_idle(Some(time)),
                None => self.reset_idle(),
            }
        }

        fn binding(&self) -> Binding {
            Binding::of(self.tls(), |output, label, context| self.export_keying_material(output, label, context))
        }
    };
}

impl Talk for Stream {
    type Watch = Watched;

    alike!();

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        Self::socket(self)
    }

    async fn read(&mut self) -> io::Result<Vec<u8>> {
        // While it waits it has no buffer.
        let bytes = self.fill_buf().await?.to_vec();
        self.consume(bytes.len());
        Ok(bytes)
    }

    async fn read_some(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Self::read(self, bytes).await
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

    fn watch(&self, run: &Run) -> io::Result<Watched> {
        Watched::for_reading(run.as_fd().try_clone_to_owned()?)
    }

    async fn ready(&mut self, watch: &Watched) -> io::Result<()> {
        // It was looked at after the last time that this was readable: what came since then is told.
        poll_fn(|cx| watch.poll_read_ready(cx)).await?.clear_ready();
        Ok(())
    }
}

impl Talk for blocking::Stream {
    type Watch = OwnedFd;

    alike!();

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }

    async fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; LONGEST + 1];
        let count = Self::read(self, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    async fn read_some(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Self::read(self, bytes)
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

    fn watch(&self, run: &Run) -> io::Result<OwnedFd> {
        run.as_fd().try_clone_to_owned()
    }

    async fn ready(&mut self, watch: &OwnedFd) -> io::Result<()> {
        match rustix::event::poll(&mut [PollFd::new(watch, PollFlags::IN)], None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The result of a conversation over a blocking connection.
pub(crate) fn now<R>(conversation: impl Future<Output = R>) -> R {
    match pin!(conversation).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("blocking connections wait inside their calls"),
    }
}
