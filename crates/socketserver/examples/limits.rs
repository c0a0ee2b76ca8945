//! Who may come in, and how long they may stay: a limit on connections, what is said to those who come over it, deadlines,
//! and a hand on what is open: a list, a kick, other limits while the server runs.

use socketserver::{Closed, Handle, Observer, OverLimit, Refused, Server, Stream, Tasks, blocking, client};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Notes who was turned away, and why connections ended.
struct Notes(Sender<String>);

impl Observer for Notes {
    fn refused(&self, event: &Refused<'_>) {
        let _ = self.0.send(format!("refused: {}", event.why));
    }

    fn closed(&self, event: &Closed<'_>) {
        let _ = self.0.send(format!("closed: {}", event.reason));
    }
}

fn main() -> socketserver::Result {
    let (notes, noted) = channel();
    let server = Server::bind("tcp://127.0.0.1:0")?
        .observe(Notes(notes))
        .max_connections(2)
        .over_limit(OverLimit::reply("busy, try later\n"))
        .deny(["192.0.2.0/24".parse()?])
        .first_byte(Duration::from_secs(1))
        .spawn(Tasks::default(), async |c: &mut Stream| {
            // Who comes says a name, and is known by it.
            let name = c.read_line(100).await?.ok_or("left without a name")?;
            c.set_label(&name);
            c.write_all(format!("hello {name}\n").as_bytes()).await?;
            c.read_line(100).await?;
            Ok(())
        })?;
    let handle = server.handle().clone();
    let note = || noted.recv_timeout(Duration::from_secs(10));

    // Two come in, the third is told.
    let [mut ada, mut bob] = [come(&handle, "Ada")?, come(&handle, "Bob")?];
    let mut third = client::connect(&handle.endpoints()[0])?;
    let told = String::from_utf8(third.read_to_end(100)?)?;
    print!("the third hears: {told}");
    assert_eq!(told, "busy, try later\n");
    assert_eq!(note()?, "refused: full");

    // A look at who is there, and one of them is thrown out.
    let names: Vec<_> = handle.connections().into_iter().filter_map(|connection| connection.label).collect();
    println!("inside: {}", names.join(" and "));
    assert_eq!(names, ["Ada", "Bob"]);
    assert_eq!(handle.kick_where(|connection| connection.label.as_deref() == Some("Ada")), 1);
    assert_eq!(ada.read_line(100)?, None);
    assert_eq!(note()?, "closed: kicked");

    // There is room for more as soon as the limit is another.
    handle.set_max_connections(10);
    let _eve = come(&handle, "Eve")?;

    // Whoever comes in and says nothing is let go.
    let mut silent = client::connect(&handle.endpoints()[0])?;
    assert_eq!(silent.read_line(100)?, None);
    println!("the silent one: {}", note()?);

    // The others are there all along.
    bob.write_all(b"bye\n")?;
    assert_eq!(bob.read_line(100)?, None);
    assert_eq!(note()?, "closed: finished");
    let report = server.stop()?;
    assert_eq!(note()?, "closed: drained");
    assert_eq!((report.served, report.totals.over_limit), (4, 1));
    Ok(())
}

fn come(handle: &Handle, name: &str) -> socketserver::Result<blocking::Stream> {
    let mut c = client::connect(&handle.endpoints()[0])?;
    c.write_all(format!("{name}\n").as_bytes())?;
    assert_eq!(c.read_line(100)?, Some(format!("hello {name}")));
    Ok(c)
}
