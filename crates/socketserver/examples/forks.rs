//! A process a connection: what one does to itself the others do not notice, and memory is not shared.
//!
//! `Forks` wants a process with one thread, so the client is this program once more, started with an address.

use socketserver::{ChildEnded, Forks, Observer, Server, blocking, client};
use std::process::{Command, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts children that came to a bad end. It is called in the parent.
#[derive(Clone, Default)]
struct Lost(Arc<AtomicU32>);

impl Observer for Lost {
    fn child_ended(&self, child: &ChildEnded) {
        println!("server: child of connection {:?} has ended: {}", child.connection, child.how);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn main() -> socketserver::Result {
    match std::env::args().nth(1) {
        Some(address) => talk_to(&address),
        None => serve(),
    }
}

fn serve() -> socketserver::Result {
    let lost = Lost::default();
    let mut server = Server::bind("tcp://127.0.0.1:0")?.observe(lost.clone());
    let mut client = Command::new(std::env::current_exe()?).arg(server.endpoints()[0].to_string()).spawn()?;

    let visits = AtomicU32::new(0);
    let report = server.serve(Forks::new(4), move |c: &mut blocking::Stream| {
        // Each child has the counter as it was when the child was made: 0.
        let visit = visits.fetch_add(1, Ordering::Relaxed) + 1;
        match c.read_line(100)?.as_deref() {
            Some("who") => c.write_all(format!("{} {visit}\n", std::process::id()).as_bytes())?,
            Some("crash") => exit(3),
            // A handle reaches the parent from its children too.
            Some("stop") => c.server().shutdown(),
            other => Err(format!("what is {other:?}?"))?,
        }
        Ok(())
    })?;

    println!("server: {} served, {} lost", report.served, lost.0.load(Ordering::Relaxed));
    assert_eq!(report.served, 4);
    assert_eq!(lost.0.load(Ordering::Relaxed), 1);
    assert!(report.is_clean());
    // The server reaps its own children and nobody else's: this one is still there to be waited for.
    assert!(client.wait()?.success());
    Ok(())
}

fn talk_to(address: &str) -> socketserver::Result {
    let say = |word: &str| -> socketserver::Result<String> {
        let mut c = client::connect(address)?;
        c.write_all(format!("{word}\n").as_bytes())?;
        Ok(String::from_utf8(c.read_to_end(100)?)?)
    };
    let first = say("who")?;
    assert_eq!(say("crash")?, "");
    let second = say("who")?;
    assert_ne!(first, second, "a process a connection");
    assert!(first.ends_with(" 1\n") && second.ends_with(" 1\n"), "a child's memory is its own");
    println!("client: two visits in two processes");
    say("stop")?;
    Ok(())
}
