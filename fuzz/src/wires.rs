//! What peers begin with, and speak, bytes by bytes: no sockets are in it.

use crate::{conversation, header};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use socketserver_proto::exec::Side;

/// What most headers of version 2 begin with. It is not left to chance: few inputs would get beyond it.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A PROXY header: what is at the front of a stream is none, or is one in whatever pieces, and can be sent.
pub fn proxy(data: &[u8]) {
    for stream in [data, &[SIGNATURE, data].concat(), &[b"PROXY ", data].concat()] {
        let _ = header::holds(stream);
    }
}

/// A conversation of remote execution: however it comes in, the same is heard, and memory is bounded.
pub fn exec(data: &[u8]) {
    // What is too short to say which side hears it is of no interest.
    let _ = hear(&mut Unstructured::new(data));
}

fn hear(input: &mut Unstructured<'_>) -> Result<()> {
    let side = if input.ratio(1, 2)? { Side::Server } else { Side::Client };
    let mut pieces = Vec::new();
    for _ in 0..input.int_in_range(0..=20)? {
        pieces.push(input.int_in_range(1..=100)?);
    }
    let rest = input.peek_bytes(input.len()).unwrap_or_default();
    conversation::holds(side, rest, &pieces);
    // Behind an opening that is right, where most of it is.
    conversation::holds(side, &[b"SSEXEC\0\x01", rest].concat(), &pieces);
    Ok(())
}
