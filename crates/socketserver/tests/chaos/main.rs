//! Everything that goes wrong, at once and for a while: connections are reset, stall and say nonsense, handlers panic,
//! children are killed, descriptors run out, certificates and limits change. Then the books have to balance.
//!
//! `SOCKETSERVER_LONG=1` makes it last a minute a model, `SOCKETSERVER_CHAOS_SECONDS` as long as that says.
//! `SOCKETSERVER_SEED` repeats the choices, though not the instants, of an earlier time; it is told each time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod books;
mod chance;
mod client;
mod mischief;
mod role;

use books::Books;
use chance::Chance;
use client::Clients;
use socketserver_testkit::{How, OpenSsl, PATIENCE, Stage, Suite, play};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

/// Those that serve several at a time: on the others who stalls holds up everybody, which is no mischief but the model.
const MODELS: [How; 5] = [How::Threads(300), How::Forks(100), How::Prefork(4, 100), How::Tasks(2), How::Run];

const DESCRIPTORS: u64 = 4_000;

fn seconds() -> u64 {
    let is_long = std::env::var_os("SOCKETSERVER_LONG").is_some();
    let said = std::env::var("SOCKETSERVER_CHAOS_SECONDS").ok().map(|seconds| seconds.parse().unwrap());
    said.unwrap_or(if is_long { 60 } else { 5 })
}

fn seed() -> u64 {
    let said = std::env::var("SOCKETSERVER_SEED").ok().map(|seed| seed.parse().unwrap());
    said.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1)
}

fn the_books_balance(how: How, endpoint: &str) {
    let Some(openssl) = OpenSsl::find() else { return };
    openssl.authority("ca");
    for name in ["odd", "even", "live"] {
        openssl.issue("ca", name, "DNS:localhost,IP:127.0.0.1");
    }
    let stage = Stage::open_with("chaos", how, endpoint, &openssl.dir().display().to_string());
    let seed = seed();
    eprintln!("{how} with SOCKETSERVER_SEED={seed} for {} s", seconds());
    let clients = Clients::new(&stage, &openssl);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut running = Vec::new();
        for (number, habit) in client::HABITS.iter().enumerate() {
            let (clients, over) = (&clients, &over);
            let mut chance = Chance::new(seed, number);
            running.push(scope.spawn(move || {
                while !over.load(SeqCst) {
                    habit(clients, &mut chance);
                }
            }));
        }
        let mut chance = Chance::new(seed, client::HABITS.len());
        let end = Instant::now() + Duration::from_secs(seconds());
        while Instant::now() < end && running.iter().all(|client| !client.is_finished()) {
            mischief::some(&stage, &openssl, &clients, &mut chance);
        }
        over.store(true, SeqCst);
        // Before they are waited for: while nobody is let in they would wait in vain.
        mischief::end(&stage);
    });
    // Whoever came before on the same socket was accepted before.
    for place in 0..clients.places() {
        let give_up = Instant::now() + PATIENCE;
        while !clients.visit(place, &mut Chance::new(seed, 0)).is_some_and(|visit| visit.is_whole()) {
            assert!(Instant::now() < give_up, "nobody is served any more");
        }
    }
    Books::close(stage.stop(), clients);
}

fn main() -> ExitCode {
    if let Some(status) = play(&[("chaos", role::chaos)]) {
        return status;
    }
    // For the many clients of several tests at a time.
    if socketserver_sys::descriptor_limit().is_some_and(|limit| limit < DESCRIPTORS) {
        socketserver_sys::set_descriptor_limit(DESCRIPTORS).unwrap();
    }
    let mut suite = Suite::default();
    suite.tcp("the_books_balance", &MODELS, the_books_balance);
    suite.run(Some(2))
}
