//! Two loads by turns.
#![allow(clippy::unwrap_used, reason = "a test's servers fail by panicking")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use socketserver_load::{Comparison, Load, Target};

/// Echoes messages of 64 bytes, each after so long.
fn echo(after: Duration) -> Load {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::Tcp(listener.local_addr().unwrap());
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut message = [0; 64];
            while stream.read_exact(&mut message).is_ok() {
                thread::sleep(after);
                stream.write_all(&message).unwrap();
            }
        }
    });
    Load::new(target)
}

#[test]
fn the_rounds_alternate_and_their_figures_add_up() {
    let (fast, slow) = (echo(Duration::ZERO).requests(30), echo(Duration::from_millis(20)).requests(5));
    let mut order = Vec::new();
    let found = Comparison::run_observed([&fast, &slow], 3, Duration::MAX, |which, _| {
        order.push(which);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(order, [0, 1, 1, 0, 0, 1]);
    assert_eq!([0, 1].map(|which| found.total(which).messages), [90, 15]);
    assert_eq!(found.total(1).latency.len(), 15);
    let latency = found.ratio(|outcome| outcome.latency.percentile(50.0).as_secs_f64()).unwrap();
    assert!(latency.most < 1.0 && latency.least <= latency.median && latency.median <= latency.most, "{latency:?}");
    assert!(found.ratio(|outcome| outcome.in_flight as f64).is_none(), "nothing by nothing");
}

#[test]
fn what_is_ended_early_has_the_rounds_that_are_whole() {
    let load = echo(Duration::ZERO).duration(Duration::from_millis(50));
    let mut told = 0;
    let found = Comparison::run_observed([&load, &load], 100, Duration::from_secs(60), |_, _| {
        told += 1;
        if told == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!((found.rounds.len(), told), (2, 5));
}
