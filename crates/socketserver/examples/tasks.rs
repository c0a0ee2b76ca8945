//! Async handlers: many connections at a time on a few threads, the shards. A connection stays on its shard, so what its
//! handler holds over a wait need not be `Send`.
//!
//! A handler that computes for long would keep all others on its shard waiting: that work goes into an `Offload`.

use socketserver::{Offload, Server, Stream, Tasks, blocking, client};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::thread;

fn main() -> socketserver::Result {
    let offload = Offload::new(2);
    let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Tasks::new(2), async move |c: &mut Stream| {
        // An `Rc` and a `Cell`, where a handler that moves from thread to thread would want an `Arc` and a lock.
        let asked = Rc::new(Cell::new(0));
        while let Some(line) = c.read_line(100).await? {
            asked.set(asked.get() + 1);
            let most: u64 = line.parse()?;
            let sum = offload.run(move || (1..=most).sum::<u64>()).await?;
            let shard = thread::current().name().unwrap_or("?").to_owned();
            c.write_all(format!("{} {sum} {shard}\n", asked.get()).as_bytes()).await?;
        }
        Ok(())
    })?;

    // Two hundred connections, all open at the same time.
    let address = &server.handle().endpoints()[0];
    let mut clients = (0..200).map(|_| client::connect(address)).collect::<Result<Vec<_>, _>>()?;
    for c in &mut clients {
        c.write_all(b"1000\n")?;
    }
    let answers = clients.iter_mut().map(answer).collect::<Result<BTreeSet<_>, _>>()?;
    assert_eq!(server.handle().open(), 200);
    println!("200 connections, {} answers:", answers.len());
    for answer in &answers {
        println!("{answer}");
    }
    // Each shard has its share.
    let expected = ["1 500500 socketserver-0", "1 500500 socketserver-1"];
    assert_eq!(answers, expected.map(String::from).into());

    // What a connection has counted is still there.
    clients[0].write_all(b"4\n")?;
    assert!(answer(&mut clients[0])?.starts_with("2 10 "));

    drop(clients);
    assert!(server.stop()?.is_clean());
    Ok(())
}

fn answer(c: &mut blocking::Stream) -> socketserver::Result<String> {
    Ok(c.read_line(100)?.ok_or("no answer")?)
}
