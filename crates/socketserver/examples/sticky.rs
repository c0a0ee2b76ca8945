//! Both faces of "sticky packets": TCP carries a stream of bytes and does not keep the boundaries of what was sent. Three
//! sends can arrive as one read, and one send as three.
//!
//! A handler that takes a read for a message is wrong, however often it works. `read_line` and `read_exact` find the
//! boundaries again where they are known. The cure for messages of every kind is framing: a message handler is given whole
//! messages, and its peers send whole messages.

use rustix::net::{RecvFlags, recv};
use socketserver::framing::LengthPrefix;
use socketserver::{Channel, MessageHandler, Serial, Server, blocking, client};

/// Waits until the system holds `count` bytes for us, and takes none of them: as if this handler had been busy with
/// something else while they came (`recv(2)`, `MSG_PEEK` and `MSG_WAITALL`).
fn be_late(c: &blocking::Stream, count: usize) -> socketserver::Result {
    let mut bytes = vec![0; count];
    let (held, _) = recv(c, &mut bytes[..], RecvFlags::PEEK | RecvFlags::WAITALL)?;
    if held == count { Ok(()) } else { Err("the peer sent less")? }
}

/// Tells how many bytes each read gave.
fn reads(c: &mut blocking::Stream, total: usize) -> socketserver::Result {
    be_late(c, total)?;
    let mut buf = [0; 4096];
    let mut sizes = Vec::new();
    while sizes.iter().sum::<usize>() < total {
        sizes.push(c.read(&mut buf)?);
    }
    c.write_all(format!("{sizes:?}\n").as_bytes())?;
    Ok(())
}

fn main() -> socketserver::Result {
    let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Serial::default(), |c: &mut blocking::Stream| {
        reads(c, 13)?;
        reads(c, 10_000)?;
        // What helps: a rule that both sides know. Here, a message is a line.
        be_late(c, 14)?;
        while let Some(line) = c.read_line(100)? {
            c.write_all(format!("a message: {line}\n").as_bytes())?;
        }
        Ok(())
    })?;
    let mut c = client::connect(&server.handle().endpoints()[0])?;

    // Three sends, one read.
    c.write_all(b"one,")?;
    c.write_all(b"two,")?;
    c.write_all(b"three")?;
    let sizes = c.read_line(100)?.ok_or("no answer")?;
    println!("three sends of 4, 4 and 5 bytes arrived as reads of {sizes}");
    assert_eq!(sizes, "[13]");

    // One send, three reads.
    c.write_all(&[b'x'; 10_000])?;
    let sizes = c.read_line(100)?.ok_or("no answer")?;
    println!("one send of 10000 bytes arrived as reads of {sizes}");
    assert_eq!(sizes, "[4096, 4096, 1808]");

    // The same three messages with a rule.
    c.write_all(b"one\n")?;
    c.write_all(b"two\n")?;
    c.write_all(b"three\n")?;
    c.close_write()?;
    let messages = String::from_utf8(c.read_to_end(1000)?)?;
    print!("{messages}");
    assert_eq!(messages, "a message: one\na message: two\na message: three\n");

    server.stop()?;

    // The cure: the same three sends, then the long one, each with its length before it. No handler sees a piece.
    let sizes = |message: &[u8], c: &mut Channel| Ok(c.send(format!("{} bytes", message.len()).as_bytes())?);
    let framing = LengthPrefix::u32_be();
    let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Serial::default(), sizes.framed(framing))?;
    let mut c = client::connect(&server.handle().endpoints()[0])?.into_framed(framing);
    for message in [&b"one,"[..], b"two,", b"three", &[b'x'; 10_000]] {
        c.send(message)?;
    }
    c.close()?;
    let mut answers = Vec::new();
    while let Some(answer) = c.recv()? {
        answers.push(String::from_utf8(answer)?);
    }
    println!("four messages arrived as messages of {}", answers.join(", "));
    assert_eq!(answers, ["4 bytes", "4 bytes", "5 bytes", "10000 bytes"]);
    server.stop()?;
    Ok(())
}
