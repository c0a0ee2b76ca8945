//! A server of this process, for what it reads from sockets itself.

use socketserver::{Closed, Observer, Reason, Running, RunsOn, Serial, Server};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that tells how each of its connections came to its end. One at a time may talk to it.
pub(crate) struct Served {
    addr: SocketAddr,
    ended: Mutex<Receiver<Ended>>,
    _running: Running,
}

/// How a connection came to its end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) reason: Reason,
    pub(crate) read: u64,
}

struct Tell(Sender<Ended>);

impl Observer for Tell {
    fn closed(&self, c: &Closed<'_>) {
        let _ = self.0.send(Ended { reason: c.reason, read: c.read });
    }
}

impl Served {
    /// Starts it.
    pub(crate) fn new<H, K: 'static>(server: Server, handler: H) -> Self
    where
        H: RunsOn<Serial, K> + Send + Sync + 'static,
    {
        let (tell, ended) = channel();
        let running = server.observe(Tell(tell)).spawn(Serial::default(), handler).expect("there is a thread for it");
        let endpoints = running.handle().endpoints();
        let authority = endpoints[0].to_string();
        let authority = authority.split("//").nth(1).and_then(|rest| rest.split('/').next()).expect("it is over TCP");
        Self { addr: authority.parse().expect("it is an address"), ended: Mutex::new(ended), _running: running }
    }

    /// A conversation with it: all that it says, and how it ended.
    pub(crate) fn talk(&self, talk: impl FnOnce(&mut Talk)) -> (Vec<u8>, Ended) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = TcpStream::connect(self.addr).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("the socket is there");
        socket.set_nodelay(true).expect("the socket is there");
        let mut conversation = Talk { socket, heard: Vec::new() };
        talk(&mut conversation);
        conversation.end();
        let ended = ended.recv_timeout(PATIENCE).expect("the connection comes to its end");
        assert!(!matches!(ended.reason, Reason::Panicked), "{ended:?}");
        (conversation.heard, ended)
    }

    /// Says all of this, and hears what comes of it.
    pub(crate) fn hear(&self, data: &[u8]) -> (Vec<u8>, Ended) {
        self.talk(|talk| talk.say(data))
    }
}

/// The client's end of a conversation.
pub(crate) struct Talk {
    socket: TcpStream,
    heard: Vec<u8>,
}

impl Talk {
    /// Whoever has heard enough need not listen.
    pub(crate) fn say(&mut self, data: &[u8]) {
        let _ = self.socket.write_all(data);
    }

    /// Waits until so many bytes more were heard. `None`: there are no more.
    pub(crate) fn wait_for(&mut self, count: usize) -> Option<&[u8]> {
        let before = self.heard.len();
        let mut limited = (&self.socket).take(count as u64);
        let read = limited.read_to_end(&mut self.heard);
        self.check(read.map(drop));
        self.heard.get(before..before + count)
    }

    /// What one read gives.
    pub(crate) fn wait(&mut self) -> &[u8] {
        let before = self.heard.len();
        self.heard.resize(before + (1 << 16), 0);
        let read = self.socket.read(&mut self.heard[before..]);
        self.heard.truncate(before + read.as_ref().unwrap_or(&0));
        self.check(read.map(drop));
        &self.heard[before..]
    }

    fn end(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
        let read = self.socket.read_to_end(&mut self.heard);
        self.check(read.map(drop));
    }

    /// A server may reset a connection of whose peer it has had enough; it may not let it wait.
    fn check(&self, read: std::io::Result<()>) {
        let hangs = read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        assert!(!hangs, "the server neither answers nor ends, after {:?}", self.heard);
    }
}
