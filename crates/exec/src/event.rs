use socketserver::Peer;
use socketserver_proto::printable::in_name;
use std::time::Duration;

/// What became of a request: for the log, and for whoever wants to know later who ran what. Each request has one, also if
/// nothing was run.
///
/// | `status` | `detail` | |
/// |---|---|---|
/// | `exited` | its status | the command came to its own end |
/// | `killed` | the signal | a signal ended it |
/// | `timed-out` | | it took too long |
/// | `disconnected` | | its client left meanwhile, or said that it sends nothing more |
/// | `cut` | | the server ended it: the drain's deadline, the connection's lifetime, a kick |
/// | `lost` | | its supervisor was killed |
/// | `not-started` | the error, `errno(3)` | it could not be executed, or there was no room for it |
/// | `refused` | | nothing of that name may be run, or not so |
/// | `rejected` | | no request at all: CR, LF or NUL, too long, HTTP, a frame out of order; the connection was ended |
/// | `denied` | | whoever was there has not proved who it is; there was no request |
/// | `throttled` | | too many were denied from there, so it was refused at once |
///
/// ```
/// use socketserver_exec::Event;
/// fn line(event: &Event<'_>) -> String {
///     let subject = event.subject.unwrap_or("somebody");
///     format!("{subject} at {}: {} {:?}, {}", event.peer, event.status, event.detail, event.command)
/// }
/// # let _ = line;
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Event<'a> {
    /// The number of the connection.
    pub id: u64,
    /// Who asked.
    pub peer: &'a Peer,
    /// Who that was proved to be: `token`, `uid=1000`, `san=client.example`. Of who was `denied` as much as is known. `None`:
    /// nobody had to prove anything.
    pub subject: Option<&'a str>,
    /// What was asked for: the request as it came, made printable; [`SHOWN`](Self::SHOWN) bytes of it at most.
    pub command: &'a str,
    /// How long the request was, in bytes.
    pub length: usize,
    /// One word for what became of it.
    pub status: &'static str,
    /// The number that belongs to it.
    pub detail: Option<i32>,
    /// Whether there was more output than the limit.
    pub output_cut: bool,
    /// How many bytes the result has, as the client is sent it.
    pub bytes: u64,
    /// How many processes could not be killed.
    pub left: u32,
    /// From the request to its result.
    pub duration: Duration,
}

impl Event<'_> {
    /// Of a request so much is in its event.
    pub const SHOWN: usize = 1024;
}

/// The beginning of a request, fit to be printed.
pub(crate) fn printable(request: &[u8], text: Option<&str>) -> String {
    let lossy;
    let text = match text {
        Some(text) => text,
        None => {
            lossy = String::from_utf8_lossy(&request[..request.len().min(Event::SHOWN)]);
            &*lossy
        }
    };
    let mut shown = String::new();
    for c in text.chars() {
        let length = shown.len();
        // Nobody is to take a client's word for a command, or one command for another.
        if in_name(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
        if shown.len() > Event::SHOWN {
            shown.truncate(length);
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_shown_printable_and_bounded() {
        assert_eq!(printable(b"", Some("ls 日志 \x1b[31m\u{202e}")), "ls 日志 \\u{1b}[31m\\u{202e}");
        assert_eq!(printable(b"a\n\xff", None), "a\\n\u{fffd}");
        // What turns the direction of what follows, and what nobody sees.
        assert_eq!(printable(b"", Some("\u{200f}\u{e0041}r\u{200d}m")), "\\u{200f}\\u{e0041}r\\u{200d}m");
        for long in ["x".repeat(5000), "世".repeat(2000), "\u{1b}".repeat(4000)] {
            let shown = printable(b"", Some(&long)).len();
            assert!(shown <= Event::SHOWN && shown > Event::SHOWN - 8, "{shown}");
        }
    }
}
