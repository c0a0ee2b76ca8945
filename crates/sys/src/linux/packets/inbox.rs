use super::Local;
use super::ancillary::{self, Control};
use crate::linux::Credentials;
use rustix::net::SocketAddrAny;
use rustix::net::addr::SocketAddrStorage;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Room for packets, and those that the last call received (`recvmmsg(2)`). Only the pages that packets were received into
/// cost memory.
///
/// ```
/// use socketserver_sys::Inbox;
/// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// for text in ["one", "", "three"] {
///     socket.send_to(text.as_bytes(), socket.local_addr()?)?;
/// }
/// let mut inbox = Inbox::new(8, 4);
/// assert_eq!(inbox.receive(&socket)?, 3);
/// assert_eq!(inbox.packet(0).bytes, b"one");
/// assert_eq!(inbox.packet(1).bytes, b"");
/// // There was room for four bytes.
/// assert_eq!((inbox.packet(2).bytes, inbox.packet(2).truncated), (&b"thre"[..], true));
/// # std::io::Result::Ok(())
/// ```
pub struct Inbox {
    size: usize,
    // Never longer or shorter than they were made, so what they hold stays where it is.
    bytes: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
    /// They point to `headers`' parts.
    parts: Vec<libc::iovec>,
    /// They point into all of the above.
    headers: Vec<libc::mmsghdr>,
    /// How many were received; so many headers are as the kernel left them.
    count: usize,
    /// How many the last call would have taken.
    most: usize,
}

// SAFETY: the pointers in `headers` and `parts` point into memory that this owns and that never moves, and are followed
// under `&mut self` alone. So it can be another thread's.
unsafe impl Send for Inbox {}
// SAFETY: `&self` gives out what was received, for reading.
unsafe impl Sync for Inbox {}

/// A packet that was received; or a train of them, if the socket joins trains ([`join_trains`](super::join_trains)).
///
/// ```
/// use socketserver_sys::{Inbox, Outbox, join_trains};
/// let (ours, theirs) = (std::net::UdpSocket::bind("127.0.0.1:0")?, std::net::UdpSocket::bind("127.0.0.1:0")?);
/// join_trains(&theirs, true)?;
/// let (mut inbox, mut outbox, to) = (Inbox::new(4, 65_535), Outbox::default(), theirs.local_addr()?.into());
/// outbox.join(true);
/// for packet in ["one", "two", "4"] {
///     outbox.push(packet.as_bytes(), Some(&to), None);
/// }
/// outbox.send(&ours, |_, error| panic!("{error}"));
/// inbox.receive(&theirs)?;
/// let train = inbox.packet(0);
/// assert_eq!((train.bytes, train.segment), (&b"onetwo4"[..], Some(3)));
/// assert_eq!(train.parts().collect::<Vec<_>>(), [&b"one"[..], b"two", b"4"]);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Packet<'a> {
    /// What was in it, as far as there was room.
    pub bytes: &'a [u8],
    /// Who sent it; `None`: a Unix socket without a name.
    pub from: Option<SocketAddrAny>,
    /// Our end of it, if the socket was told to tell (`IP_PKTINFO`, `IPV6_RECVPKTINFO`).
    pub local: Option<Local>,
    /// There was more than there was room for.
    pub truncated: bool,
    /// It is several of one sender, of so many bytes each, the last of at most as many (`UDP_GRO`, `udp(7)`).
    pub segment: Option<u16>,
    /// Which process sent it (`SO_PASSCRED`, `unix(7)`).
    pub credentials: Option<Credentials>,
}

impl<'a> Packet<'a> {
    /// The packets of a train, or the one that it is. If it is [truncated](Self::truncated) the last of them is.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        let size = self.segment.map_or(bytes.len(), usize::from).max(1);
        // An empty one is one.
        (0..bytes.len().div_ceil(size).max(1)).map(move |at| &bytes[at * size..bytes.len().min((at + 1) * size)])
    }
}

impl Inbox {
    /// Room for so many packets, at least one, of so many bytes each.
    #[must_use]
    pub fn new(packets: usize, size: usize) -> Self {
        let packets = packets.max(1);
        // SAFETY: zero is a value of these structures of integers and pointers; null pointers are not followed before
        // they were set.
        let (name, part, header): (libc::sockaddr_storage, libc::iovec, libc::mmsghdr) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        let mut new = Self {
            size,
            bytes: vec![0; packets * size],
            names: vec![name; packets],
            controls: vec![Control::EMPTY; packets],
            parts: vec![part; packets],
            headers: vec![header; packets],
            count: 0,
            most: packets,
        };
        // One pointer to all bytes, from which the others come: a new borrow would end those made before it.
        let (bytes, names, controls, parts) =
            (new.bytes.as_mut_ptr(), new.names.as_mut_ptr(), new.controls.as_mut_ptr(), new.parts.as_mut_ptr());
        for (at, header) in new.headers.iter_mut().enumerate() {
            // SAFETY: `at` is less than `packets`, so each lies in its vector (or, of size zero, at its end).
            unsafe {
                *parts.add(at) = libc::iovec { iov_base: bytes.add(at * size).cast(), iov_len: size };
                header.msg_hdr.msg_iov = parts.add(at);
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_name = names.add(at).cast();
                header.msg_hdr.msg_control = controls.add(at).cast();
            }
        }
        new.count = packets;
        new.clear();
        new
    }

    /// Makes the headers of those that were received as they were.
    fn clear(&mut self) {
        for header in &mut self.headers[..self.count] {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            header.msg_hdr.msg_controllen = Control::SIZE as _;
            header.msg_hdr.msg_flags = 0;
        }
        self.count = 0;
    }

    /// For how many packets there is room.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.headers.len()
    }

    /// Receives as many packets as wait, in place of those that were received before, and tells how many. It does not wait.
    ///
    /// # Errors
    /// `EAGAIN` when none waits; an error that ICMP brought back, which says nothing of whether packets wait. Then there are
    /// none.
    pub fn receive(&mut self, socket: impl AsFd) -> io::Result<usize> {
        self.receive_at_most(self.capacity(), socket)
    }

    /// The same, but no more than so many, at least one.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn receive_at_most(&mut self, most: usize, socket: impl AsFd) -> io::Result<usize> {
        self.clear();
        self.most = most.clamp(1, self.capacity());
        let (headers, count) = (self.headers.as_mut_ptr(), self.most as libc::c_uint);
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        // SAFETY: at least `count` headers lie there, each with a name, a part and a control buffer of the lengths that it
        // says, in memory of ours that nobody borrows while this is borrowed mutably. The descriptor is borrowed for the whole call.
        let received =
            unsafe { libc::recvmmsg(socket.as_fd().as_raw_fd(), headers, count, flags as _, std::ptr::null_mut()) };
        self.count = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(self.count)
    }

    /// Whether the last call received as many as it would have taken, so that more may wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count == self.most
    }

    /// Whether those that were received last follow each other in runs of one sender and one size that are so long on
    /// average, or longer.
    #[must_use]
    pub fn has_runs_of(&self, len: usize) -> bool {
        let differ = |at: &usize| {
            let [before, this] = [&self.headers[at - 1], &self.headers[*at]];
            before.msg_len != this.msg_len || self.name(at - 1) != self.name(*at)
        };
        let most = self.count / len.max(1);
        most > 0 && (1..self.count).filter(differ).nth(most - 1).is_none()
    }

    /// Who sent it, as the kernel wrote it.
    fn name(&self, at: usize) -> &[u8] {
        let len = (self.headers[at].msg_hdr.msg_namelen as usize).min(size_of::<libc::sockaddr_storage>());
        // SAFETY: so many bytes lie there, all of them zero since they were made but for what the kernel wrote, and the
        // structure has no padding.
        unsafe { std::slice::from_raw_parts((&raw const self.names[at]).cast(), len) }
    }

    /// Whether one of those that were received last is a train.
    #[must_use]
    pub fn has_train(&self) -> bool {
        self.headers[..self.count].iter().any(|header| {
            // SAFETY: the header is as the kernel left it, and its control buffer ours.
            let segment = unsafe { ancillary::read(&header.msg_hdr) }.segment;
            segment.is_some_and(|segment| u32::from(segment) < header.msg_len)
        })
    }

    /// What was in one of those that were received last, as far as there was room.
    ///
    /// # Panics
    /// As [`packet`](Self::packet).
    #[inline]
    #[must_use]
    pub fn bytes(&self, at: usize) -> &[u8] {
        let len = (self.headers[..self.count][at].msg_len as usize).min(self.size);
        &self.bytes[at * self.size..][..len]
    }

    /// One of those that were received last.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn packet(&self, at: usize) -> Packet<'_> {
        let header = &self.headers[..self.count][at];
        let name_len = header.msg_hdr.msg_namelen;
        let from = (name_len > size_of::<libc::sa_family_t>() as u32).then(|| {
            let name: *const SocketAddrStorage = (&raw const self.names[at]).cast();
            // SAFETY: the kernel wrote an address of that length there; it is not longer than the storage that it was told
            // of, for no socket of ours has a longer one.
            unsafe { SocketAddrAny::read(name, name_len) }
        });
        // SAFETY: the header is as the kernel left it, and its control buffer ours.
        let beside = unsafe { ancillary::read(&header.msg_hdr) };
        Packet {
            bytes: self.bytes(at),
            from,
            local: beside.local,
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            segment: beside.segment,
            credentials: beside.credentials.map(Credentials::new),
        }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbox({} of {}, {} bytes each)", self.count, self.capacity(), self.size)
    }
}
