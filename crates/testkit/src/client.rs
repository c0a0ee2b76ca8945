use crate::{PATIENCE, address};
use socket2::{Socket, Type};
use socketserver::Endpoint;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// A client that knows nothing of the framework: a plain socket, well-behaved or not. Every wait has a limit.
///
/// What else clients do wrong is in [`misbehaving`](crate::misbehaving).
///
/// ```
/// use socketserver::{Serial, Server, blocking};
/// use socketserver_testkit::Client;
///
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Serial::default(), |c: &mut blocking::Stream| {
///     while let Some(line) = c.read_until(b'\n', 100)? {
///         c.write_all(&line)?;
///     }
///     Ok(())
/// })?;
/// let mut client = Client::connect(&server.handle().endpoints()[0])?;
/// client.say("hello\n");
/// client.expect("hello\n");
/// client.end();
/// client.expect_end();
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug)]
pub struct Client {
    pub(crate) socket: Socket,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// What `connect(2)` says.
    pub fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        Self::connect_as(endpoint, None)
    }

    /// Connects from this address: a machine has all of 127.0.0.0/8 to itself, so there can be many peers.
    ///
    /// # Errors
    /// What `bind(2)` and `connect(2)` say.
    pub fn connect_from(endpoint: &Endpoint, source: Ipv4Addr) -> io::Result<Self> {
        Self::connect_as(endpoint, Some(source))
    }

    fn connect_as(endpoint: &Endpoint, source: Option<Ipv4Addr>) -> io::Result<Self> {
        let (domain, addr) = address::of_stream(endpoint)?;
        let socket = Socket::new(domain, Type::STREAM, None)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        if let Some(source) = source {
            socket.bind(&SocketAddr::from((source, 0)).into())?;
        }
        socket.connect(&addr)?;
        Ok(Self { socket })
    }

    /// Sends all of it.
    ///
    /// # Panics
    /// When it does not go.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).expect("the server takes what it is sent");
    }

    /// Sends what goes: to a server that may be gone.
    pub fn say_if_there(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.socket.write_all(bytes.as_ref());
    }

    /// Reads exactly this.
    ///
    /// # Panics
    /// When something else comes, or nothing.
    pub fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let expected = bytes.as_ref();
        let mut got = vec![0; expected.len()];
        self.socket.read_exact(&mut got).expect("the server answers");
        assert!(got == expected, "got {:?}", String::from_utf8_lossy(&got));
    }

    /// Reads what comes next, at most `max` bytes in one call of `recv(2)`; empty is the end.
    ///
    /// # Errors
    /// What `recv(2)` says; `WouldBlock` when for [`PATIENCE`] nothing came.
    pub fn hear(&mut self, max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; max];
        let count = self.socket.read(&mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Reads to the end of the server's output.
    ///
    /// # Errors
    /// What `recv(2)` says: a reset, for one.
    pub fn hear_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.socket.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Waits for the server to close.
    ///
    /// # Panics
    /// When something comes instead, or the connection is reset.
    pub fn expect_end(&mut self) {
        let rest = self.hear_all().expect("the server closes in order");
        assert!(rest.is_empty(), "got {:?}", String::from_utf8_lossy(&rest));
    }

    /// Waits until the connection is over, in whichever way.
    ///
    /// # Panics
    /// When it is not, in time.
    pub fn expect_gone(&mut self) {
        let mut sink = [0; 4096];
        loop {
            match self.socket.read(&mut sink) {
                Ok(0) => return,
                Ok(_) => {}
                // A process that was stopped for a moment hears so where a read has a limit (signal(7)).
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("the connection is still there"),
                Err(_) => return,
            }
        }
    }

    /// Says that nothing more comes, and still listens.
    ///
    /// # Panics
    /// When the server is gone.
    pub fn end(&mut self) {
        self.socket.shutdown(Shutdown::Write).expect("the connection is there");
    }

    /// Breaks the connection off with a reset (TCP; a Unix socket just closes).
    pub fn reset(self) {
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }

    /// Sends so much that the server has to wait for us to read what it answers, and does not read.
    ///
    /// Returns how much went before nothing more did for a moment.
    ///
    /// # Panics
    /// When the server takes everything for ever.
    pub fn stuff(&mut self) -> usize {
        let piece = [b'x'; 64 * 1024];
        let mut sent = 0;
        self.socket.set_write_timeout(Some(Duration::from_millis(300))).expect("a socket option");
        while let Ok(count) = self.socket.write(&piece) {
            sent += count;
            assert!(sent < 1 << 30, "the server takes everything and answers nothing");
        }
        sent
    }

    /// Sends byte after byte with a pause before each, until the server ends it. Returns how many went.
    pub fn trickle(&mut self, byte: u8, pause: Duration) -> usize {
        let give_up = Instant::now() + PATIENCE;
        let mut sent = 0;
        while Instant::now() < give_up {
            std::thread::sleep(pause);
            if self.socket.write_all(&[byte]).is_err() {
                break;
            }
            sent += 1;
        }
        sent
    }

    /// Our own address as the server sees it; `None` for Unix sockets.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
