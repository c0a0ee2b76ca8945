//! One page over HTTPS, for a browser or `curl`: TLS with a certificate from files, or one that is made now.
//!
//! ```sh
//! cargo run --example https --features self-signed -- tls://127.0.0.1:8443 fullchain.pem privkey.pem
//! ```
//!
//! Without arguments it talks to itself. A real server of HTTP is a crate of its own; this is what lies beneath.

use socketserver::client::{ClientTls, Connector};
use socketserver::{Result, Server, ServerTls, Threads, blocking};

const PAGE: &str = "<!doctype html><title>hello</title><p>hello\n";

/// Answers every request of a connection with the page.
fn serve(c: &mut blocking::Stream) -> Result {
    while let Some(request) = c.read_line(8 * 1024)? {
        // The headers, and nobody who sends them without end.
        let mut headers = 0;
        while c.read_line(8 * 1024)?.is_some_and(|header| !header.is_empty()) {
            headers += 1;
            if headers > 100 {
                return Ok(c.write_all(b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n")?);
            }
        }
        let (status, page) = match request.split(' ').next() {
            Some("GET") => ("200 OK", PAGE),
            _ => ("405 Method Not Allowed", ""),
        };
        let len = page.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {len}\r\n\r\n");
        c.write_all(head.as_bytes())?;
        c.write_all(page.as_bytes())?;
        if page.is_empty() {
            // Whether a body follows that request is not looked at.
            return Ok(());
        }
    }
    Ok(())
}

fn main() -> Result {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let tls = ServerTls::new().alpn(["http/1.1"]);
    let (at, tls) = match &args[..] {
        [at, chain, key] => (&at[..], tls.certificate(chain, key)),
        _ => ("tls://127.0.0.1:0", tls.self_signed(["localhost", "127.0.0.1"])?),
    };
    let fingerprint = tls.fingerprint()?;
    let server = Server::bind(at)?.tls(tls)?.stop_on_signals()?;
    println!("listening on {}", server.endpoints()[0]);
    println!("its certificate has the fingerprint {fingerprint}");
    let server = server.spawn(Threads::default(), serve)?;
    if args.is_empty() {
        let tls = ClientTls::new().fingerprint(fingerprint).alpn(["http/1.1"]);
        let mut c = Connector::new().tls(tls).connect(&server.handle().endpoints()[0])?;
        c.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
        c.close_write()?;
        println!("{}", String::from_utf8(c.read_to_end(10_000)?)?);
        server.handle().shutdown();
    }
    server.join()?;
    Ok(())
}
