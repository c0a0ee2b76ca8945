//! A line, a message; a message, a line.

use super::line::{self, Line};
use super::stream::{Gone, Unsent};
use crate::complain;
use socketserver::blocking::{MessageReceiver, MessageSender};
use socketserver::framing::AnyFraming;
use std::io::{self, BufReader, Write};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

/// The lines of standard input to the server, then the end of them. `waits` while there is none.
pub(super) fn send(mut to: MessageSender<AnyFraming>, max: usize, waits: &AtomicBool) -> Result<(), Unsent> {
    let (mut input, mut line) = (BufReader::with_capacity(16 * 1024, io::stdin().lock()), Vec::new());
    for number in 1_u64.. {
        let whole = input.buffer().contains(&b'\n');
        if !whole {
            // Those that came together leave together.
            to.flush().map_err(Unsent::Server)?;
        }
        waits.store(!whole, SeqCst);
        let next = line::next(&mut input, &mut line, max);
        waits.store(false, SeqCst);
        let wrong = match next {
            Ok(Line::Whole) => match to.feed(&line) {
                Ok(()) => continue,
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => format!("line {number}: {error}"),
                Err(error) => return Err(Unsent::Server(error)),
            },
            Ok(Line::End) => break,
            Ok(Line::TooLong) => format!("line {number} is too long: a message has {max} bytes at most"),
            Err(error) => error.to_string(),
        };
        complain(format_args!("standard input: {wrong}"));
        let _ = to.close();
        return Err(Unsent::Input);
    }
    to.close().map_err(Unsent::Server)
}

/// The messages of the server to standard output, as they come.
pub(super) fn receive(mut from: MessageReceiver<AnyFraming>) -> Result<(), Gone> {
    let (mut out, mut message) = (io::stdout().lock(), Vec::new());
    while from.recv_into(&mut message).map_err(Gone::Server)? {
        message.push(b'\n');
        out.write_all(&message).and_then(|()| out.flush()).map_err(Gone::Output)?;
    }
    Ok(())
}
