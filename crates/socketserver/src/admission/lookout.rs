use crate::datagram::{self, DatagramSocket};
use crate::lifecycle::Run;
use socketserver_sys::{SharedFd, Watched};
use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::task::JoinSet;

/// Looks out for packets that come to a socket, with the runtime's reactor; and tells of those that did not arrive as soon as
/// the socket hears of them, whether or not others come in.
///
/// A socket calls on whoever watches it for each packet that comes and for each that leaves. In a flood there is always
/// something to receive, and nobody need watch: what did not arrive is found by the calls that receive and send.
pub(super) struct Lookout {
    run: Arc<Run>,
    socket: Arc<DatagramSocket>,
    /// Which of the server's endpoints it is of.
    index: usize,
    descriptor: SharedFd,
    /// `None`: nobody watches.
    watch: RefCell<Option<Watch>>,
}

struct Watch {
    watched: Rc<Watched>,
    /// Ends with this.
    _teller: JoinSet<()>,
}

impl Lookout {
    /// Watched by the runtime that this is called in.
    pub(super) fn new(run: &Arc<Run>, socket: &Arc<DatagramSocket>, index: usize) -> io::Result<Self> {
        // Watching it again takes no descriptor: there may be none left then.
        let descriptor = SharedFd::new(socket.as_fd().try_clone_to_owned()?);
        let (run, socket) = (run.clone(), socket.clone());
        let new = Self { run, socket, index, descriptor, watch: RefCell::default() };
        new.watch()?;
        Ok(new)
    }

    /// Has it watched, if it is not. What is there already is heard of too.
    pub(super) fn watch(&self) -> io::Result<()> {
        let mut watch = self.watch.borrow_mut();
        if watch.is_none() {
            let watched = Rc::new(Watched::for_reading(self.descriptor.clone())?);
            let mut teller = JoinSet::new();
            if self.socket.bound().is_some() {
                let (run, socket) = (self.run.clone(), self.socket.clone());
                teller.spawn_local(tell_bounces(run, socket, self.index, watched.clone()));
            }
            *watch = Some(Watch { watched, _teller: teller });
        }
        Ok(())
    }

    /// Has it watched no more, in a flood. Whoever does so gives way to others before he has it watched again: only then is the
    /// task gone that watches too.
    pub(super) fn unwatch(&self) {
        self.watch.take();
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watch.borrow().is_some()
    }

    /// Waits for packets; where nobody watches they may always be there. An error: the runtime has ended.
    #[inline]
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &*self.watch.borrow() {
            Some(watch) => watch.watched.poll_read_ready(cx).map_ok(drop),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Has a look for packets. If that says that no others are there, they are waited for from now on.
    pub(super) fn look<T>(&self, look: impl FnOnce() -> T, is_all: impl FnOnce(&T) -> bool) -> T {
        let watch = self.watch.borrow();
        // Taken before the look: what comes after the look is not cleared with it.
        let ready = watch.as_ref().map(|watch| watch.watched.poll_read_ready(&mut Context::from_waker(Waker::noop())));
        let seen = look();
        if let (true, Some(Poll::Ready(Ok(mut ready)))) = (is_all(&seen), ready) {
            ready.clear_ready();
        }
        seen
    }
}

/// Tells of packets that did not arrive.
async fn tell_bounces(run: Arc<Run>, socket: Arc<DatagramSocket>, index: usize, watched: Rc<Watched>) {
    // The runtime has ended otherwise.
    while let Ok(mut ready) = watched.error_ready().await {
        if datagram::tell_bounces(&run, &socket, index) {
            ready.clear_ready();
        } else {
            tokio::task::yield_now().await;
        }
    }
}
