use crate::clock;
use crate::connection::{Core, PollIo, Wait};
use std::future::poll_fn;
use std::io;
use std::time::Duration;

/// The longest head of a request, in bytes: a browser's are a few hundred, most of them cookies.
pub(super) const MAX_HEAD: usize = 16 * 1024;
/// The most header fields in it.
pub(super) const MAX_FIELDS: usize = 100;

/// What came of a request.
pub(super) enum Head {
    /// It is there, in so many bytes of the input.
    Whole(usize),
    /// The peer has left without one, or the server drains.
    None,
    TooLong,
    Late,
}

/// Waits for the head of a request (RFC 9112, section 2.1), for as long as this from now.
pub(super) async fn head<T: PollIo>(core: &mut Core<T>, time: Option<Duration>) -> io::Result<Head> {
    // A time beyond the clock's end is no limit.
    let until = time.and_then(|time| clock::now().checked_add(time));
    let wait = until.map_or(Wait::For(None), Wait::Until);
    let mut looked = 0_usize;
    loop {
        let bytes = core.buffered();
        // The end may have begun in what was looked at.
        let from = looked.saturating_sub(3);
        if let Some(at) = memchr::memmem::find(&bytes[from..], b"\r\n\r\n") {
            let len = from + at + 4;
            return Ok(if len > MAX_HEAD { Head::TooLong } else { Head::Whole(len) });
        }
        looked = bytes.len();
        if looked >= MAX_HEAD {
            return Ok(Head::TooLong);
        }
        match poll_fn(|cx| core.poll_fill_within(cx, wait, false)).await? {
            None => return Ok(Head::Late),
            Some(0) if looked == 0 => return Ok(Head::None),
            Some(0) => return Err(core.fate.cut_short(format!("the input ended {looked} bytes into a request"))),
            Some(_) => {}
        }
    }
}
