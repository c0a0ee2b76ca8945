use super::unit::Unit;
use super::{Connection, PollIo, Record, Wait};
use crate::endpoint::{poll_until, timespec_until};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use socketserver_sys::{SharedFd, Wake};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The blocking engine's socket: a thread sits in `recv`. A deadline of the connection's own is its `SO_RCVTIMEO`.
#[derive(Debug)]
pub struct SyncIo {
    socket: SharedFd<Record>,
    unit: Unit,
    /// What `SO_RCVTIMEO` was set to here. It is not looked at before, for a socket of a source of one's own may have any.
    timeout: Option<Duration>,
    /// What ends a wait for input beside the peer, once somebody may have something for it.
    wake: Option<Arc<Wake>>,
}

impl SyncIo {
    pub(crate) fn new(connection: &Arc<Connection>) -> Self {
        // Only the async engine knows transports without one.
        let Some(socket) = SharedFd::of(connection) else { unreachable!("the blocking engine is given sockets") };
        Self { socket, unit: Unit::Bytes, timeout: None, wake: None }
    }

    #[inline]
    fn read(&mut self, buf: &mut [u8], wait: Wait) -> io::Result<usize> {
        let until = match wait {
            Wait::Not => return self.recv(buf, RecvFlags::DONTWAIT).map_err(Into::into),
            Wait::Until(until) => Some(until),
            Wait::For(time) if self.wake.is_some() => time.and_then(|time| Instant::now().checked_add(time)),
            Wait::For(time) => {
                self.set_timeout(time)?;
                match self.recv(buf, RecvFlags::empty()) {
                    // A plain recv that came back empty-handed waited for all of SO_RCVTIMEO.
                    Err(Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
                    // After a signal a second recv would wait for the whole time again.
                    Err(Errno::INTR) => time.and_then(|time| Instant::now().checked_add(time)),
                    result => return Ok(result?),
                }
            }
        };
        loop {
            match &self.wake {
                Some(wake) => self.poll_or_wake(wake, until)?,
                None => self.poll(PollFlags::IN, until)?,
            }
            match self.recv(buf, RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }

    #[inline]
    fn write(&self, buf: &[u8], stall: Option<Duration>) -> io::Result<usize> {
        let mut until = None;
        loop {
            match rustix::net::send(&self.socket, buf, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Err(Errno::AGAIN) => {
                    let until = *until.get_or_insert_with(|| stall.and_then(|time| Instant::now().checked_add(time)));
                    self.poll(PollFlags::OUT, until)?;
                }
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], flags: RecvFlags) -> Result<usize, Errno> {
        self.unit.recv(&self.socket, buf, flags)
    }

    fn poll(&self, flags: PollFlags, until: Option<Instant>) -> io::Result<()> {
        loop {
            let timeout = until.map(timespec_until);
            match rustix::event::poll(&mut [PollFd::new(&self.socket, flags)], timeout.as_ref()) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for input.
    ///
    /// # Errors
    /// `Interrupted`: it was woken.
    fn poll_or_wake(&self, wake: &Wake, until: Option<Instant>) -> io::Result<()> {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(wake, PollFlags::IN)];
        if poll_until(&mut fds, until)? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if !fds[0].revents().is_empty() {
            return Ok(());
        }
        // Whoever woke it has had something before that, which is looked for now.
        if wake.clear() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    fn set_timeout(&mut self, time: Option<Duration>) -> io::Result<()> {
        if self.timeout != time {
            // Zero would mean "for ever" to the system, and to us "not at all".
            let some = time.map(|time| time.max(Duration::from_millis(1)));
            rustix::net::sockopt::set_socket_timeout(&self.socket, rustix::net::sockopt::Timeout::Recv, some)?;
            self.timeout = time;
        }
        Ok(())
    }
}

impl PollIo for SyncIo {
    const WAITS_INSIDE: bool = true;

    #[inline]
    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8], wait: Wait) -> Poll<io::Result<usize>> {
        Poll::Ready(self.read(buf, wait))
    }

    fn expect_packet(&mut self) {
        self.unit.expect_packet();
    }

    fn packet(&self) -> Option<usize> {
        self.unit.packet()
    }

    #[inline]
    fn poll_write(&mut self, _: &mut Context<'_>, buf: &[u8], stall: Option<Duration>) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(buf, stall))
    }

    fn waker(&mut self) -> io::Result<Option<Waker>> {
        let wake = match &self.wake {
            Some(wake) => wake,
            None => self.wake.insert(Arc::new(Wake::new()?)),
        };
        Ok(Some(wake.clone().into()))
    }

    fn untaken(&self) -> io::Result<usize> {
        socketserver_sys::untaken(&self.socket)
    }

    fn unsent(&self) -> io::Result<usize> {
        socketserver_sys::unsent(&self.socket)
    }

    fn poll_rest(&mut self, _: &mut Context<'_>, time: Duration) -> Poll<()> {
        std::thread::sleep(time);
        Poll::Ready(())
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>, _: Option<Duration>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(&self.socket, Shutdown::Write).map_err(Into::into))
    }
}

impl AsFd for SyncIo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
