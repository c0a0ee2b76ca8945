//! The reference: one thread round one level-triggered epoll instance, no library between.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, sockopt};

use super::{BACKLOG, announce};

/// Received into by all connections in turn.
const BUFFER: usize = 64 * 1024;

/// The listener's token; connections go by their descriptor, which is never so large.
const LISTENER: u64 = u64::MAX;

/// What is sent for what came in.
trait Answers {
    /// How much of `input` is used, and what is sent for it. What is not used comes again, with more behind it. `None`: the
    /// peer is in error.
    fn answer<'a>(&'a mut self, input: &'a [u8]) -> Option<(usize, &'a [u8])>;
}

/// The same bytes.
struct Chunks;

impl Answers for Chunks {
    fn answer<'a>(&'a mut self, input: &'a [u8]) -> Option<(usize, &'a [u8])> {
        Some((input.len(), input))
    }
}

/// Each message, behind a length of 4 bytes in network byte order, in a frame of its own.
struct Frames {
    /// Those of one read.
    output: Vec<u8>,
}

impl Answers for Frames {
    fn answer<'a>(&'a mut self, input: &'a [u8]) -> Option<(usize, &'a [u8])> {
        self.output.clear();
        let mut rest = input;
        while let Some((length, behind)) = rest.split_first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            if length > BUFFER - 4 {
                return None;
            }
            let Some((message, behind)) = behind.split_at_checked(length) else {
                break;
            };
            self.output.extend_from_slice(&(message.len() as u32).to_be_bytes());
            self.output.extend_from_slice(message);
            rest = behind;
        }
        Some((input.len() - rest.len(), &self.output))
    }
}

struct Connection {
    socket: OwnedFd,
    /// What has come in and is not used yet: less than a frame.
    unused: Vec<u8>,
    /// What the socket did not take yet. While there is some, nothing more is read.
    unsent: Vec<u8>,
}

/// Whether a connection goes on.
#[derive(PartialEq)]
enum Then {
    Keep,
    Close,
}

pub(super) fn echo() -> io::Result<()> {
    serve(Chunks)
}

pub(super) fn framed() -> io::Result<()> {
    serve(Frames { output: Vec::with_capacity(BUFFER) })
}

fn serve(mut answers: impl Answers) -> io::Result<()> {
    let listener = listen()?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    // By descriptor, which the kernel keeps small and dense.
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut buffer = vec![0; BUFFER];
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let token = event.data.u64();
            if token == LISTENER {
                accept_all(&listener, &epoll, &mut connections)?;
                continue;
            }
            let slot = &mut connections[token as usize];
            let Some(connection) = slot else {
                continue;
            };
            // Dropping it closes the socket, which also takes it out of epoll.
            if connection.serve(&epoll, &mut buffer, &mut answers) == Then::Close {
                *slot = None;
            }
        }
    }
}

fn listen() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let listener = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    // Accepted sockets inherit it.
    sockopt::set_tcp_nodelay(&listener, true)?;
    net::bind(&listener, &std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
    net::listen(&listener, BACKLOG.cast_signed())?;
    let address = std::net::SocketAddr::try_from(net::getsockname(&listener)?)?;
    announce(address)?;
    Ok(listener)
}

fn accept_all(listener: &OwnedFd, epoll: &OwnedFd, connections: &mut Vec<Option<Connection>>) -> io::Result<()> {
    loop {
        let socket = match net::accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(socket) => socket,
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::CONNABORTED | Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let place = socket.as_raw_fd() as usize;
        epoll::add(epoll, &socket, epoll::EventData::new_u64(place as u64), epoll::EventFlags::IN)?;
        if connections.len() <= place {
            connections.resize_with(place + 1, || None);
        }
        connections[place] = Some(Connection { socket, unused: Vec::new(), unsent: Vec::new() });
    }
}

impl Connection {
    fn serve(&mut self, epoll: &OwnedFd, buffer: &mut [u8], answers: &mut impl Answers) -> Then {
        if !self.unsent.is_empty() {
            return self.flush(epoll);
        }
        let kept = self.unused.len();
        buffer[..kept].copy_from_slice(&self.unused);
        let received = match net::recv(&self.socket, &mut buffer[kept..], RecvFlags::empty()) {
            Ok((0, _)) => return Then::Close,
            Ok((received, _)) => kept + received,
            Err(Errno::AGAIN | Errno::INTR) => return Then::Keep,
            Err(_) => return Then::Close,
        };
        let Some((used, reply)) = answers.answer(&buffer[..received]) else {
            return Then::Close;
        };
        self.unused.clear();
        self.unused.extend_from_slice(&buffer[used..received]);
        if reply.is_empty() {
            return Then::Keep;
        }
        match net::send(&self.socket, reply, SendFlags::NOSIGNAL) {
            Ok(sent) if sent == reply.len() => Then::Keep,
            Ok(sent) => self.keep(epoll, &reply[sent..]),
            Err(Errno::AGAIN | Errno::INTR) => self.keep(epoll, reply),
            Err(_) => Then::Close,
        }
    }

    fn keep(&mut self, epoll: &OwnedFd, unsent: &[u8]) -> Then {
        self.unsent.extend_from_slice(unsent);
        self.watch(epoll, epoll::EventFlags::OUT)
    }

    fn flush(&mut self, epoll: &OwnedFd) -> Then {
        match net::send(&self.socket, &self.unsent, SendFlags::NOSIGNAL) {
            Ok(sent) => {
                self.unsent.drain(..sent);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return Then::Close,
        }
        if self.unsent.is_empty() { self.watch(epoll, epoll::EventFlags::IN) } else { Then::Keep }
    }

    fn watch(&self, epoll: &OwnedFd, flags: epoll::EventFlags) -> Then {
        let data = epoll::EventData::new_u64(self.socket.as_raw_fd() as u64);
        match epoll::modify(epoll, self.socket.as_fd(), data, flags) {
            Ok(()) => Then::Keep,
            Err(_) => Then::Close,
        }
    }
}
