//! A model of your own: take jobs from `Work`, run each where you like. Deadlines, drain and events work as they do with
//! the models that come along.
//!
//! Here a fixed crew: so many threads from the beginning, each with a number that handlers can ask for.

use socketserver::{Blocking, Error, Model, Server, Service, Work, blocking, client};
use std::cell::Cell;
use std::thread;

thread_local!(static NUMBER: Cell<usize> = const { Cell::new(0) });

struct Crew(usize);

impl Model for Crew {
    type Engine = Blocking;

    fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), Error> {
        thread::scope(|scope| {
            let worker = |number| {
                let work = work.clone();
                move || {
                    NUMBER.set(number);
                    // One thread at a time waits for a connection, the others for their turn. `None`: the server stops.
                    // One whose wait fails sees to it that the others stop too.
                    while let Some(job) = work.next().inspect_err(|_| work.handle().shutdown())? {
                        job.run();
                    }
                    Ok(())
                }
            };
            let threads: Vec<_> = (1..=self.0).map(|number| scope.spawn(worker(number))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("a job never panics"))
        })
    }
}

fn main() -> socketserver::Result {
    let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Crew(2), |c: &mut blocking::Stream| {
        while let Some(line) = c.read_line(100)? {
            c.write_all(format!("{line}, says number {}\n", NUMBER.get()).as_bytes())?;
        }
        Ok(())
    })?;

    // Two connections that are open at the same time have a thread each.
    let address = &server.handle().endpoints()[0];
    let mut answers = Vec::new();
    let mut clients = [client::connect(address)?, client::connect(address)?];
    for c in &mut clients {
        c.write_all(b"hello\n")?;
        answers.push(c.read_line(100)?.ok_or("no answer")?);
    }
    answers.sort();
    println!("{}", answers.join("\n"));
    assert_eq!(answers, ["hello, says number 1", "hello, says number 2"]);

    drop(clients);
    server.handle().shutdown();
    assert!(server.join()?.is_clean());
    Ok(())
}
