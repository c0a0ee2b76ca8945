//! How a server ends: connections that only wait for the next request end at once, those that are in the middle of one
//! may finish it, and what the deadline still finds is cut and named in the report.
//!
//! The server ends as soon as nothing is left: the deadline is no delay.

use socketserver::{Closed, Observer, Reason, Server, Threads, blocking, client};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// Notes why connections ended.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<(u64, Reason)>>>);

impl Observer for Ends {
    fn closed(&self, c: &Closed<'_>) {
        self.0.lock().expect("nothing panics while it is locked").push((c.id, c.reason));
    }
}

fn main() -> socketserver::Result {
    let ends = Ends::default();
    let (finish_work, work_done) = mpsc::channel::<()>();
    let work_done = Mutex::new(work_done);

    let server = Server::bind("tcp://127.0.0.1:0")?.observe(ends.clone()).spawn(
        Threads::default(),
        move |c: &mut blocking::Stream| {
            while let Some(line) = c.read_line(100)? {
                c.write_all(format!("{} {line}\n", c.id()).as_bytes())?;
                if line == "work" {
                    // Something that takes its time: here, until the program below says so.
                    c.flush()?;
                    work_done.lock().map_err(|_| "another handler panicked")?.recv()?;
                    c.write_all(b"done\n")?;
                }
            }
            Ok(())
        },
    )?;

    // Three clients. The server's answer tells that it has come so far with each, and the number of its connection.
    let start = |text: &str| -> socketserver::Result<(blocking::Stream, u64)> {
        let mut c = client::connect(&server.handle().endpoints()[0])?;
        c.write_all(text.as_bytes())?;
        let answer = c.read_line(100)?.ok_or("no answer")?;
        let id = answer.split(' ').next().ok_or("an empty answer")?.parse()?;
        Ok((c, id))
    };
    let (_idle, idle) = start("hello\n")?;
    let (mut busy_client, busy) = start("work\n")?;
    // This one has begun its next request and never ends it.
    let (_stuck, stuck) = start("hello\nhalf a li")?;

    server.handle().drain(Duration::from_millis(300));
    finish_work.send(())?;
    assert_eq!(busy_client.read_line(100)?.as_deref(), Some("done"));
    let report = server.join()?;

    println!("{} served", report.served);
    for cut in &report.cut {
        println!("cut: connection {} of {} after {:?}", cut.id, cut.peer, cut.age);
    }
    assert!(!report.is_clean());
    assert_eq!(report.cut.len(), 1);
    assert_eq!(report.cut[0].id, stuck);
    let ends = ends.0.lock().expect("nothing panics while it is locked");
    for end in [(idle, Reason::Drained), (busy, Reason::Drained), (stuck, Reason::Aborted)] {
        assert!(ends.contains(&end), "{end:?} is not in {ends:?}");
    }
    Ok(())
}
