use crate::{Client, address};
use socket2::{SockFilter, Socket, Type};
use socketserver::Endpoint;
use std::io;
use std::time::Duration;

/// A peer that is gone without a word, as one whose cable was pulled: what the server sends it is answered by nobody, not
/// even by its kernel (a half-open connection, RFC 9293, section 3.5.1). Over TCP alone: of a Unix socket's end the kernel
/// always tells.
///
/// Its socket takes no packet any more (`SO_ATTACH_FILTER`, `socket(7)`), which needs no privilege. Dropped, it is back as
/// a host that was started anew, and resets the connection.
///
/// ```
/// use socketserver::{Closed, Observer, Reason, Threads, Server, blocking};
/// use socketserver_testkit::{Client, PATIENCE, misbehaving::HalfOpen};
/// use std::sync::mpsc::{Sender, channel};
/// use std::time::Duration;
///
/// struct Ends(Sender<Reason>);
/// impl Observer for Ends {
///     fn closed(&self, event: &Closed<'_>) {
///         let _ = self.0.send(event.reason);
///     }
/// }
///
/// let (tell, ends) = channel();
/// let server = Server::bind("tcp://127.0.0.1:0")?.idle(Duration::from_millis(100)).observe(Ends(tell));
/// let server = server.spawn(Threads::default(), |c: &mut blocking::Stream| {
///     c.read_line(100)?;
///     Ok(())
/// })?;
/// let gone = HalfOpen::of(Client::connect(&server.handle().endpoints()[0])?)?;
/// assert_eq!(ends.recv_timeout(PATIENCE)?, Reason::Idle);
/// drop(gone);
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug)]
pub struct HalfOpen(Socket);

impl HalfOpen {
    /// This client is gone from now on. What the server has sent and it has not read is lost.
    ///
    /// # Errors
    /// `Unsupported` if it is not one of TCP.
    pub fn of(client: Client) -> io::Result<Self> {
        if client.local().is_none() {
            return Err(unsupported());
        }
        let gone = Self(client.socket);
        gone.0.attach_filter(&NOTHING)?;
        Ok(gone)
    }

    /// One that asks to be connected and is gone before it hears the answer (an embryonic connection, of which a SYN flood
    /// is made; RFC 4987). The server's kernel waits for it; the server does not hear of it, and has to serve others
    /// meanwhile.
    ///
    /// # Errors
    /// `Unsupported` if the endpoint is not one of TCP.
    pub fn connecting(endpoint: &Endpoint) -> io::Result<Self> {
        if endpoint.tcp().is_none() {
            return Err(unsupported());
        }
        let (domain, addr) = address::of_stream(endpoint)?;
        let socket = Socket::new(domain, Type::STREAM, None)?;
        socket.attach_filter(&NOTHING)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&addr) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err(error),
            _ => Ok(Self(socket)),
        }
    }
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        let _ = self.0.set_linger(Some(Duration::ZERO));
    }
}

/// `BPF_RET | BPF_K`, 0: of each packet that comes, nothing is kept.
const NOTHING: [SockFilter; 1] = [SockFilter::new(0x06, 0, 0, 0)];

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "only a connection of TCP can be half-open")
}
