use super::carrier::{Carries, Event, either, give_way};
use super::out::Out;
use crate::Result;
use crate::connection::{Connection, Core, PollIo, pool};
use crate::framing::FrameError;
use rustix::net::sockopt::{set_socket_send_buffer_size, socket_send_buffer_size};
use std::future::poll_fn;
use std::io;
use std::task::{Poll, Waker};

/// Messages of a connection that keeps them apart by itself: a packet each (`SOCK_SEQPACKET`, `unix(7)`).
pub(crate) struct Records<'a, T> {
    core: &'a mut Core<T>,
    /// The message that has come, while there is one, and how long it is.
    buf: Box<[u8]>,
    len: Option<usize>,
    max: usize,
}

/// The kernel has no memory in one piece for a packet that is longer than about half of this.
const LONGEST: usize = 8 * 1024 * 1024;
/// What the kernel keeps of a socket's send buffer (net/unix/af_unix.c, `unix_dgram_sendmsg`).
const KEPT: usize = 32;

/// The longest message, up to `max`, that can be sent over the connection: more than its send buffer has no packet, whatever
/// the peer takes. The buffer is made larger for it, as far as the system lets it.
pub(crate) fn longest_sent(connection: &Connection, max: usize) -> usize {
    let Some(socket) = connection.descriptor() else { return max };
    let buffer = || socket_send_buffer_size(socket).map_or(max, |size| size.saturating_sub(KEPT));
    let wanted = max.min(LONGEST);
    if buffer() < wanted {
        // A smaller one is no reason to fail: who sends a longer message is told.
        let _ = set_socket_send_buffer_size(socket, wanted + KEPT);
    }
    max.min(buffer())
}

impl<'a, T: PollIo> Records<'a, T> {
    pub(crate) fn new(core: &'a mut Core<T>, max: usize) -> Self {
        core.expect_packets();
        Self { core, buf: Box::default(), len: None, max: max.min(LONGEST) }
    }
}

/// Only the pages that are read into cost memory.
fn take_buffer(max: usize) -> Box<[u8]> {
    if max <= pool::SIZE { pool::take_input() } else { vec![0; max].into_boxed_slice() }
}

fn give_buffer(buf: &mut Box<[u8]>) {
    pool::give_input(std::mem::take(buf));
}

impl<T: PollIo> Carries for Records<'_, T> {
    fn next(&mut self) -> Result<Option<&[u8]>> {
        match self.len.take() {
            Some(len) if len > self.max => {
                Err(self.core.fate.bad_message(FrameError::too_long(len as u64, self.max)).into())
            }
            len => Ok(len.map(|len| &self.buf[..len])),
        }
    }

    fn last(&mut self) -> Result<Option<&[u8]>> {
        Ok(None)
    }

    async fn wait(&mut self, pushed: Option<impl FnMut(&Waker) -> Poll<()>>) -> io::Result<Event> {
        let Self { core, buf, len, max } = self;
        either(core, pushed, Event::Pushed, |core, cx| {
            if buf.is_empty() {
                *buf = take_buffer(*max);
            }
            let received = core.poll_receive_packet(cx, buf);
            if !matches!(received, Poll::Ready(Ok(Some(_)))) {
                // Whoever waits holds no memory.
                give_buffer(buf);
            }
            received.map_ok(|packet| {
                *len = packet;
                if packet.is_some() { Event::Input } else { Event::Ended }
            })
        })
        .await
    }

    async fn send(&mut self, out: &mut Out) -> io::Result<()> {
        let mut packets = out.each().peekable();
        let sent = poll_fn(|cx| self.core.poll_send_packets(cx, &mut packets)).await;
        drop(packets);
        out.clear();
        sent
    }

    async fn give_way(&mut self) {
        give_way(T::WAITS_INSIDE).await;
    }
}

impl<T> Drop for Records<'_, T> {
    fn drop(&mut self) {
        give_buffer(&mut self.buf);
    }
}
