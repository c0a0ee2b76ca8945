//! What the targets have in common.

#[path = "../../crates/proto/tests/proxy/holds.rs"]
mod holds;
#[path = "../../crates/proto/tests/framing/stream.rs"]
mod stream;

#[allow(dead_code, reason = "its tests use more of it")]
#[path = "../../crates/proto/tests/exec/stream.rs"]
mod conversation;

pub use libfuzzer_sys::arbitrary::{Result, Unstructured};
use socketserver_proto::exec::Side;
use socketserver_proto::framing::Framing;

/// The rest of the input is a stream, and how it comes in pieces. What holds of any framing holds of this one.
pub fn check(framing: &impl Framing, input: &mut Unstructured<'_>, all_can_be_sent: bool) -> Result<()> {
    let mut pieces = Vec::new();
    for _ in 0..input.int_in_range(0..=20)? {
        pieces.push(input.int_in_range(1..=40)?);
    }
    let stream = input.peek_bytes(input.len()).unwrap_or_default();
    stream::holds(framing, stream, &pieces, all_can_be_sent);
    // The same bytes as messages.
    let messages: Vec<_> =
        stream.split(|byte| *byte == b'|').map(|message| stream::with_its_length(framing, message)).collect();
    stream::sent_comes_back(framing, &messages, &pieces, false);
    Ok(())
}

/// What is at the front of this stream is no PROXY header, or is one in whatever pieces, and can be sent.
pub fn check_proxy(stream: &[u8]) {
    let _ = holds::holds(stream);
}

/// However a conversation of remote execution comes in, the same is heard, and memory is bounded.
pub fn check_conversation(side: Side, stream: &[u8], pieces: &[usize]) {
    conversation::holds(side, stream, pieces);
}

/// A limit: small ones, that are met with, and large ones.
pub fn max(input: &mut Unstructured<'_>) -> Result<usize> {
    Ok(match input.int_in_range(0..=3)? {
        0 => input.int_in_range(0..=9)?,
        1 => input.int_in_range(0..=300)?,
        2 => 1 << 20,
        _ => usize::MAX,
    })
}
