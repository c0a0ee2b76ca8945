use super::Local;
use super::ancillary::{self, Control};
use super::errors::{may_be_anothers, must_be_anothers};
use rustix::net::{AddressFamily, SocketAddrAny};
use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

/// Packets that are to be sent, many in one call (`sendmmsg(2)`). Once it has grown to what it is used for it takes no memory
/// any more.
///
/// ```
/// use rustix::net::SocketAddrAny;
/// use socketserver_sys::Outbox;
/// let (to, from) = (std::net::UdpSocket::bind("127.0.0.1:0")?, std::net::UdpSocket::bind("127.0.0.1:0")?);
/// let name: SocketAddrAny = to.local_addr()?.into();
/// let mut outbox = Outbox::default();
/// outbox.push(b"one", Some(&name), None);
/// outbox.push(b"two", Some(&name), None);
/// assert!(outbox.send(&from, |_, error| panic!("{error}")));
/// assert!(outbox.is_empty());
/// let mut buf = [0; 10];
/// assert_eq!(to.recv(&mut buf)?, 3);
/// # std::io::Result::Ok(())
/// ```
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    letters: Vec<Letter>,
    /// So many of the first were sent, or given up.
    done: usize,
    /// How many packets are in the others.
    waiting: usize,
    joins: bool,
    refused: bool,
    /// In the last [`send`](Self::send) the system took fewer than it was given.
    stumbled: bool,
    // For one call: they point into the above, and are made anew for each.
    controls: Vec<Control>,
    parts: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers in `parts` and `headers` are followed in the call alone that has just made them, under `&mut self`.
unsafe impl Send for Outbox {}
// SAFETY: as above; `&self` shows numbers alone.
unsafe impl Sync for Outbox {}

/// What one message of a call is made of: a packet, or a train.
#[derive(Debug)]
struct Letter {
    bytes: Range<usize>,
    to: Option<SocketAddrAny>,
    from: Option<Local>,
    /// It is a train: the kernel cuts it into packets of so many bytes, the last of at most as many.
    segment: Option<u16>,
    packets: usize,
}

/// How many packets go in one call at most; the kernel takes no more (`UIO_MAXIOV`).
const AT_A_TIME: usize = 1024;
/// How many packets a train has at most (`UDP_MAX_SEGMENTS` of every kernel that knows trains).
const LONGEST: usize = 64;
/// How many bytes: as many as the largest packet over IPv4, which is smaller than that over IPv6.
const LARGEST: usize = 65_507;
/// How often a packet is tried when it may be of another what keeps it from leaving: each error that somebody reads from the
/// socket's queue meanwhile brings up the next.
const TRIES: u32 = 16;
/// The same, when it must be. The queue seldom has as many.
const MORE_TRIES: u32 = 512;

impl Outbox {
    /// Adds a packet: to `to`, or to the peer of a connected socket; sent from our end `from`, or from where the system
    /// chooses.
    pub fn push(&mut self, bytes: &[u8], to: Option<&SocketAddrAny>, from: Option<Local>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.waiting += 1;
        if self.joins && self.join_last(bytes.len(), to, from) {
            return;
        }
        self.letters.push(Letter { bytes: start..self.bytes.len(), to: to.cloned(), from, segment: None, packets: 1 });
    }

    /// Adds a train: packets of `segment` bytes each, the last of at most as many, at most 64 of them.
    pub fn push_train(&mut self, bytes: &[u8], segment: Option<u16>, to: Option<&SocketAddrAny>, from: Option<Local>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let segment = segment.filter(|segment| *segment > 0 && usize::from(*segment) < bytes.len());
        let packets = segment.map_or(1, |segment| bytes.len().div_ceil(segment.into()));
        self.waiting += packets;
        self.letters.push(Letter { bytes: start..self.bytes.len(), to: to.cloned(), from, segment, packets });
    }

    /// Whether packets of one size that follow each other to one peer leave as a train from here on (`UDP_SEGMENT`,
    /// `udp(7)`), which costs about as much as one of them: for UDP sockets alone. One that is smaller ends a train. At first
    /// they do not.
    #[inline]
    pub fn join(&mut self, on: bool) {
        self.joins = on;
    }

    /// Whether a train was refused since this was asked last: the way that it was to go knows none, or not of packets as
    /// large. Its packets were sent one by one.
    pub fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    /// Makes the last `len` bytes part of the letter before, if they can be.
    fn join_last(&mut self, len: usize, to: Option<&SocketAddrAny>, from: Option<Local>) -> bool {
        let Some(last) = self.letters[self.done..].last_mut() else { return false };
        // Its packets are all of one size: a smaller one has ended it.
        let size = last.segment.map_or(last.bytes.len(), usize::from);
        let fits = (1..=size).contains(&len)
            && last.bytes.len() == size * last.packets
            && last.packets < LONGEST
            && last.bytes.len() + len <= LARGEST;
        if !fits || last.to.as_ref() != to || last.from != from {
            return false;
        }
        last.segment = u16::try_from(size).ok();
        last.packets += 1;
        last.bytes.end += len;
        true
    }

    /// Takes over all that wait in another one.
    pub fn append(&mut self, other: &mut Self) {
        let (from, to) =
            (other.letters.get(other.done).map_or(other.bytes.len(), |first| first.bytes.start), self.bytes.len());
        self.bytes.extend_from_slice(&other.bytes[from..]);
        let moved = |at: usize| at - from + to;
        self.letters.extend(other.letters.drain(other.done..).map(|letter| {
            let bytes = moved(letter.bytes.start)..moved(letter.bytes.end);
            Letter { bytes, ..letter }
        }));
        self.waiting += other.waiting;
        other.clear();
    }

    /// How many packets wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.letters.get(self.done).map_or(0, |first| self.bytes.len() - first.bytes.start)
    }

    /// How many bytes of memory what waits takes, with what was sent before it and is still held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets all that wait.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.letters.clear();
        self.done = 0;
        self.waiting = 0;
    }

    /// Sends them, and does not wait. `false`: the socket's queue is full, and those that are left wait for the next call.
    /// One that cannot be sent is given up, and `failed` told to whom it was and why. A train that cannot is sent packet by
    /// packet. None is given up for what ICMP says of another ([`may_be_anothers`]).
    pub fn send(&mut self, socket: impl AsFd, mut failed: impl FnMut(Option<&SocketAddrAny>, io::Error)) -> bool {
        let mut tries = 0;
        self.stumbled = false;
        while self.done < self.letters.len() {
            match self.send_some(&socket) {
                Ok(count) => {
                    self.waiting -= self.letters[self.done..][..count].iter().map(|sent| sent.packets).sum::<usize>();
                    self.done += count;
                    tries = 0;
                    // What it stopped at it has forgotten.
                    self.stumbled |= self.done < self.letters.len() && count < AT_A_TIME;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.compact();
                    return false;
                }
                Err(error) => {
                    tries += 1;
                    self.stumbled = true;
                    let Letter { to, segment, .. } = &self.letters[self.done];
                    if tries < tries_for(to.as_ref(), &error) {
                        continue;
                    }
                    tries = 0;
                    if segment.is_some() {
                        // Whatever it is, it need not be true of each.
                        self.refused |= is_refusal(&error);
                        self.split();
                        continue;
                    }
                    failed(to.as_ref(), error);
                    self.done += 1;
                    self.waiting -= 1;
                }
            }
        }
        self.clear();
        true
    }

    /// Whether the last [`send`](Self::send) came upon something: the socket may keep errors, for
    /// [`next_error`](super::next_error).
    #[must_use]
    pub fn has_stumbled(&self) -> bool {
        self.stumbled
    }

    /// Lets go of what was sent, once that is most of it: where there is always more to be sent it would grow without end.
    fn compact(&mut self) {
        let start = self.letters.get(self.done).map_or(0, |first| first.bytes.start);
        if start > self.bytes.len() / 2 {
            self.bytes.drain(..start);
            self.letters.drain(..self.done);
            self.done = 0;
            for letter in &mut self.letters {
                letter.bytes.start -= start;
                letter.bytes.end -= start;
            }
        }
    }

    /// Gives up the first that waits, and tells to whom it was.
    pub fn give_up(&mut self) -> Option<SocketAddrAny> {
        if self.letters.get(self.done)?.segment.is_some() {
            self.split();
        }
        let to = self.letters[self.done].to.take();
        self.done += 1;
        self.waiting -= 1;
        if self.is_empty() {
            self.clear();
        }
        to
    }

    /// Makes letters of their own of the packets of the first train.
    fn split(&mut self) {
        let Letter { bytes, to, from, segment, .. } = &self.letters[self.done];
        let (end, size) = (bytes.end, segment.map_or(bytes.len(), usize::from).max(1));
        let single = |start| Letter {
            bytes: start..end.min(start + size),
            to: to.clone(),
            from: *from,
            segment: None,
            packets: 1,
        };
        let singles: Vec<_> = bytes.clone().step_by(size).map(single).collect();
        self.letters.splice(self.done..=self.done, singles);
    }

    /// One call.
    fn send_some(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        let letters = &self.letters[self.done..];
        let letters = &letters[..letters.len().min(AT_A_TIME)];
        self.controls.clear();
        self.parts.clear();
        self.headers.clear();
        // So that nothing moves once it is pointed to.
        self.controls.resize(letters.len(), Control::EMPTY);
        self.parts.reserve(letters.len());
        self.headers.reserve(letters.len());
        for (letter, control) in letters.iter().zip(&mut self.controls) {
            let bytes = &self.bytes[letter.bytes.clone()];
            let v6 = letter.to.as_ref().is_some_and(|to| to.address_family() == AddressFamily::INET6);
            let beside = ancillary::write(control, v6, letter.from, letter.segment);
            self.parts.push(libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() });
            // SAFETY: zero is a value of this structure of integers and pointers.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            if let Some(to) = &letter.to {
                header.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
                header.msg_hdr.msg_namelen = to.addr_len();
            }
            header.msg_hdr.msg_iovlen = 1;
            if beside > 0 {
                header.msg_hdr.msg_control = control.as_mut_ptr();
                header.msg_hdr.msg_controllen = beside as _;
            }
            self.headers.push(header);
        }
        for (header, part) in self.headers.iter_mut().zip(&mut self.parts) {
            header.msg_hdr.msg_iov = part;
        }
        let count = self.headers.len() as libc::c_uint;
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: `count` headers lie there, whose names, parts and control buffers were set above, lie in vectors of ours
        // that have not changed since, and are only read. The descriptor is borrowed for the whole call.
        let sent = unsafe { libc::sendmmsg(socket.as_fd().as_raw_fd(), self.headers.as_mut_ptr(), count, flags as _) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Whether it is a train that the kernel does not want, and not its packets: a device that cannot cut it up (`EIO`), no
/// checksums (`EINVAL`), or a path for smaller packets alone (`EMSGSIZE`; older kernels say `EINVAL`).
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE))
}

fn tries_for(to: Option<&SocketAddrAny>, error: &io::Error) -> u32 {
    match to.map(SocketAddrAny::address_family) {
        Some(AddressFamily::INET | AddressFamily::INET6) if must_be_anothers(error) => MORE_TRIES,
        Some(AddressFamily::UNIX) => 1,
        _ if may_be_anothers(error) => TRIES,
        _ => 1,
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox({} packets, {} bytes)", self.len(), self.bytes())
    }
}
