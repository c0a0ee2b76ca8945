//! What a request is answered: it becomes a conversation, it gets a page, or it is refused.

use super::request::{MAX_FIELDS, MAX_HEAD};
use super::{Page, WebSocket, hosts};
use httparse::{EMPTY_HEADER, Header, Request, Status};
use std::fmt::Write;
use std::net::SocketAddr;
use tungstenite::handshake::derive_accept_key;

/// The bytes of an answer, and what comes after it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Vec<u8>,
    pub(super) then: Then,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Messages.
    Talk,
    /// Nothing.
    End,
    /// Nothing, and those who watch are told why.
    Fail(String),
}

/// A request that is refused: the status line, a field that goes with it, why, in words for the peer; and who is told.
struct Refusal {
    status: &'static str,
    field: &'static str,
    why: &'static str,
    then: Then,
}

impl Refusal {
    fn new(status: &'static str, why: &'static str) -> Self {
        Self { status, field: "", why, then: Then::Fail(format!("no handshake: {why}")) }
    }

    fn field(self, field: &'static str) -> Self {
        Self { field, ..self }
    }

    /// What was wrong in it, for those who watch: the peer knows.
    fn saw(self, what: &str) -> Self {
        // It goes to logs and terminals.
        let what: String = what.chars().take(100).flat_map(char::escape_debug).collect();
        Self { then: Then::Fail(format!("no handshake: {}: `{what}`", self.why)), ..self }
    }

    /// Such things are asked for all the time.
    fn quietly(self) -> Self {
        Self { then: Then::End, ..self }
    }

    fn answer(self, with_body: bool) -> Answer {
        let page = Page::new("text/plain; charset=utf-8", format!("{}\n", self.why).into_bytes());
        Answer { response: page.response(self.status, self.field, with_body), then: self.then }
    }
}

impl Answer {
    pub(super) fn too_long() -> Self {
        Refusal::new("431 Request Header Fields Too Large", "the request is longer than 16 KiB").answer(true)
    }

    pub(super) fn late() -> Self {
        Refusal::new("408 Request Timeout", "the request has not come in time").answer(true)
    }
}

/// Answers the request of which this is the head, at most [`MAX_HEAD`] bytes, at the server's end `local`.
pub(super) fn to(head: &[u8], path: &str, options: &WebSocket, local: Option<SocketAddr>) -> Answer {
    debug_assert!(head.len() <= MAX_HEAD);
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut request = Request::new(&mut fields);
    let malformed = |why| Refusal::new("400 Bad Request", why).answer(true);
    match request.parse(head) {
        Ok(Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => {
            return Refusal::new("431 Request Header Fields Too Large", "the request has more than 100 fields")
                .answer(true);
        }
        _ => return malformed("what came is no request of HTTP"),
    }
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return malformed("what came is no request of HTTP");
    };
    let fields = Fields(request.headers);
    let with_body = method != "HEAD";
    match handshake(method, target, request.version, &fields, path, options, local) {
        Ok(Reply::Accept(key)) => accept(key),
        Ok(Reply::Page(page)) => Answer { response: page.response("200 OK", "", with_body), then: Then::End },
        Err(refusal) => refusal.answer(with_body),
    }
}

enum Reply<'a> {
    /// The key to answer with.
    Accept(&'a str),
    Page(&'a Page),
}

/// RFC 6455, section 4.2.1, and who may come.
fn handshake<'a>(
    method: &str,
    target: &str,
    version: Option<u8>,
    fields: &Fields<'a>,
    path: &str,
    options: &'a WebSocket,
    local: Option<SocketAddr>,
) -> Result<Reply<'a>, Refusal> {
    let malformed = |why| Refusal::new("400 Bad Request", why);
    if version != Some(1) {
        return Err(Refusal::new("505 HTTP Version Not Supported", "the request is not of HTTP/1.1"));
    }
    let host = fields.one("Host").ok_or_else(|| malformed("the request does not have one Host"))?;
    if !hosts::is_ours(host, local, &options.hosts) {
        return Err(
            Refusal::new("421 Misdirected Request", "this server does not go by the Host of the request").saw(host)
        );
    }
    if !matches!(method, "GET" | "HEAD") {
        let refusal = Refusal::new("405 Method Not Allowed", "only GET and HEAD are answered");
        return Err(refusal.field("Allow: GET, HEAD\r\n").quietly());
    }
    let asked = target.split('?').next().unwrap_or_default();
    if !fields.has_token("Upgrade", "websocket") {
        return match options.pages.iter().find(|(path, _)| path == asked) {
            Some((_, page)) => Ok(Reply::Page(page)),
            None if asked == path => {
                let refusal =
                    Refusal::new("426 Upgrade Required", "here is a WebSocket, and the request asks for none");
                Err(refusal.field("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n").quietly())
            }
            None => Err(Refusal::new("404 Not Found", "there is nothing by that path").quietly()),
        };
    }
    if asked != path {
        return Err(Refusal::new("404 Not Found", "there is no WebSocket by that path").saw(asked));
    }
    if method != "GET" {
        return Err(malformed("only GET can ask for a WebSocket"));
    }
    if !fields.has_token("Connection", "upgrade") {
        return Err(malformed("the request has an Upgrade, and no `Connection: Upgrade`"));
    }
    if fields.one("Sec-WebSocket-Version") != Some("13") {
        let refusal = Refusal::new("426 Upgrade Required", "only version 13 of WebSocket is spoken");
        return Err(refusal.field("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"));
    }
    let key = fields.one("Sec-WebSocket-Key").filter(|key| is_key(key));
    let key = key.ok_or_else(|| malformed("the request does not have one Sec-WebSocket-Key of 16 bytes in base64"))?;
    match fields.all("Origin").count() {
        // Not a browser.
        0 => {}
        _ if fields.one("Origin").is_some_and(|origin| hosts::may_talk(origin, host, &options.origins)) => {}
        _ => {
            let refusal = Refusal::new("403 Forbidden", "pages of that Origin may not connect");
            return Err(refusal.saw(fields.one("Origin").unwrap_or("not one")));
        }
    }
    Ok(Reply::Accept(key))
}

/// Extensions and subprotocols are none, whatever the peer offers.
fn accept(key: &str) -> Answer {
    let mut response =
        String::from("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    let _ = write!(response, "Sec-WebSocket-Accept: {}\r\n\r\n", derive_accept_key(key.as_bytes()));
    Answer { response: response.into_bytes(), then: Then::Talk }
}

/// 16 bytes in base64 (RFC 4648, section 4).
fn is_key(key: &str) -> bool {
    let Some(digits) = key.strip_suffix("==") else { return false };
    // Of the last digit 4 bits are over, which are zero.
    digits.len() == 22
        && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
        && digits.ends_with(['A', 'Q', 'g', 'w'])
}

/// The header fields of a request.
struct Fields<'a>(&'a [Header<'a>]);

impl<'a> Fields<'a> {
    /// The values of all of that name that are text.
    fn all(&self, name: &str) -> impl Iterator<Item = Option<&'a str>> {
        let named = self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| std::str::from_utf8(field.value).ok().map(str::trim_ascii))
    }

    /// The value of the only one.
    fn one(&self, name: &str) -> Option<&'a str> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none()).flatten()
    }

    /// Whether that is in a list (RFC 9110, section 5.6.1).
    fn has_token(&self, name: &str, token: &str) -> bool {
        let mut tokens = self.all(name).flatten().flat_map(|value| value.split(','));
        tokens.any(|one| one.trim_ascii().eq_ignore_ascii_case(token))
    }
}
