use super::conversation::facts;
use super::{Mailbox, Newcomer, Talk};
use crate::datagram::DatagramSocket;
use crate::endpoint::poll_until;
use crate::lifecycle::{Handle, Run};
use crate::{Peer, clock};
use rustix::event::{PollFd, PollFlags};
use socketserver_sys::Outbox;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// A conversation with one peer over packets, as blocking handlers have it: see [`sessions`](crate::sessions).
///
/// ```
/// use socketserver::{Server, Threads, blocking, sessions};
///
/// let echo = sessions(|s: &mut blocking::Session| {
///     while let Some(packet) = s.recv()? {
///         s.send(&packet)?;
///     }
///     Ok(())
/// });
/// let server = Server::bind("udp://127.0.0.1:0")?.spawn(Threads::default(), echo)?;
/// # server.stop()?;
/// # Ok::<_, socketserver::Error>(())
/// ```
pub struct Session {
    mailbox: Arc<Mailbox>,
    socket: Arc<DatagramSocket>,
    run: Arc<Run>,
    handle: Handle,
    outbox: Outbox,
    waker: Waker,
}

impl Session {
    /// On the thread that its handler runs on.
    pub(crate) fn new(newcomer: Newcomer, run: Arc<Run>) -> Self {
        let Newcomer { mailbox, socket } = newcomer;
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        Self { mailbox, socket, handle: run.handle(), run, outbox: Outbox::default(), waker }
    }

    /// Waits for the next packet. `None`: nothing more comes, for the peer was silent for too long, or was evicted, or the
    /// server drains.
    ///
    /// # Errors
    /// `ConnectionAborted` once the drain's deadline has passed.
    pub fn recv(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Poll::Ready(received) = self.mailbox.poll_recv(&mut Context::from_waker(&self.waker)) {
                return received;
            }
            std::thread::park();
        }
    }

    /// Sends a packet to the peer, from the address that it speaks to; an empty one too. It waits for room in the socket's
    /// queue, for as long as the write deadline allows.
    ///
    /// # Errors
    /// What `sendmsg(2)` says: a packet that is too large, a peer that cannot be reached; `TimedOut`; `ConnectionAborted`
    /// once the drain's deadline has passed; `PermissionDenied` for more than a peer that was heard from once may be sent
    /// ([`Server::max_amplification`](crate::Server::max_amplification)).
    pub fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        self.mailbox.sends(packet.len())?;
        self.mailbox.with_address(|to| self.outbox.push(packet, to, self.mailbox.local()));
        let until = self.run.settings.write.and_then(|time| clock::now().checked_add(time));
        let mut result = Ok(());
        while !self.outbox.send(self.socket.as_fd(), |_, error| result = Err(error)) {
            let mut ready = [PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::OUT)];
            if !matches!(poll_until(&mut ready, until), Ok(1..)) {
                self.outbox.clear();
                result = Err(io::ErrorKind::TimedOut.into());
                break;
            }
        }
        match result {
            Ok(()) => self.run.shared.control.count_replies(1),
            Err(_) => self.run.shared.control.count_unsent(),
        }
        result
    }
}

impl Session {
    facts!();

    /// The server, to stop it or to ask it things.
    #[must_use]
    pub fn server(&self) -> &Handle {
        &self.handle
    }
}

impl Talk for Session {
    fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.mailbox.end();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.mailbox.id)
            .field("peer", &self.mailbox.peer)
            .finish_non_exhaustive()
    }
}

/// Ends the `park` of a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
