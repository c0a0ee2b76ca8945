//! The hooks around a handler: `verify` → `setup` → `handle` → `finish` → `on_error`.
//!
//! `verify` lets in processes of this user alone. `finish` runs after a failure too. `on_error` hears of errors that are
//! the handler's own: a peer that left is none.

use socketserver::{Failure, Peer, Result, Serial, Server, blocking, client};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Divider {
    seen: Mutex<Vec<String>>,
}

impl Divider {
    fn note(&self, what: impl Into<String>) {
        self.seen.lock().expect("nothing panics while it is locked").push(what.into());
    }
}

impl blocking::Handler for Divider {
    fn verify(&self, peer: &Peer) -> bool {
        let us = rustix::process::getuid().as_raw();
        let ours = peer.credentials().is_some_and(|them| them.uid == us);
        self.note(if ours { "verify: come in" } else { "verify: no" });
        ours
    }

    fn setup(&self, c: &mut blocking::Stream) -> Result {
        self.note("setup");
        c.write_all(b"divide 100 by?\n")?;
        Ok(())
    }

    fn handle(&self, c: &mut blocking::Stream) -> Result {
        self.note("handle");
        // `?` takes every error: of the connection, of parsing, and a plain text.
        let divisor: u32 = c.read_line(20)?.ok_or("left without a number")?.parse()?;
        let quotient = 100_u32.checked_div(divisor).ok_or("division by zero")?;
        c.write_all(format!("{quotient}\n").as_bytes())?;
        Ok(())
    }

    fn finish(&self, c: &mut blocking::Stream) -> Result {
        self.note("finish");
        c.write_all(b"bye\n")?;
        Ok(())
    }

    fn on_error(&self, error: &Failure, _: &Peer) {
        self.note(format!("on_error: {error}"));
    }
}

fn main() -> Result {
    let divider = Arc::new(Divider::default());
    let unix = format!("unix:@socketserver-hooks-{}", std::process::id());
    // `Serial`, so that what was seen is in one order.
    let server = Server::bind(vec!["tcp://127.0.0.1:0".to_owned(), unix])?.spawn(Serial::default(), divider.clone())?;
    let endpoints = server.handle().endpoints();

    let ask = |number: &str| -> Result<Vec<u8>> {
        let mut c = client::connect(&endpoints[1])?;
        c.write_all(number.as_bytes())?;
        Ok(c.read_to_end(100)?)
    };
    assert_eq!(ask("4\n")?, b"divide 100 by?\n25\nbye\n");
    assert_eq!(ask("0\n")?, b"divide 100 by?\nbye\n");
    // A TCP peer has no credentials: it is closed before anything else happens.
    assert_eq!(client::connect(&endpoints[0])?.read_to_end(100)?, b"");

    server.handle().shutdown();
    let report = server.join()?;
    let seen = divider.seen.lock().expect("nothing panics while it is locked");
    println!("{}", seen.join("\n"));
    let good = ["verify: come in", "setup", "handle", "finish"];
    let bad = ["verify: come in", "setup", "handle", "finish", "on_error: division by zero"];
    assert_eq!(*seen, [&good[..], &bad[..], &["verify: no"]].concat());
    assert_eq!((report.totals.accepted, report.totals.failed, report.totals.refused), (2, 1, 1));
    Ok(())
}
