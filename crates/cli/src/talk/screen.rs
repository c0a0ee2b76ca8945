//! Where the conversation is shown.

use crate::log::Diverted;
use crate::printable;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};

/// So many messages wait to be shown, each of 64 KiB at most; a peer that sends more waits itself.
const WAITING: usize = 16;
/// So many notes do; there is room for them however much peers say.
const NOTES: usize = 1000;

/// What is to be shown, in the order in which it came, in a queue with an end: whoever reads too slowly slows the peers
/// down.
#[derive(Clone)]
pub(super) struct Screen {
    /// Whoever puts a message into the queue puts something here before, where there may be no room.
    room: Sender<()>,
    queue: UnboundedSender<Shown>,
    wake: Arc<Wake>,
}

/// The other end of it. It is readable when there may be something.
pub(super) struct Inbox {
    room: Receiver<()>,
    queue: UnboundedReceiver<Shown>,
    wake: Arc<Wake>,
}

struct Wake {
    fd: OwnedFd,
    is_over: AtomicBool,
    notes: AtomicUsize,
}

enum Shown {
    Message {
        label: String,
        text: Vec<u8>,
    },
    /// Lines about the conversation.
    Note(String),
}

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// With the label of the peer, and [harmless](printable::lines).
    Labelled,
    /// As they came.
    Raw,
}

impl Screen {
    pub(super) fn new() -> io::Result<(Self, Inbox)> {
        let (takes, gives) = mpsc::channel(WAITING);
        let (send, receive) = mpsc::unbounded_channel();
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let wake = Arc::new(Wake { fd, is_over: AtomicBool::new(false), notes: AtomicUsize::new(0) });
        let screen = Self { room: takes, queue: send, wake: wake.clone() };
        Ok((screen, Inbox { room: gives, queue: receive, wake }))
    }

    /// Waits while there is no room.
    pub(super) async fn show(&self, label: &str, message: &[u8]) {
        // Where nobody reads any more the server is about to end.
        if self.room.send(()).await.is_ok() {
            self.put(label, message);
        }
    }

    /// The same, and the thread waits.
    pub(super) fn blocking_show(&self, label: &str, message: &[u8]) {
        if self.room.blocking_send(()).is_ok() {
            self.put(label, message);
        }
    }

    fn put(&self, label: &str, message: &[u8]) {
        let _ = self.queue.send(Shown::Message { label: label.to_owned(), text: message.to_owned() });
        self.wake.up();
    }

    /// Shows a line, or several, that is no message, if there is room.
    pub(super) fn note(&self, lines: &str) -> Diverted {
        if self.wake.notes.fetch_add(1, SeqCst) >= NOTES {
            self.wake.notes.fetch_sub(1, SeqCst);
            return Diverted::Lost;
        }
        if self.queue.send(Shown::Note(lines.to_owned())).is_err() {
            return Diverted::Refused;
        }
        self.wake.up();
        Diverted::Taken
    }

    /// Nothing more comes: the inbox is over once it is empty.
    pub(super) fn end(&self) {
        self.wake.is_over.store(true, SeqCst);
        self.wake.up();
    }
}

impl Wake {
    fn up(&self) {
        // Full is woken.
        let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
    }
}

impl Inbox {
    /// Adds what there is to `text`. `true`: there is nothing more, nor will there be.
    pub(super) fn take(&mut self, style: Style, text: &mut Vec<u8>) -> bool {
        let _ = rustix::io::read(&self.wake.fd, &mut [0; 8]);
        let is_over = self.wake.is_over.load(SeqCst);
        // Not without end: whoever types is to be heard.
        for _ in 0..WAITING {
            match self.queue.try_recv() {
                Ok(Shown::Message { label, text: message }) => {
                    let _ = self.room.try_recv();
                    match style {
                        Style::Labelled => text.extend(printable::lines(&label, &message).bytes()),
                        Style::Raw => text.extend(message),
                    }
                }
                Ok(Shown::Note(lines)) => {
                    self.wake.notes.fetch_sub(1, SeqCst);
                    text.extend(lines.bytes().chain(*b"\n"));
                }
                Err(TryRecvError::Empty) => return is_over,
                Err(TryRecvError::Disconnected) => return true,
            }
        }
        self.wake.up();
        false
    }

    /// Writes everything to standard output, until there is nothing more.
    pub(super) fn print(mut self, style: Style) -> io::Result<()> {
        let mut text = Vec::new();
        loop {
            let is_over = self.take(style, &mut text);
            print(&text)?;
            text.clear();
            if is_over {
                return Ok(());
            }
            self.wait()?;
        }
    }

    fn wait(&self) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, poll};
        match poll(&mut [PollFd::new(self, PollFlags::IN)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.fd.as_fd()
    }
}

/// All of it at once, to standard output.
pub(super) fn print(text: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush())
}
