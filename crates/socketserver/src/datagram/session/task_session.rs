use super::conversation::facts;
use super::{Heard, Mailbox, Talk};
use crate::datagram::GATHER;
use crate::lifecycle::Handle;
use socketserver_sys::Outbox;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

/// A conversation with one peer over packets, as async handlers have it: see [`sessions`](crate::sessions).
///
/// Its methods are `async` by another name: each session holds the futures that they give, which are as small as can be.
///
/// ```
/// use socketserver::{Server, Session, Tasks, sessions};
///
/// let echo = sessions(async |s: &mut Session| {
///     while let Some(packet) = s.recv().await? {
///         s.send(&packet).await?;
///     }
///     Ok(())
/// });
/// let server = Server::bind("udp://127.0.0.1:0")?.spawn(Tasks::new(1), echo.max(100_000))?;
/// # let socketserver::Endpoint::Udp { port, .. } = server.handle().endpoints()[0] else { unreachable!() };
/// # let client = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// # client.send_to(b"hello", ("127.0.0.1", port))?;
/// # assert_eq!(client.recv(&mut [0; 10])?, 5);
/// # server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub struct Session {
    mailbox: Arc<Mailbox>,
    post: Rc<Post>,
}

/// What the sessions of one socket send, until it leaves: many packets in one call.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) handle: Handle,
    pub(crate) outbox: RefCell<Outbox>,
    line: RefCell<Line>,
}

/// Those that wait for room, in the order in which they came.
#[derive(Debug, Default)]
struct Line {
    next: u64,
    waiting: BTreeMap<u64, Waker>,
}

/// So many of those that wait are woken when there is room: for more there hardly is.
const AT_A_TIME: usize = 64;

impl Post {
    pub(crate) fn new(handle: Handle) -> Self {
        Self { handle, outbox: RefCell::default(), line: RefCell::default() }
    }

    /// There is room, for those that wait for it.
    pub(crate) fn tell_room(&self) {
        if self.outbox.borrow().bytes() < GATHER {
            let first: Vec<_> = self.line.borrow().waiting.values().take(AT_A_TIME).cloned().collect();
            first.into_iter().for_each(Waker::wake);
        }
    }
}

/// A place in the line, left when it is dropped.
struct Turn<'a> {
    post: &'a Post,
    number: Option<u64>,
}

impl Turn<'_> {
    /// Waits for room, behind those that have waited longer.
    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        let has_room = self.post.outbox.borrow().bytes() < GATHER;
        let mut line = self.post.line.borrow_mut();
        let is_first = match (line.waiting.keys().next(), self.number) {
            (Some(first), Some(own)) => *first >= own,
            (first, None) => first.is_none(),
            (None, Some(_)) => true,
        };
        if has_room && is_first {
            return Poll::Ready(());
        }
        let number = *self.number.get_or_insert_with(|| {
            line.next += 1;
            line.next
        });
        line.waiting.insert(number, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.post.line.borrow_mut().waiting.remove(&number);
        }
    }
}

/// A wait for a packet, over when it is dropped.
struct Wait<'a> {
    mailbox: &'a Mailbox,
    goes_on: bool,
}

impl Wait<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Vec<u8>>>> {
        let polled = self.mailbox.poll_recv(cx);
        self.goes_on = polled.is_pending();
        polled
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.goes_on {
            self.mailbox.stop_waiting();
        }
    }
}

impl Session {
    pub(crate) fn new(mailbox: Arc<Mailbox>, post: Rc<Post>) -> Self {
        Self { mailbox, post }
    }

    /// Waits for the next packet. `None`: nothing more comes, for the peer was silent for too long, or was evicted, or the
    /// server drains.
    ///
    /// Cancel-safe: no packet is lost when it is dropped before it is ready.
    ///
    /// # Errors
    /// None for now; the blocking engine's has some.
    pub fn recv(&mut self) -> impl Future<Output = io::Result<Option<Vec<u8>>>> {
        let mut wait = Wait { mailbox: &self.mailbox, goes_on: false };
        poll_fn(move |cx| wait.poll(cx))
    }

    /// Sends a packet to the peer, from the address that it speaks to; an empty one too. Packets of all sessions gather, and
    /// leave when those have done what they have to do; it waits while 1 MiB has gathered, and others have waited longer. What
    /// goes wrong later, on the way, is an event.
    ///
    /// Cancel-safe: dropped before it is ready it has sent nothing.
    ///
    /// # Errors
    /// `InvalidInput` for a packet that is larger than any may be, 65,535 bytes; `PermissionDenied` for more than a peer that
    /// was heard from once may be sent ([`Server::max_amplification`](crate::Server::max_amplification)).
    pub fn send(&mut self, packet: &[u8]) -> impl Future<Output = io::Result<()>> {
        let mut turn = Turn { post: &self.post, number: None };
        let mailbox = &self.mailbox;
        poll_fn(move |cx| {
            if packet.len() > usize::from(u16::MAX) {
                let words = format!("a packet of {} bytes: there are none of more than 65535", packet.len());
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, words)));
            }
            ready!(turn.poll(cx));
            mailbox.sends(packet.len())?;
            let mut outbox = turn.post.outbox.borrow_mut();
            mailbox.with_address(|to| outbox.push(packet, to, mailbox.local()));
            Poll::Ready(Ok(()))
        })
    }
}

facts!(post.handle);

impl Talk for Session {
    const WAITS_INSIDE: bool = false;

    fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }
    fn handle(&self) -> &Handle {
        &self.post.handle
    }
    fn hear(&mut self, mut pushed: Option<impl FnMut(&Waker) -> Poll<()>>) -> impl Future<Output = io::Result<Heard>> {
        let mut wait = Wait { mailbox: &self.mailbox, goes_on: false };
        poll_fn(move |cx| match wait.poll(cx) {
            Poll::Pending if pushed.as_mut().is_some_and(|pushed| pushed(cx.waker()).is_ready()) => {
                Poll::Ready(Ok(Heard::Push))
            }
            polled => polled.map_ok(Heard::from),
        })
    }
    fn say(&mut self, packet: &[u8]) -> impl Future<Output = io::Result<()>> {
        self.send(packet)
    }
}
