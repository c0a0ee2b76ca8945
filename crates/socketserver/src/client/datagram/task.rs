//! Packets from the client's side for async code: what [`client`](crate::client) has for a thread that waits, under the
//! same names, with `.await`.
//!
//! A runtime of tokio with I/O and time has to be there; any will do. A wait for a packet, or for room, that is dropped
//! loses nothing: what had not come yet is there for the next one, and a packet that is not sent stays unsent.

use super::core::{Came, Core, find};
use super::{LOOK_AGAIN, Packet, Undelivered, nothing_came, nothing_left};
use crate::Error;
use crate::client::Target;
use crate::connection::{IDLE, WRITE};
use socketserver_proto::{Endpoint, Host};
use socketserver_sys::Watched;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
use tokio::time::timeout;

/// As [`client::datagram`](crate::client::datagram). Names are looked up on a thread of the runtime's.
///
/// # Errors
/// As there.
///
/// # Panics
/// Outside a runtime with I/O.
pub async fn datagram(endpoint: impl Target) -> Result<DatagramClient, Error> {
    let endpoint = endpoint.endpoint()?;
    let core = on_a_thread_if_named(endpoint, |endpoint| Core::connect(endpoint, &find(endpoint)?)).await?;
    Ok(DatagramClient(Waits::new(core)?))
}

/// As [`client::datagram_socket`](crate::client::datagram_socket).
///
/// # Errors
/// As there.
///
/// # Panics
/// Outside a runtime with I/O.
pub async fn datagram_socket(endpoint: impl Target) -> Result<DatagramSocket, Error> {
    let core = on_a_thread_if_named(endpoint.endpoint()?, Core::bind).await?;
    Ok(DatagramSocket(Waits::new(core)?))
}

/// What asks for the address of a name waits for the answer.
async fn on_a_thread_if_named(
    endpoint: Endpoint,
    make: impl FnOnce(&Endpoint) -> Result<Core, Error> + Send + 'static,
) -> Result<Core, Error> {
    let Endpoint::Udp { host: Host::Name(_) | Host::Scoped(..), .. } = &endpoint else { return make(&endpoint) };
    match tokio::task::spawn_blocking(move || make(&endpoint)).await {
        Ok(made) => made,
        Err(error) => Err(Error::io("the address of a name was not found out", error.into())),
    }
}

/// Exchanges packets with one peer, over UDP or Unix sockets. [`datagram`] makes it.
///
/// It is [`client::DatagramClient`](crate::client::DatagramClient) for async code: the same deadlines, the same errors.
/// Several tasks may use one.
///
/// ```
/// use socketserver::{Datagram, Server, Tasks, client};
/// let server = Server::bind("udp://127.0.0.1:0")?.spawn(Tasks::new(1), |d: &mut Datagram| {
///     let upper = d.packet().to_ascii_uppercase();
///     Ok(d.reply(&upper)?)
/// })?;
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// runtime.block_on(async {
///     let c = client::task::datagram(&server.handle().endpoints()[0]).await?;
///     c.send(b"hello").await?;
///     let mut buf = [0; 1500];
///     assert_eq!(c.recv(&mut buf).await?.bytes(), b"HELLO");
///     Ok::<_, socketserver::Failure>(())
/// })?;
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug)]
pub struct DatagramClient(Waits);

impl DatagramClient {
    /// How long [`recv`](Self::recv) waits: 60 s unless told otherwise; `None`: for ever. Zero takes what has come, and
    /// does not wait.
    pub fn set_timeout(&mut self, time: impl Into<Option<Duration>>) {
        self.0.receive = time.into();
    }

    /// How long [`send`](Self::send) waits for room: 30 s unless told otherwise; `None`: for ever.
    pub fn set_write_timeout(&mut self, time: impl Into<Option<Duration>>) {
        self.0.send = time.into();
    }

    /// Sends a packet, which may be empty. Cancel-safe: one that is dropped has not been sent.
    ///
    /// # Errors
    /// As [`client::DatagramClient::send`](crate::client::DatagramClient::send).
    pub async fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.0.send(packet, None).await
    }

    /// Waits for the next packet, and gives as much of it as `buf` has room for. Cancel-safe: no packet is lost.
    ///
    /// # Errors
    /// As [`client::DatagramClient::recv`](crate::client::DatagramClient::recv).
    pub async fn recv<'b>(&self, buf: &'b mut [u8]) -> io::Result<Packet<'b>> {
        let came = self.0.recv(buf).await?;
        Ok(Packet::new(&buf[..came.len], came.truncated))
    }

    /// The next packet of which it is known that it did not arrive; `None`: of no other. It does not wait.
    ///
    /// # Errors
    /// What `recvmsg(2)` says.
    pub fn next_undelivered(&self) -> io::Result<Option<Undelivered>> {
        self.0.core.undelivered()
    }

    /// The peer's address; `None` over Unix sockets.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.core.peer()
    }

    /// Our own address; `None` over Unix sockets.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.0.core.local()
    }
}

/// Exchanges packets with any number of peers over UDP. [`datagram_socket`] makes it.
///
/// It is [`client::DatagramSocket`](crate::client::DatagramSocket) for async code: the same deadlines, the same errors.
/// Several tasks may use one.
///
/// ```
/// use socketserver::client::{self, Undelivered};
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// runtime.block_on(async {
///     let nobody = std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
///     let socket = client::task::datagram_socket("udp://*:0").await?;
///     socket.send_to(b"anybody there?", nobody).await?;
///     let error = socket.recv_from(&mut [0; 1500]).await.unwrap_err();
///     assert_eq!(Undelivered::of(&error).map(Undelivered::peer), Some(nobody));
///     Ok::<_, socketserver::Failure>(())
/// })?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug)]
pub struct DatagramSocket(Waits);

impl DatagramSocket {
    /// How long [`recv_from`](Self::recv_from) waits: 60 s unless told otherwise; `None`: for ever. Zero takes what has
    /// come, and does not wait.
    pub fn set_timeout(&mut self, time: impl Into<Option<Duration>>) {
        self.0.receive = time.into();
    }

    /// How long [`send_to`](Self::send_to) waits for room: 30 s unless told otherwise; `None`: for ever.
    pub fn set_write_timeout(&mut self, time: impl Into<Option<Duration>>) {
        self.0.send = time.into();
    }

    /// Sends a packet, which may be empty. Cancel-safe: one that is dropped has not been sent.
    ///
    /// # Errors
    /// As [`client::DatagramSocket::send_to`](crate::client::DatagramSocket::send_to).
    pub async fn send_to(&self, packet: &[u8], to: SocketAddr) -> io::Result<()> {
        self.0.send(packet, Some(to)).await
    }

    /// Waits for the next packet, and gives as much of it as `buf` has room for, and who sent it. Cancel-safe: no
    /// packet is lost.
    ///
    /// # Errors
    /// As [`client::DatagramClient::recv`](crate::client::DatagramClient::recv).
    pub async fn recv_from<'b>(&self, buf: &'b mut [u8]) -> io::Result<(Packet<'b>, SocketAddr)> {
        let came = self.0.recv(buf).await?;
        let from = came.from.ok_or(io::ErrorKind::InvalidData)?;
        Ok((Packet::new(&buf[..came.len], came.truncated), from))
    }

    /// The next packet of which it is known that it did not arrive; `None`: of no other. It does not wait.
    ///
    /// # Errors
    /// What `recvmsg(2)` says.
    pub fn next_undelivered(&self) -> io::Result<Option<Undelivered>> {
        self.0.core.undelivered()
    }

    /// Where it is bound.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.0.core.local()
    }
}

impl AsFd for DatagramClient {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.core.as_fd()
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.core.as_fd()
    }
}

/// The core, and waits that a reactor watches.
#[derive(Debug)]
struct Waits {
    core: Core,
    watched: Watched,
    receive: Option<Duration>,
    send: Option<Duration>,
}

impl Waits {
    fn new(core: Core) -> Result<Self, Error> {
        let watched = core.as_fd().try_clone_to_owned().and_then(Watched::for_reading);
        let watched = watched.map_err(|error| Error::io("cannot wait for packets", error))?;
        Ok(Self { core, watched, receive: IDLE, send: WRITE })
    }

    async fn send(&self, packet: &[u8], to: Option<SocketAddr>) -> io::Result<()> {
        // Who sends and sends gives way to others.
        tokio::task::coop::consume_budget().await;
        match self.core.try_send(packet, to) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Nearly always there is room, and no need of a timer.
            sent => return sent,
        }
        within(self.send, self.send_when_there_is_room(packet, to)).await.unwrap_or_else(|| Err(nothing_left()))
    }

    async fn send_when_there_is_room(&self, packet: &[u8], to: Option<SocketAddr>) -> io::Result<()> {
        loop {
            // Watched anew each time: the reactor takes an error of the socket for its end, and would say for ever that
            // there is room.
            let watched = self.core.as_fd().try_clone_to_owned().and_then(Watched::for_both)?;
            let is_room = poll_fn(|cx| watched.poll_write_ready(cx)).await?.ready().is_writable();
            match self.core.try_send(packet, to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return sent,
            }
            if !is_room {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    async fn recv(&self, buf: &mut [u8]) -> io::Result<Came> {
        if self.receive == Some(Duration::ZERO) {
            let came = self.core.try_recv(buf);
            return came.map_err(|e| if e.kind() == io::ErrorKind::WouldBlock { nothing_came() } else { e });
        }
        let next = async {
            loop {
                // Taken before the attempt: what comes after it is not cleared with it.
                let mut ready = self.watched.readable_or_failed().await?;
                match self.core.try_recv(buf) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                    came => return came,
                }
            }
        };
        within(self.receive, next).await.unwrap_or_else(|| Err(nothing_came()))
    }
}

/// `None`: the time is over.
async fn within<T>(time: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match time {
        Some(time) => timeout(time, work).await.ok(),
        None => Some(work.await),
    }
}
