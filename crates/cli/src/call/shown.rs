use super::words;
use crate::{complain, log, printable};
use serde_json::{Value, json};
use socketserver_exec::{Exit, Output, Why};
use std::io::{self, Write};

/// What is printed of a call: bytes as they come, or an object a line.
#[derive(Debug)]
pub(crate) struct Shown {
    json: bool,
    /// The beginning of a character at the end of what came on each.
    begun: [Vec<u8>; 2],
}

const NAMES: [&str; 2] = ["stdout", "stderr"];

impl Shown {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, begun: Default::default() }
    }

    /// The command said something.
    pub(crate) fn said(&mut self, output: Output, bytes: &[u8]) -> io::Result<()> {
        if self.json {
            return self.objects(output, bytes);
        }
        match output {
            Output::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
            Output::Stderr => io::stderr().lock().write_all(bytes),
        }
    }

    /// Text as text, anything else as the digits of its bytes: so nothing is lost. A character whose end has not come yet
    /// waits for it.
    fn objects(&mut self, output: Output, bytes: &[u8]) -> io::Result<()> {
        let at = usize::from(output == Output::Stderr);
        let mut all = std::mem::take(&mut self.begun[at]);
        all.extend_from_slice(bytes);
        match std::str::from_utf8(&all) {
            Ok(text) => print(&json!({ "event": NAMES[at], "text": text })),
            Err(error) if error.error_len().is_none() => {
                self.begun[at] = all.split_off(error.valid_up_to());
                match String::from_utf8(all) {
                    Ok(text) if !text.is_empty() => print(&json!({ "event": NAMES[at], "text": text })),
                    _ => Ok(()),
                }
            }
            Err(_) => print(&of_bytes(at, &all)),
        }
    }

    /// It came to an end.
    pub(crate) fn exit(&mut self, exit: &Exit) -> io::Result<()> {
        if self.json {
            return self.end(&json!({
                "event": "exit",
                "status": exit.fate.as_str(),
                "detail": exit.fate.number(),
                "code": exit.status(),
                "output-cut": exit.cut,
                "left": exit.left,
                "duration": exit.duration.as_secs_f64(),
            }));
        }
        if exit.cut {
            complain("the output was longer than the server lets it be, and was cut");
        }
        if let Some(words) = words(exit) {
            complain(words);
        }
        if exit.left > 0 {
            complain(format_args!("{} processes of the command could not be killed", exit.left));
        }
        Ok(())
    }

    /// The server does not do it.
    pub(crate) fn refused(&mut self, why: Why, text: &str, status: u8) {
        if self.json {
            self.end_or_say(&json!({ "event": "refused", "why": why.as_str(), "message": text, "code": status }));
        } else {
            log::line(&format!("socketserver: refused: {text}"));
        }
    }

    /// It came to nothing.
    pub(crate) fn failed(&mut self, text: &str, status: u8) {
        if self.json {
            self.end_or_say(&json!({ "event": "failed", "message": text, "code": status }));
        } else {
            complain(text);
        }
    }

    /// The last object; before it what still waited for the end of a character.
    fn end(&mut self, object: &Value) -> io::Result<()> {
        let begun = std::mem::take(&mut self.begun);
        let rest = (0..).zip(&begun).filter(|(_, bytes)| !bytes.is_empty()).map(|(at, bytes)| of_bytes(at, bytes));
        match rest.chain([object.clone()]).try_for_each(|object| print(&object)) {
            // Who has closed the pipe has no need of it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            printed => printed,
        }
    }

    /// As [`end`](Self::end), of what has failed anyway.
    fn end_or_say(&mut self, object: &Value) {
        if let Err(error) = self.end(object) {
            unprinted(&error);
        }
    }
}

/// What was to be printed was not.
pub(crate) fn unprinted(error: &io::Error) {
    complain(format_args!("standard output or error: {error}"));
}

fn of_bytes(at: usize, bytes: &[u8]) -> Value {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "event": NAMES[at], "hex": hex })
}

/// What a command says can be meant for the terminal: it stays what it is, and is harmless.
fn print(object: &Value) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", printable::json(&object.to_string())).and_then(|()| stdout.flush())
}
