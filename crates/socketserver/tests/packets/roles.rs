//! The servers that the tests talk to.

use socketserver::{Datagram, DatagramHandler, Failure, Handle, Peer, Report, Result, Server, Signal};
use socketserver_testkit::{Cast, Connection, Part, Played, Role};
use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub(crate) const ALL: &[(&str, Role)] = &[
    ("script", script),
    ("large", large),
    ("verify", verify),
    ("twice", twice),
    ("early", early),
    ("every", every),
    ("steered", steered),
    ("foreign-child", foreign_child),
    ("short-drain", short_drain),
    ("long-drain", long_drain),
    ("back-to-back", back_to_back),
    ("without-signals", without_signals),
    ("pair", pair),
];

/// Does what each packet says.
struct Script;

impl DatagramHandler for Script {
    fn handle(&self, d: &mut Datagram) -> Result {
        let text = std::str::from_utf8(d.packet())?.to_owned();
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        match word {
            "echo" => d.reply(rest.as_bytes())?,
            "pid" => d.reply(std::process::id().to_string().as_bytes())?,
            "facts" => {
                let facts = format!("{} {} {:?} {}", d.endpoint(), d.peer(), d.local(), d.is_truncated());
                d.reply(facts.as_bytes())?;
            }
            "three" => {
                for at in 1..=3 {
                    d.reply(format!("{at} {rest}").as_bytes())?;
                }
            }
            "elsewhere" => {
                let (to, rest) = rest.split_once(' ').ok_or("to whom, and what")?;
                d.send_to(rest.as_bytes(), to.parse()?)?;
                d.reply(b"sent")?;
            }
            "nothing" => d.reply(b"")?,
            "ignore" => {}
            "silence" => Cast::tell("silence"),
            "" => Cast::tell(&format!("handled {} bytes", d.packet().len())),
            "fail" => {
                d.reply(b"before it failed")?;
                return Err(rest.to_owned().into());
            }
            "panic" => panic!("{rest}"),
            "abort" => std::process::abort(),
            "exit" => std::process::exit(rest.parse()?),
            "stop" => {
                d.server().shutdown();
                d.server().shutdown();
                d.reply(b"stopping")?;
            }
            "stop-and-fail" => {
                d.server().shutdown();
                return Err("after the stop".into());
            }
            "suspend" => {
                d.server().suspend();
                d.reply(b"suspended")?;
            }
            "is-suspended" => d.reply(d.server().is_suspended().to_string().as_bytes())?,
            "hold" => {
                let mut held = TcpStream::connect(rest)?;
                Cast::tell("holding");
                held.read_to_end(&mut Vec::new())?;
                d.reply(format!("let go, stopping: {}", d.server().is_stopping()).as_bytes())?;
            }
            // Not to be reached by anything but a signal.
            "hang" => {
                Cast::tell(&format!("hangs {}", std::process::id()));
                loop {
                    std::thread::park();
                }
            }
            other => return Err(format!("no such word: {other}").into()),
        }
        Ok(())
    }

    fn on_error(&self, error: &Failure, peer: &Peer) {
        Cast::tell(&format!("on_error {error} peer={peer}"));
        assert_ne!(error.to_string(), "on_error too", "on_error panics too");
    }
}

fn script(cast: &Cast) -> Result<Report> {
    cast.serve_any(&mut cast.server()?, Script)
}

/// Says how much of a packet came, and sends what came back.
fn large(cast: &Cast) -> Result<Report> {
    cast.serve_any(&mut cast.server()?, |d: &mut Datagram| {
        d.reply(format!("{} {}", d.packet().len(), d.is_truncated()).as_bytes())?;
        let (packet, mut replies) = d.split();
        Ok(replies.send(packet)?)
    })
}

/// Does not want the second packet, and panics at the third. In the server's own process, or it could not count.
struct Verify(AtomicUsize);

impl DatagramHandler for Verify {
    fn verify(&self, peer: &Peer) -> bool {
        let packet = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        Cast::tell(&format!("verify {packet} peer={peer}"));
        match packet {
            2 => false,
            3 => panic!("verify panicked"),
            _ => true,
        }
    }

    fn handle(&self, d: &mut Datagram) -> Result {
        Cast::tell("handle");
        Ok(d.reply(b"in")?)
    }
}

fn verify(cast: &Cast) -> Result<Report> {
    cast.serve_any(&mut cast.server()?, Verify(0.into()))
}

/// The same server serves again after a shutdown.
fn twice(cast: &Cast) -> Result<Report> {
    let mut server = cast.server()?;
    let old = server.handle();
    cast.serve_any(&mut server, Script)?;
    // What was stopped once stays stopped, and says nothing about the next run.
    old.shutdown();
    cast.serve_any(&mut server, Script)
}

/// Stopped before it serves.
fn early(cast: &Cast) -> Result<Report> {
    let mut server = cast.server()?;
    server.handle().shutdown();
    server.handle().shutdown();
    cast.serve_any(&mut server, Script)
}

/// Twenty servers, one after the other.
fn back_to_back(cast: &Cast) -> Result<Report> {
    for at in 0..19 {
        let mut server = Server::bind(cast.endpoint())?;
        let handle = server.handle();
        // Half of them are stopped before they begin, half in their first turn.
        if at % 2 == 0 {
            handle.shutdown();
        } else {
            server = server.every(Duration::from_millis(1), |handle| {
                handle.shutdown();
                Ok(())
            });
        }
        cast.serve_any(&mut server, Script)?;
    }
    cast.serve_any(&mut cast.server()?, Script)
}

fn every(cast: &Cast) -> Result<Report> {
    let mut turns = 0;
    let mut server = cast.server()?.every(Duration::from_millis(5), move |handle| {
        turns += 1;
        match turns {
            1 => Err("the first turn failed".into()),
            2 => panic!("the second turn panicked"),
            3 => {
                Cast::tell(&format!("third turn, packets={}", handle.totals().packets));
                Ok(())
            }
            _ => Ok(()),
        }
    });
    cast.serve_any(&mut server, Script)
}

/// Suspended by one signal and resumed by another; tells of time that passes while it is suspended.
fn steered(cast: &Cast) -> Result<Report> {
    let steer = |name: &'static str, how: fn(&Handle)| {
        move |handle: &Handle| {
            how(handle);
            Cast::tell(name);
            Ok(())
        }
    };
    let mut server = cast
        .server()?
        .on_signal(Signal::User1, steer("suspended", Handle::suspend))?
        .on_signal(Signal::User2, steer("resumed", Handle::resume))?
        .every(Duration::from_millis(5), |handle| {
            if handle.is_suspended() {
                Cast::tell("still suspended");
            }
            Ok(())
        });
    cast.serve_any(&mut server, Script)
}

/// A child that is not the server's stays its owner's to wait for.
fn foreign_child(cast: &Cast) -> Result<Report> {
    let mut foreign = std::process::Command::new("true").spawn()?;
    let report = cast.serve_any(&mut cast.server()?, Script)?;
    Cast::tell(&format!("foreign child: {}", foreign.wait()?));
    Ok(report)
}

/// Nothing but what serving takes: so what a process of it holds can be told to the last socket.
fn without_signals(cast: &Cast) -> Result<Report> {
    cast.serve_any(&mut Server::bind(cast.endpoint())?, Script)
}

/// Drains for longer than any test waits.
fn long_drain(cast: &Cast) -> Result<Report> {
    cast.serve_any(&mut cast.server()?.drain_deadline(Duration::from_secs(3600)), Script)
}

fn short_drain(cast: &Cast) -> Result<Report> {
    cast.serve_any(&mut cast.server()?.drain_deadline(Duration::from_millis(300)), Script)
}

/// Echoes lines, beside packets.
struct Lines;

impl Part for Lines {
    async fn handle(&self, c: &mut impl Connection) -> Result {
        while let Some(line) = c.read_until(b'\n', 100).await? {
            c.write_all(&line).await?;
        }
        Ok(())
    }
}

fn pair(cast: &Cast) -> Result<Report> {
    cast.serve_any(&mut cast.server()?, (Played(Lines), Script))
}
