//! What a server does besides serving: something now and then, and something on a signal. Any code may run in both, as
//! they run where no signal handler is; one that fails is an event and is called again.
//!
//! `stop_on_signals` makes TERM and INT drain the server.

use rustix::process::{getpid, kill_process};
use socketserver::{Handle, HookFailed, Observer, Serial, Server, Signal, blocking, client};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Counts duties that failed.
#[derive(Clone, Default)]
struct Failed(Arc<AtomicU32>);

impl Observer for Failed {
    fn hook_failed(&self, event: &HookFailed<'_>) {
        println!("{} failed: {}", event.hook, event.failure);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn main() -> socketserver::Result {
    let failed = Failed::default();
    let (mut turn, mut told) = (0, false);
    let now_and_then = move |handle: &Handle| {
        turn += 1;
        if turn == 1 {
            Err("the first turn fails, and the server does not mind")?;
        }
        if handle.totals().closed == 1 && !told {
            // The only client has been served: a signal to this very process, once.
            told = true;
            kill_process(getpid(), rustix::process::Signal::USR1)?;
        }
        Ok(())
    };
    let mut server = Server::bind("tcp://127.0.0.1:0")?
        .observe(failed.clone())
        .every(Duration::from_millis(10), now_and_then)
        .on_signal(Signal::User1, |handle| {
            println!("{} served so far", handle.totals().accepted);
            kill_process(getpid(), rustix::process::Signal::TERM)?;
            Ok(())
        })?
        .stop_on_signals()?;

    // It listens since `bind`: the client's connection waits until somebody serves it.
    let mut c = client::connect(&server.endpoints()[0])?;
    c.close_write()?;
    let report = server.serve(Serial::default(), |c: &mut blocking::Stream| {
        c.write_all(b"hello\n")?;
        Ok(())
    })?;
    assert_eq!(c.read_line(100)?.as_deref(), Some("hello"));
    assert_eq!(failed.0.load(Ordering::Relaxed), 1);
    assert_eq!((report.served, report.hurried), (1, None));
    println!("stopped by TERM");
    Ok(())
}
