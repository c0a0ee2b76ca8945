use crate::{Error, ErrorKind};
use std::borrow::Cow;

/// A page that a [`WebSocket`](super::WebSocket) port shows to browsers: bytes that do not change.
///
/// A browser neither keeps it nor guesses at its type (`Cache-Control: no-store`, `X-Content-Type-Options: nosniff`), and
/// tells other sites nothing of it (`Referrer-Policy: no-referrer`); each is as you say if you name it. What else a page must
/// not do says a policy of yours (CSP).
///
/// ```
/// use socketserver::Page;
/// let page = Page::new("text/html; charset=utf-8", b"<!doctype html><title>Chat</title>")
///     .header("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'");
/// # let _ = page;
/// ```
#[derive(Debug, Clone)]
pub struct Page {
    fields: Vec<(String, String)>,
    body: Cow<'static, [u8]>,
}

/// What a page has unless it says otherwise.
const DEFAULTS: [(&str, &str); 3] =
    [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer")];

impl Page {
    /// A page of this type (`text/html; charset=utf-8`).
    #[must_use]
    pub fn new(content_type: impl Into<String>, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self { fields: vec![("Content-Type".to_owned(), content_type.into())], body: body.into() }
    }

    /// A header field that goes with it. One that cannot be sent is refused at `serve`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Whether its fields can be sent (RFC 9110, section 5.5).
    pub(super) fn check(&self, path: &str) -> Result<(), Error> {
        let is_name = |name: &str| {
            let legal = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            !name.is_empty() && name.bytes().all(legal)
        };
        let is_value = |value: &str| value.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~'));
        let is_set = |name: &str| ["Content-Length", "Connection"].iter().any(|set| set.eq_ignore_ascii_case(name));
        match self.fields.iter().find(|(name, value)| !is_name(name) || !is_value(value) || is_set(name)) {
            None => Ok(()),
            Some((name, value)) => {
                let text = format!("the page `{path}` cannot have the header field `{name:?}: {value:?}`");
                Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("{text}: it is not printable ASCII, or the server's own"),
                ))
            }
        }
    }

    /// As a response, after which the connection ends. `more` are whole lines.
    pub(super) fn response(&self, status: &str, more: &str, with_body: bool) -> Vec<u8> {
        let length = self.body.len();
        let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{more}");
        let is_there = |name: &str| self.fields.iter().any(|(there, _)| there.eq_ignore_ascii_case(name));
        let defaults = DEFAULTS.into_iter().filter(|(name, _)| !is_there(name));
        let own = self.fields.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in own.chain(defaults) {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        let mut response = head.into_bytes();
        if with_body {
            response.extend_from_slice(&self.body);
        }
        response
    }
}
