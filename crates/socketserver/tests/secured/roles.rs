//! The servers that the tests talk to.

#[cfg(feature = "websocket")]
use socketserver::{Channel, MessageHandler};
use socketserver::{Handler, Peer, TlsInfo};
use socketserver::{Report, Result, Server, ServerTls, Signal, Stream, blocking};
use socketserver_testkit::{Cast, Role};
use std::path::Path;
use std::time::Duration;

pub(crate) const ALL: &[(&str, Role)] = &[
    ("script", |cast| serve(cast, server(cast)?)),
    ("patient", |cast| serve(cast, server(cast)?.handshake(None))),
    ("impatient", |cast| serve(cast, server(cast)?.handshake(Duration::from_millis(500)))),
    #[cfg(feature = "websocket")]
    ("messages", |cast| {
        let echo = |message: &[u8], c: &mut Channel| Ok(c.send(message)?);
        cast.serve_any(&mut server(cast)?, echo.unframed().max_message(2_000_000))
    }),
    ("renewed", |cast| serve(cast, server(cast)?.reload_tls_on(Signal::Hangup)?)),
];

/// Which files there are says what is asked of clients, and how many certificates there are.
fn server(cast: &Cast) -> Result<Server> {
    let dir = Path::new(cast.endpoints().nth(1).unwrap_or_default());
    let mut tls = ServerTls::new().certificate(dir.join("live.pem"), dir.join("live.key")).alpn(["http/1.1"]);
    if dir.join("second.pem").exists() {
        tls = tls.certificate(dir.join("second.pem"), dir.join("second.key"));
    }
    if dir.join("required.pem").exists() {
        tls = tls.client_ca(dir.join("required.pem"));
    }
    if dir.join("optional.pem").exists() {
        tls = tls.optional_client_ca(dir.join("optional.pem"));
    }
    Ok(Cast::server_at(&[cast.endpoint()])?.tls(tls)?)
}

fn serve(cast: &Cast, mut server: Server) -> Result<Report> {
    let report = cast.serve_any(&mut server, Script)?;
    let (totals, me) = (report.totals, socketserver_testkit::Process::me());
    Cast::tell(&format!("handshakes_failed={} accepted={}", totals.handshakes_failed, totals.accepted));
    me.settles("nothing is left", |me| me.threads() == 1 && me.children().is_empty());
    Ok(report)
}

/// Does what each line says.
struct Script;

/// Who somebody is, and what was agreed with him.
fn who(peer: &Peer, tls: Option<TlsInfo>) -> String {
    let identity = peer.identity().map_or("nobody".to_owned(), |identity| {
        format!("{} {:?} {}", identity.subject(), identity.sans(), identity.fingerprint())
    });
    let tls = tls.map_or("plain".to_owned(), |tls| {
        let alpn = tls.alpn().map(String::from_utf8_lossy);
        format!("{:?} {:?} {:?} resumed={}", tls.version(), alpn, tls.server_name(), tls.is_resumed())
    });
    format!("{identity} {tls}\n")
}

/// The same for both engines.
macro_rules! script {
    ($c:ident $(, $await:tt)?) => {{
        while let Some(line) = $c.read_line(1000)$(.$await)?? {
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match word {
                "echo" => $c.write_all(format!("{rest}\n").as_bytes())$(.$await)??,
                "who" => {
                    let who = who($c.peer(), $c.tls());
                    $c.write_all(who.as_bytes())$(.$await)??;
                }
                "bulk" => $c.write_all(&vec![b'x'; rest.parse()?])$(.$await)??,
                "all" => {
                    let all = $c.read_to_end(1 << 30)$(.$await)??;
                    $c.write_all(format!("{} bytes\n", all.len()).as_bytes())$(.$await)??;
                }
                "bye" => {
                    $c.write_all(b"bye\n")$(.$await)??;
                    return Ok(());
                }
                other => return Err(other.into()),
            }
        }
        Ok(())
    }};
}

impl blocking::Handler for Script {
    fn handle(&self, c: &mut blocking::Stream) -> Result {
        script!(c)
    }
}

impl Handler for Script {
    async fn handle(&self, c: &mut Stream) -> Result {
        script!(c, await)
    }
}
