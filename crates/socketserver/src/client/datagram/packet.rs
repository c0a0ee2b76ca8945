use std::ops::Deref;

/// A packet that came, in the buffer that it was received into: its bytes.
///
/// What the buffer had no room for is lost. 65,535 bytes hold any packet of UDP (RFC 768).
///
/// ```
/// use socketserver::{Datagram, Serial, Server, client};
/// let server = Server::bind("udp://127.0.0.1:0")?
///     .spawn(Serial::default(), |d: &mut Datagram| { d.reply(b"a long story")?; Ok(()) })?;
/// let c = client::datagram(&server.handle().endpoints()[0])?;
/// c.send(b"tell me")?;
/// let mut buf = [0; 6];
/// let packet = c.recv(&mut buf)?;
/// assert_eq!(&packet[..], b"a long");
/// assert!(packet.is_truncated());
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'b> {
    bytes: &'b [u8],
    truncated: bool,
}

impl<'b> Packet<'b> {
    pub(super) fn new(bytes: &'b [u8], truncated: bool) -> Self {
        Self { bytes, truncated }
    }

    /// What is in it, as far as there was room; it may be empty.
    #[must_use]
    pub fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// Whether there was more of it than the buffer had room for.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }
}

impl Deref for Packet<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}
