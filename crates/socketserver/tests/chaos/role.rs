//! The server.

use socketserver::{Handle, OverLimit, Rate, Report, Result, ServerTls, Signal};
use socketserver_testkit::{Cast, Connection, Part, Played, Process};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// Few, so that they run out.
const DESCRIPTORS: u64 = 160;

/// What is changed, one after the other.
const CHANGES: [fn(&Handle); 12] = [
    |h| h.set_max_connections(20),
    |h| h.set_over_limit(OverLimit::Close),
    |h| h.set_max_per_peer(9),
    |h| h.set_over_limit(OverLimit::reply("busy\n")),
    |h| h.set_max_connections(None),
    |h| {
        h.kick_where(|connection| connection.id % 3 == 0);
    },
    |h| h.set_deny(["127.0.0.0/8".parse().unwrap()]),
    |h| h.set_deny([]),
    |h| h.set_over_limit(OverLimit::Queue),
    |h| h.set_accept_rate("300/s".parse::<Rate>().unwrap()),
    Handle::suspend,
    calm,
];

/// As it was in the beginning.
fn calm(handle: &Handle) {
    handle.resume();
    handle.set_max_connections(None);
    handle.set_max_per_peer(None);
    handle.set_accept_rate(None);
    handle.set_deny([]);
    handle.set_over_limit(OverLimit::Queue);
}

pub(crate) fn chaos(cast: &Cast) -> Result<Report> {
    // Handlers panic on purpose.
    std::panic::set_hook(Box::new(|_| {}));
    socketserver_sys::set_descriptor_limit(DESCRIPTORS)?;
    let me = Process::me();
    let before = me.descriptors();
    let dir = Path::new(cast.endpoints().nth(1).unwrap_or_default());
    let unix = format!("unix:{}", dir.join("socket").display());
    let tls = ServerTls::new().certificate(dir.join("live.pem"), dir.join("live.key"));
    let mut changes = CHANGES.iter().cycle();
    let over = Arc::new(AtomicBool::new(false));
    let is_over = over.clone();
    let mut server = Cast::server_at(&[cast.endpoint(), "tls://127.0.0.1:0", &unix])?
        .tls(tls)?
        .reload_tls_on(Signal::Hangup)?
        .on_signal(Signal::User1, move |handle| {
            if !is_over.load(SeqCst) {
                changes.next().into_iter().for_each(|change| change(handle));
            }
            Ok(())
        })?
        .on_signal(Signal::User2, move |handle| {
            over.store(true, SeqCst);
            calm(handle);
            Cast::tell("calm");
            Ok(())
        })?
        .idle(Duration::from_secs(1))
        .handshake(Duration::from_secs(2))
        .write_timeout(Duration::from_secs(2));
    let handle = server.handle();
    let report = cast.serve_any(&mut server, Played(Answers))?;
    let totals = report.totals;
    Cast::tell(&format!("totals open={} {totals:?}", handle.open()).replace(": ", "=").replace([',', '{', '}'], ""));
    drop((server, handle));
    me.settles("all that it had is given back", |me| {
        me.threads() == 1 && me.children().is_empty() && me.descriptors().len() == before.len()
    });
    Ok(report)
}

/// Answers each request, `KEY NUMBER LENGTH` in a line, with that line and so many bytes.
struct Answers;

impl Part for Answers {
    async fn handle(&self, c: &mut impl Connection) -> Result {
        let mut serves = None;
        while let Some(line) = c.read_line(1000).await? {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["panic"] => panic!("as it was asked to"),
                ["fail"] => return Err("as it was asked to".into()),
                [key, number, length] => {
                    if serves.is_none() {
                        Cast::tell(&format!("serves key={key} id={}", c.id()));
                        serves = Some(key.to_owned());
                    }
                    let mut answer = format!("{line}\n").into_bytes();
                    answer.resize(answer.len() + length.parse::<usize>()?, number.parse()?);
                    c.write_all(&answer).await?;
                }
                _ => return Err("that is no request".into()),
            }
        }
        Ok(())
    }
}
