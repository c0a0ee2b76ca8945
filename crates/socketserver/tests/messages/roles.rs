//! The servers that the peers talk to.

use socketserver::framing::LengthPrefix;
use socketserver::{
    AsyncMessageHandler, Channel, Endpoint, Failure, Forks, MessageHandler, Outbox, Peer, PushError, Report, Result,
    RunsOn, Serial, Server, Tasks, Threads,
};
use socketserver_testkit::{Caller, Cast, Client, How, Process, Role};
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

pub(crate) const ALL: &[(&str, Role)] = &[
    ("script", |cast| serve(cast, &mut server(cast)?, Script.framed(prefix()).max_message(LIMIT))),
    ("script-bare", |cast| serve(cast, &mut server(cast)?, Script)),
    ("short-drain", |cast| serve(cast, &mut short_drain(cast)?, Script.framed(prefix()).max_message(LIMIT))),
    ("short-drain-bare", |cast| serve(cast, &mut short_drain(cast)?, Script)),
    ("waits", |cast| wait(cast, Waits.framed(prefix()).max_message(LIMIT))),
    ("waits-bare", |cast| wait(cast, Waits)),
    ("refused", |cast| refused(cast, Script.framed(prefix()))),
    ("refused-bare", |cast| refused(cast, Script)),
];

/// The longest message, where there is a framing.
pub(crate) const LIMIT: usize = 60_000;

fn prefix() -> LengthPrefix {
    LengthPrefix::u32_be().max(LIMIT)
}

/// It has a certificate where one is needed: in the directory that is its own.
fn server(cast: &Cast) -> Result<Server> {
    let server = Cast::server_at(&[cast.endpoint()])?;
    #[cfg(feature = "tls")]
    if server.endpoints().iter().any(Endpoint::is_tls) {
        let dir = cast.endpoints().nth(1).unwrap_or_default();
        return Ok(server.tls(crate::bridge::tls(std::path::Path::new(dir)))?);
    }
    Ok(server)
}

/// Sends back what comes, and does what a message says that begins with `!`. Its state is how many messages a peer has sent.
struct Script;

impl MessageHandler for Script {
    type State = usize;

    fn open(&self, c: &mut Channel) -> Result<usize> {
        Cast::tell(&format!("open id={}", c.id()));
        Ok(0)
    }

    fn message(&self, count: &mut usize, message: &[u8], c: &mut Channel) -> Result {
        *count += 1;
        let Some(word) = message.strip_prefix(b"!") else { return Ok(c.send(message)?) };
        let text = std::str::from_utf8(word)?;
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "count" => c.send(count.to_string().as_bytes())?,
            "end" => {
                c.send(b"goodbye")?;
                c.end();
            }
            "fail" => {
                c.send(b"before it failed")?;
                return Err("it failed".into());
            }
            "panic" => {
                c.send(b"before it panicked")?;
                panic!("nobody thought of this");
            }
            "push" => {
                let (outbox, bell) = (c.outbox(), TcpStream::connect(rest)?);
                std::thread::spawn(move || push(&outbox, bell));
                c.send(b"pushing")?;
            }
            "too-long" => {
                // Beyond every limit.
                let error = c.send(&vec![0; 100_000]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                c.outbox().push(vec![0; 100_000])?;
                c.outbox().push(*b"pushed after it")?;
                c.send(b"sent after it")?;
            }
            "dropped" => {
                let dropped = c.outbox().dropped();
                c.send(dropped.to_string().as_bytes())?;
            }
            // More than all buffers on the way hold.
            "flood" => {
                (0..400).try_for_each(|_| c.send(&[b'x'; 50_000]))?;
                Cast::tell("flooding");
            }
            other => return Err(format!("no such word: {other}").into()),
        }
        Ok(())
    }

    fn close(&self, count: usize, c: &mut Channel) {
        Cast::tell(&format!("close id={} count={count}", c.id()));
        let _ = c.send(format!("closed after {count}").as_bytes());
    }

    fn on_error(&self, error: &Failure, _: &Peer) {
        Cast::tell(&format!("on_error {error}"));
    }
}

/// Pushes a message for each byte that comes, until the conversation is over or nothing more comes.
fn push(outbox: &Outbox, mut bell: TcpStream) {
    for number in 0.. {
        match bell.read(&mut [0]) {
            Ok(1) => {}
            _ => return,
        }
        match outbox.push(format!("pushed {number}").into_bytes()) {
            Ok(()) => {}
            Err(PushError::Closed) => return Cast::tell("push closed"),
            Err(error) => return Cast::tell(&format!("push {error}")),
        }
    }
}

/// Serves, and looks whether anything is left when the drain is over.
fn serve<H, B, A>(cast: &Cast, server: &mut Server, handler: H) -> Result<Report>
where
    H: RunsOn<Serial, B> + RunsOn<Threads, B> + RunsOn<Forks, B> + RunsOn<Tasks, A> + Send + Sync + 'static,
{
    let me = Process::me();
    let before = me.descriptors().len();
    let report = cast.serve_any(server, handler)?;
    me.settles("nothing is left", |me| {
        me.threads() == 1 && me.children().is_empty() && me.descriptors().len() <= before
    });
    Ok(report)
}

fn short_drain(cast: &Cast) -> Result<Server> {
    Ok(server(cast)?.drain_deadline(Duration::from_millis(200)))
}

/// Waits with each message, for nothing that ever comes.
struct Waits;

impl AsyncMessageHandler for Waits {
    type State = usize;

    async fn open(&self, c: &mut Channel) -> Result<usize> {
        Cast::tell(&format!("open id={}", c.id()));
        Ok(0)
    }

    async fn message(&self, _: &mut usize, _: &[u8], _: &mut Channel) -> Result {
        Cast::tell("waits");
        std::future::pending().await
    }

    fn close(&self, _: usize, c: &mut Channel) {
        Cast::tell(&format!("close id={}", c.id()));
    }
}

fn wait<H, K>(cast: &Cast, handler: H) -> Result<Report>
where
    H: RunsOn<Tasks, K> + Send + Sync + 'static,
{
    let server = short_drain(cast)?;
    match cast.how() {
        How::Tasks(shards) => cast.serve_on(server, Tasks::new(shards), handler),
        How::Run => cast.run(server, handler),
        how => Err(format!("`{how}` runs no async handlers").into()),
    }
}

/// Is refused, though somebody waits already.
fn refused<H, B, A>(cast: &Cast, handler: H) -> Result<Report>
where
    H: RunsOn<Serial, B> + RunsOn<Threads, B> + RunsOn<Forks, B> + RunsOn<Tasks, A> + Send + Sync + 'static,
{
    let mut server = server(cast)?;
    let endpoint: Endpoint = server.endpoints().remove(0);
    let _waits = match Client::connect(&endpoint) {
        Ok(mut client) => {
            client.say("hello");
            Ok(client)
        }
        Err(_) => {
            let caller = Caller::of(&endpoint)?;
            caller.send("hello");
            Err(caller)
        }
    };
    let served = cast.serve_any(&mut server, handler);
    let totals = server.handle().totals();
    Cast::tell(&format!("accepted={} packets={}", totals.accepted, totals.packets));
    served
}
