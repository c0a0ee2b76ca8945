use super::conversation::facts;
use super::mailbox::aborted;
use super::{Heard, Mailbox, Newcomer, Talk};
use crate::clock;
use crate::datagram::DatagramSocket;
use crate::endpoint::poll_until;
use crate::lifecycle::{Handle, Run};
use rustix::event::{PollFd, PollFlags};
use socketserver_sys::Outbox;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Thread, ThreadId};
use std::time::Duration;

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
    /// Not its own: one that the drain has abandoned must not keep the port bound.
    socket: Weak<DatagramSocket>,
    run: Arc<Run>,
    handle: Handle,
    outbox: Outbox,
    /// Wakes that thread.
    waker: (ThreadId, Waker),
}

/// A send that has to wait looks so often whether the server still waits for it.
const LOOK: Duration = Duration::from_millis(100);

impl Session {
    pub(crate) fn new(newcomer: Newcomer, run: Arc<Run>) -> Self {
        let Newcomer { mailbox, socket } = newcomer;
        let socket = Arc::downgrade(&socket);
        Self { mailbox, socket, handle: run.handle(), run, outbox: Outbox::default(), waker: waker() }
    }

    /// Waits for the next packet. `None`: nothing more comes, for the peer was silent for too long, or was evicted, or the
    /// server drains.
    ///
    /// # Errors
    /// `ConnectionAborted` once the drain's deadline has passed.
    pub fn recv(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            // There is nothing else that it could be told of.
            match self.wait(None::<fn(&Waker) -> Poll<()>>)? {
                Heard::Packet(packet) => return Ok(Some(packet)),
                Heard::End => return Ok(None),
                Heard::Push => {}
            }
        }
    }

    fn wait(&mut self, mut pushed: Option<impl FnMut(&Waker) -> Poll<()>>) -> io::Result<Heard> {
        if self.waker.0 != std::thread::current().id() {
            self.waker = waker();
        }
        loop {
            if let Poll::Ready(received) = self.mailbox.poll_recv(&mut Context::from_waker(&self.waker.1)) {
                return received.map(Heard::from);
            }
            if pushed.as_mut().is_some_and(|pushed| pushed(&self.waker.1).is_ready()) {
                return Ok(Heard::Push);
            }
            std::thread::park();
        }
    }

    /// Sends a packet to the peer, from the address that it speaks to; an empty one too. It waits for room in the socket's
    /// queue, for as long as the write deadline allows.
    ///
    /// # Errors
    /// What `sendmmsg(2)` says: a packet that is too large, a peer that cannot be reached; `PermissionDenied` for more than a
    /// peer that was heard from once may be sent ([`Server::max_amplification`](crate::Server::max_amplification));
    /// `WouldBlock` for a Unix peer that does not read; `TimedOut`; `ConnectionAborted` once the drain's deadline has passed.
    pub fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        self.mailbox.sends(packet.len())?;
        let Some(socket) = self.socket.upgrade() else { return Err(aborted()) };
        self.mailbox.with_address(|to| self.outbox.push(packet, to, self.mailbox.local()));
        let result = self.send_gathered(&socket);
        self.outbox.clear();
        match result {
            Ok(()) => self.run.shared.control.count_replies(1),
            Err(_) => self.run.shared.control.count_unsent(),
        }
        result
    }

    fn send_gathered(&mut self, socket: &DatagramSocket) -> io::Result<()> {
        let until = self.run.settings.write.and_then(|time| clock::now().checked_add(time));
        let mut result = Ok(());
        while !self.outbox.send(socket, |_, error| result = Err(error)) {
            // Over Unix sockets it is the peer's queue that is full, and the socket says that there is room.
            if socket.bound().is_none() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if self.mailbox.is_aborted() {
                return Err(aborted());
            }
            let now = clock::now();
            if until.is_some_and(|until| until <= now) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let mut ready = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::OUT)];
            let look = now + LOOK;
            poll_until(&mut ready, Some(until.map_or(look, |until| until.min(look))))?;
        }
        result
    }
}

/// Wakes this thread.
fn waker() -> (ThreadId, Waker) {
    let thread = std::thread::current();
    (thread.id(), Waker::from(Arc::new(Unpark(thread))))
}

facts!(handle);

impl Talk for Session {
    const WAITS_INSIDE: bool = true;

    fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }
    fn handle(&self) -> &Handle {
        &self.handle
    }
    async fn hear(&mut self, pushed: Option<impl FnMut(&Waker) -> Poll<()>>) -> io::Result<Heard> {
        self.wait(pushed)
    }
    async fn say(&mut self, packet: &[u8]) -> io::Result<()> {
        self.send(packet)
    }
}

/// Ends the `park` of a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
