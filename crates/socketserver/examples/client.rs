//! The client's side: `client::connect` takes the same addresses and gives the same `Stream` that handlers have, with
//! its bounded reads and its deadlines.

use socketserver::{ErrorKind, Server, Threads, blocking, client};
use std::io::{self, BufRead, Write};
use std::time::Duration;

fn main() -> socketserver::Result {
    let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::default(), |c: &mut blocking::Stream| {
        while let Some(line) = c.read_line(100)? {
            c.write_all(format!("{} {line}\n", line.len()).as_bytes())?;
        }
        c.write_all(b"and that was all")?;
        Ok(())
    })?;
    let address = server.handle().endpoints()[0].clone();

    // By line, exactly, to the end.
    let mut c = client::connect(&address)?;
    c.write_all(b"hello\nworld\n")?;
    assert_eq!(c.read_line(100)?.as_deref(), Some("5 hello"));
    let mut size = [0; 2];
    c.read_exact(&mut size)?;
    assert_eq!(&size, b"5 ");
    assert_eq!(c.read_until(b'\n', 100)?.as_deref(), Some(&b"world\n"[..]));

    // A deadline of our own: the server has nothing to say until we do.
    c.set_idle(Duration::from_millis(50));
    let error = c.read_line(100).expect_err("nobody has asked anything");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    println!("a silent server: {error}");

    // Half-close: we have said everything, and still hear what the server says.
    c.set_idle(Duration::from_secs(10));
    c.close_write()?;
    assert_eq!(c.read_to_end(100)?, b"and that was all");

    // Two halves: one thread reads while another writes.
    let (reader, mut writer) = client::connect(&address)?.split()?;
    let hear = std::thread::spawn(move || reader.lines().collect::<io::Result<Vec<_>>>());
    for word in ["one", "two", "three"] {
        writeln!(writer, "{word}")?;
    }
    writer.close()?;
    let heard = hear.join().expect("the thread does not panic")?;
    println!("{heard:?}");
    assert_eq!(heard, ["3 one", "3 two", "5 three", "and that was all"]);

    // Errors say what they are about, and have a kind.
    let wrong = client::connect("tcp://127.0.0.1:99999").expect_err("there is no such port");
    assert_eq!(wrong.kind(), ErrorKind::Endpoint);
    println!("{wrong}");

    server.handle().shutdown();
    server.join()?;
    let gone = client::connect_within(&address, Duration::from_secs(1)).expect_err("the server has closed");
    println!("{gone}");
    Ok(())
}
