use crate::{Client, websocket};
use std::io::{ErrorKind, Write};

/// A frame that is longer than any server should take. It is announced, and then sent for as long as the server takes it:
/// little of it should go, and no memory should be had for it before it comes.
///
/// ```
/// use socketserver::framing::LengthPrefix;
/// use socketserver::{Channel, MessageHandler, Server, Threads};
/// use socketserver_testkit::{Client, misbehaving::Giant};
///
/// let echo = |message: &[u8], c: &mut Channel| Ok(c.send(message)?);
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::default(), echo.framed(LengthPrefix::u32_be()))?;
/// let mut client = Client::connect(&server.handle().endpoints()[0])?;
/// let sent = Giant::length_u32_be().send(&mut client);
/// // Only what fits into the buffers of two sockets.
/// assert!(sent < 64 << 20, "{sent} bytes");
/// # drop(client);
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Giant {
    header: Vec<u8>,
    len: u64,
    filling: u8,
}

impl Giant {
    /// One that begins so and has so many bytes more, all of them `x`.
    #[must_use]
    pub fn new(header: impl Into<Vec<u8>>, len: u64) -> Self {
        Self { header: header.into(), len, filling: b'x' }
    }

    /// The same, of these bytes.
    #[must_use]
    pub fn filled_with(mut self, byte: u8) -> Self {
        self.filling = byte;
        self
    }

    /// 4 GiB less one behind a length of four bytes, most significant first.
    #[must_use]
    pub fn length_u32_be() -> Self {
        Self::new(u32::MAX.to_be_bytes(), u32::MAX.into())
    }

    /// So many bytes behind a length of eight, most significant first.
    #[must_use]
    pub fn length_u64_be(len: u64) -> Self {
        Self::new(len.to_be_bytes(), len)
    }

    /// A line, or whatever ends with a delimiter, that does not end.
    #[must_use]
    pub fn line() -> Self {
        Self::new([], u64::MAX)
    }

    /// 1 GB less one as a netstring.
    #[must_use]
    pub fn netstring() -> Self {
        Self::new("999999999:", 999_999_999)
    }

    /// 2^63 bytes less one behind a varint (LEB128, as protobuf has it).
    #[must_use]
    pub fn varint() -> Self {
        let mut header = [0xff; 9];
        header[8] = 0x7f;
        Self::new(header, (1 << 63) - 1)
    }

    /// 2^62 bytes in one binary frame of WebSocket, masked with nothing but zeros (RFC 6455, section 5.2). The handshake goes
    /// before it.
    #[must_use]
    pub fn web_socket() -> Self {
        let len = 1 << 62;
        Self::new([&websocket::header(websocket::FIN | websocket::BINARY, 0x80, len)[..], &[0; 4]].concat(), len)
    }

    /// Sends the announcement alone. What comes of that is for the test to see.
    ///
    /// # Panics
    /// When it does not go.
    pub fn announce(&self, client: &mut Client) {
        client.say(&self.header);
    }

    /// Sends it for as long as it goes, and says how many bytes of the body went: those that the server has read, and those
    /// that lie in buffers.
    ///
    /// # Panics
    /// When the server neither takes more of it nor ends the connection, for [`PATIENCE`](crate::PATIENCE).
    pub fn send(&self, client: &mut Client) -> u64 {
        client.say_if_there(&self.header);
        let piece = [self.filling; 64 * 1024];
        let mut sent = 0;
        while sent < self.len {
            let count = usize::try_from(self.len - sent).map_or(piece.len(), |left| left.min(piece.len()));
            match client.socket.write(&piece[..count]) {
                Ok(count) => sent += count as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("it is neither taken nor ended"),
                Err(_) => break,
            }
        }
        sent
    }
}
