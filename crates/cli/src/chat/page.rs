//! How the chat talks to browsers: the page that its WebSocket port serves.

use socketserver::{Endpoint, Failure, Page, Result, WebSocket};

/// Nothing but its own files and its own connection, in nobody's frame; and no text ever becomes a script (Content Security
/// Policy Level 3, Trusted Types).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Lines are text, and a plain request is answered with the page. `hosts`: names that the server goes by.
///
/// # Errors
/// What of it cannot be, in words for whoever typed it.
pub(super) fn web_socket(endpoints: &[Endpoint], hosts: &[String]) -> Result<WebSocket, Failure> {
    let mut paths = endpoints.iter().filter_map(Endpoint::path);
    let path = paths.next().unwrap_or("/");
    if let Some(other) = paths.find(|other| *other != path) {
        Err(format!("the page leads to one path, and the addresses have two: `{path}` and `{other}`"))?;
    }
    // A path has no character that means something in an attribute but `&` and `'`, and it stands between double quotes.
    let path = path.replace('&', "&amp;");
    let index = include_str!("page/index.html").replace("@PATH@", &path);
    let page = |kind: &str, body: Vec<u8>| Page::new(kind, body).header("Content-Security-Policy", POLICY);
    let web_socket = WebSocket::new()
        .text()
        .hosts(hosts)
        .page("/", page("text/html; charset=utf-8", index.into_bytes()))
        .page("/chat.js", page("text/javascript; charset=utf-8", include_bytes!("page/chat.js").to_vec()))
        .page("/chat.css", page("text/css; charset=utf-8", include_bytes!("page/chat.css").to_vec()));
    web_socket.check().map_err(|error| format!("--host: {error}"))?;
    Ok(web_socket)
}
