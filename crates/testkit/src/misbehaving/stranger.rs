use crate::websocket::{self, FIN, TEXT};
use crate::{Client, PATIENCE};
use socketserver::Endpoint;
use std::io;

/// A client that speaks a protocol of somebody else: a scanner, a load balancer, a browser with the wrong port.
///
/// ```
/// use socketserver::framing::Netstring;
/// use socketserver::{Channel, MessageHandler, Server, Threads};
/// use socketserver_testkit::misbehaving::Stranger;
///
/// let echo = |message: &[u8], c: &mut Channel| Ok(c.send(message)?);
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::default(), echo.framed(Netstring::new()))?;
/// let endpoint = &server.handle().endpoints()[0];
/// for stranger in Stranger::ALL {
///     // A connection that the server breaks off is an answer too.
///     let answer = stranger.visit(endpoint).unwrap_or_default();
///     assert!(answer.is_empty(), "{stranger:?} is no peer, and was told {answer:?}");
/// }
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stranger {
    /// A browser: a request of HTTP/1.1.
    Http,
    /// HTTP/2 with prior knowledge: its preface and an empty frame of settings (RFC 9113, section 3.4).
    Http2,
    /// A `ClientHello` of TLS 1.2, whole and well-formed (RFC 5246, section 7.4.1.2).
    Tls,
    /// The identification of an SSH client (RFC 4253, section 4.2).
    Ssh,
    /// A mail server that does not wait for the greeting (RFC 5321).
    Smtp,
    /// A load balancer that introduces its client with a PROXY header of version 2.
    Proxy,
    /// A frame of WebSocket without its handshake.
    WebSocket,
    /// Zeros.
    Zeros,
    /// Every byte there is, in order, four times over.
    Noise,
}

impl Stranger {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Http,
        Self::Http2,
        Self::Tls,
        Self::Ssh,
        Self::Smtp,
        Self::Proxy,
        Self::WebSocket,
        Self::Zeros,
        Self::Noise,
    ];

    /// What it says first.
    #[must_use]
    pub fn first_words(self) -> Vec<u8> {
        match self {
            Self::Http => b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".to_vec(),
            Self::Http2 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
            Self::Tls => client_hello(),
            Self::Ssh => b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
            Self::Smtp => b"EHLO localhost\r\n".to_vec(),
            // TCP over IPv4, from 192.0.2.7:56324 to 192.0.2.1:443.
            Self::Proxy => b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\xdc\x04\x01\xbb".to_vec(),
            Self::WebSocket => websocket::frame(FIN | TEXT, b"Hello"),
            Self::Zeros => vec![0; 64],
            Self::Noise => (0..=u8::MAX).cycle().take(1024).collect(),
        }
    }

    /// Connects, says it, says no more, and gives what the server answers until it closes.
    ///
    /// # Errors
    /// The connection could not be had, or the server broke it off.
    ///
    /// # Panics
    /// When for [`PATIENCE`] the server neither answers nor closes.
    pub fn visit(self, endpoint: &Endpoint) -> io::Result<Vec<u8>> {
        let mut client = Client::connect(endpoint)?;
        client.say_if_there(self.first_words());
        client.socket.shutdown(std::net::Shutdown::Write)?;
        let heard = client.hear_all();
        let waits = heard.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        assert!(!waits, "for {PATIENCE:?} {self:?} was neither answered nor closed");
        heard
    }
}

fn client_hello() -> Vec<u8> {
    // Version 3.3, a random number, no session, two cipher suites, no compression, no extensions.
    let hello = [&[3, 3][..], &[0x5a; 32], &[0], &[0, 4, 0x13, 0x01, 0xc0, 0x2f], &[1, 0], &[0, 0]].concat();
    let len = hello.len() as u8;
    // A record of a handshake, and in it a message of its kind.
    [&[22, 3, 1, 0, len + 4][..], &[1, 0, 0, len], &hello].concat()
}
