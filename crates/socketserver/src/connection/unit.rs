use rustix::io::Errno;
use rustix::net::RecvFlags;
use socketserver_sys::receive_packet;
use std::os::fd::AsFd;

/// What a socket is read by.
#[derive(Debug)]
pub(super) enum Unit {
    /// Bytes: a read gives what there is.
    Bytes,
    /// Packets, on a connection that keeps them apart (`SOCK_SEQPACKET`, `unix(7)`): a read gives one.
    Packet {
        /// How long the one was that was read last; `None`: it was none, but the end of input.
        last: Option<u32>,
        /// The peer has closed, and left unread what it was sent.
        reset: bool,
    },
}

impl Unit {
    /// As `recv(2)`; of a packet that is longer than `buf` the beginning.
    #[inline]
    pub(super) fn recv(&mut self, socket: impl AsFd, buf: &mut [u8], flags: RecvFlags) -> Result<usize, Errno> {
        match self {
            Self::Bytes => rustix::net::recv(socket, buf, flags).map(|(count, _)| count),
            Self::Packet { last, reset } => {
                let wait = !flags.contains(RecvFlags::DONTWAIT);
                let len = loop {
                    match receive_packet(&socket, buf, wait).map_err(|error| Errno::from_io_error(&error)) {
                        Ok(None) if *reset => return Err(Errno::CONNRESET),
                        Ok(len) => break len,
                        // Told before what came earlier, and once.
                        Err(Some(Errno::CONNRESET)) if !*reset => *reset = true,
                        Err(error) => return Err(error.unwrap_or(Errno::IO)),
                    }
                };
                *last = len.map(|len| u32::try_from(len).unwrap_or(u32::MAX));
                Ok(len.map_or(0, |len| len.min(buf.len())))
            }
        }
    }

    /// From now on it is packets, and none was read yet.
    pub(super) fn expect_packet(&mut self) {
        match self {
            Self::Bytes => *self = Self::Packet { last: None, reset: false },
            Self::Packet { last, .. } => *last = None,
        }
    }

    /// How long the packet was that was read last.
    pub(super) fn packet(&self) -> Option<usize> {
        if let Self::Packet { last: Some(len), .. } = self { Some(*len as usize) } else { None }
    }

    /// Whether a read that gave so few bytes has taken all that was there.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(super) fn is_drained_by(&self, count: usize, room: usize) -> bool {
        matches!(self, Self::Bytes) && 0 < count && count < room
    }
}
