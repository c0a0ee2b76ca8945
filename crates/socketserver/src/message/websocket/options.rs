use super::Page;
use super::speech::Sends;
use crate::{Error, ErrorKind};
use std::time::Duration;

/// How messages are spoken on `ws://` endpoints (RFC 6455); [`Framed::web_socket`](crate::Framed::web_socket) takes it. The
/// feature `websocket` has it.
///
/// | option | default |
/// |---|---|
/// | [`hosts`](Self::hosts) | the server is called `localhost`, or by the address and the port that its peer has connected to |
/// | [`origins`](Self::origins) | pages of the server's own connect, and whoever is no browser |
/// | [`ping`](Self::ping) | after 30 s of silence |
/// | [`handshake`](Self::handshake) | 5 s |
/// | [`text`](Self::text), [`binary`](Self::binary) | as the peer's last message came, binary before that |
/// | [`page`](Self::page) | none |
///
/// A connection begins with a request, of at most 16 KiB and 100 header fields, whose path is the endpoint's (whatever its
/// query): others are answered 404, those that say another `Host` 421, pages of another `Origin` 403, what asks for no
/// WebSocket of version 13 426. There are no subprotocols and no extensions, so no compression. The handler's
/// [`open`](crate::MessageHandler::open) comes after that.
///
/// Then a message is one of WebSocket's, text or binary, in however many frames it came; the handler sees its bytes, of
/// which there are at most [`Framed::max_message`](crate::Framed::max_message). Text is UTF-8 for certain
/// ([`Channel::is_text`](crate::Channel::is_text)). A frame is refused as soon as its header shows that it is too long, not
/// masked or otherwise against the rules, before there is memory for it.
///
/// How it ends the peer is told by a code: 1000 when the handler is through, 1001 when the server drains, 1002 for what is no
/// WebSocket, 1007 for text that is not UTF-8, 1008 for a peer that was silent for too long, 1009 for a message that is too
/// long, 1011 for a handler that failed. A peer that says goodbye is answered with its own code. Whoever is cut
/// ([`Handle::kick`](crate::Handle::kick), the drain's deadline) is told nothing.
///
/// A ping is answered; of many that came together, the newest. A stream handler is refused on such an endpoint by `serve`. Over
/// TLS it is `wss://`; behind a proxy that has TLS, list the name that it is called by.
///
/// ```
/// use socketserver::{Channel, MessageHandler, Server, Tasks, WebSocket};
///
/// let echo = |message: &[u8], c: &mut Channel| Ok(c.send(message)?);
/// let echo = echo.unframed().web_socket(WebSocket::new().hosts(["chat.example"]).origins(["https://www.example"]));
/// let server = Server::bind("ws://127.0.0.1:0/echo")?.spawn(Tasks::new(1), echo)?;
/// # server.stop()?;
/// # Ok::<_, socketserver::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct WebSocket {
    pub(super) hosts: Vec<String>,
    pub(super) origins: Vec<String>,
    pub(super) ping: Option<Duration>,
    pub(super) handshake: Option<Duration>,
    pub(super) sends: Sends,
    pub(super) pages: Vec<(String, Page)>,
}

impl WebSocket {
    /// The defaults above.
    #[must_use]
    pub fn new() -> Self {
        Self {
            hosts: Vec::new(),
            origins: Vec::new(),
            ping: Some(Duration::from_secs(30)),
            handshake: Some(Duration::from_secs(5)),
            sends: Sends::AsHeard,
            pages: Vec::new(),
        }
    }

    /// More names that the server goes by, as browsers say them in `Host`: `chat.example` with any port,
    /// `chat.example:8443` with that one. Requests that say another name are refused, for a page of somebody else's may have
    /// had its name made to lead here (DNS rebinding).
    #[must_use]
    pub fn hosts(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.hosts.extend(names.into_iter().map(Into::into));
        self
    }

    /// More sites whose pages may connect, as browsers say them in `Origin` (RFC 6454): `https://www.example`, with the port
    /// if it is not the scheme's own.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.origins.extend(origins.into_iter().map(Into::into));
        self
    }

    /// After how long a silence the peer is asked whether it is there; if it says nothing for as long again, the connection
    /// ends, for [`Reason::Idle`](crate::Reason::Idle). `None` asks nobody. At least a millisecond.
    ///
    /// What it answers are bytes that have come, so it keeps the idle deadline off too
    /// ([`Server::idle`](crate::Server::idle)).
    #[must_use]
    pub fn ping(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.ping = after.into().map(|after| after.max(Duration::from_millis(1)));
        self
    }

    /// How long the request may take, from when the connection is served; then it ends, for
    /// [`Reason::Handshake`](crate::Reason::Handshake). `None` is for ever; the idle deadline holds all the same.
    #[must_use]
    pub fn handshake(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.handshake = time.into();
        self
    }

    /// Sends all messages as text: those that are not UTF-8 are an error of [`Channel::send`](crate::Channel::send).
    #[must_use]
    pub fn text(mut self) -> Self {
        self.sends = Sends::Text;
        self
    }

    /// Sends all messages as binary.
    #[must_use]
    pub fn binary(mut self) -> Self {
        self.sends = Sends::Binary;
        self
    }

    /// Shows a page to whoever asks for this path, with GET or HEAD, and not for a WebSocket. It may be the path of the
    /// endpoint.
    ///
    /// ```
    /// use socketserver::{Channel, MessageHandler, Page, Server, Threads, WebSocket};
    /// # use std::io::{Read, Write};
    /// let echo = |message: &[u8], c: &mut Channel| Ok(c.send(message)?);
    /// let page = Page::new("text/html; charset=utf-8", b"<!doctype html><title>Echo</title>");
    /// let echo = echo.unframed().web_socket(WebSocket::new().page("/", page));
    /// let server = Server::bind("ws://127.0.0.1:0/echo")?.spawn(Threads::default(), echo)?;
    /// # let socketserver::Endpoint::Ws { port, .. } = server.handle().endpoints()[0] else { unreachable!() };
    /// # let mut c = std::net::TcpStream::connect(("127.0.0.1", port))?;
    /// # c.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    /// # let mut answer = String::new();
    /// # c.read_to_string(&mut answer)?;
    /// # assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("</title>"), "{answer}");
    /// # server.stop()?;
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    #[must_use]
    pub fn page(mut self, path: impl Into<String>, page: Page) -> Self {
        self.pages.push((path.into(), page));
        self
    }

    /// Whether all of it can be meant. `serve` asks too: this is for whoever wants to know before anything is bound.
    ///
    /// ```
    /// use socketserver::WebSocket;
    /// assert!(WebSocket::new().hosts(["chat.example:8443"]).check().is_ok());
    /// let error = WebSocket::new().hosts(["https://chat.example"]).check().unwrap_err();
    /// assert!(error.to_string().contains("is no host"));
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`]: a host, an origin or the path of a page is none, or a page has a header field that cannot be
    /// sent.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |text| Err(Error::new(ErrorKind::Unsupported, text));
        if let Some(host) = self.hosts.iter().find(|host| !is_host(host)) {
            return wrong(format!("`{host}` is no host: a name is, with a port or without, as `chat.example`"));
        }
        if let Some(origin) = self.origins.iter().find(|origin| !is_origin(origin)) {
            return wrong(format!("`{origin}` is no origin: a scheme and a host are, as `https://www.example`"));
        }
        if let Some((path, _)) = self.pages.iter().find(|(path, _)| !path.starts_with('/') || path.contains(['?', '#']))
        {
            return wrong(format!(
                "`{path}` is no path of a page: it begins with a `/`, and has no query, as `/app.js`"
            ));
        }
        self.pages.iter().try_for_each(|(path, page)| page.check(path))
    }
}

impl Default for WebSocket {
    fn default() -> Self {
        Self::new()
    }
}

/// What can stand in a `Host` field: a name or an address, with a port or without.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte))
}

/// As a browser says it: without a path, not even `/`.
fn is_origin(text: &str) -> bool {
    text == "null" || text.split_once("://").is_some_and(|(_, host)| !host.is_empty() && !host.contains('/'))
}
