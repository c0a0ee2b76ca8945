//! What a message loop does with a framing, and what has to hold however the stream comes in. The tests of `socketserver-proto` and the fuzz
//! targets use it too.

use socketserver_proto::framing::{Decoder, FrameError, Framing, Scan, Step};

/// All that came of a stream: its messages, and why there are no more if it was not its end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) messages: Vec<Vec<u8>>,
    /// How many frames were passed over to their end.
    pub(crate) skipped: usize,
    pub(crate) error: Option<FrameError>,
}

/// Reads a stream that comes in pieces of such lengths, and what is left in one; asks after each piece.
pub(crate) fn read(framing: &impl Framing, stream: &[u8], pieces: impl IntoIterator<Item = usize>) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.error = read_into(framing, stream, pieces, &mut outcome).err();
    outcome
}

fn read_into(
    framing: &impl Framing,
    mut stream: &[u8],
    pieces: impl IntoIterator<Item = usize>,
    outcome: &mut Outcome,
) -> Result<(), FrameError> {
    let (mut input, mut scan, mut to_skip, mut needed) = (Vec::new(), Scan::default(), 0_usize, 0);
    let mut pieces = pieces.into_iter();
    while !stream.is_empty() {
        let (piece, rest) = stream.split_at(pieces.next().unwrap_or(usize::MAX).clamp(1, stream.len()));
        stream = rest;
        input.extend_from_slice(piece);
        loop {
            let skipped = to_skip.min(input.len());
            input.drain(..skipped);
            to_skip -= skipped;
            if to_skip > 0 {
                break;
            }
            match framing.decode(&input, &mut scan)? {
                Step::Message { body, len } => {
                    assert!(input.len() >= needed, "it was pointless to ask with {} of {needed} bytes", input.len());
                    assert!(len > 0 && body.end <= len && len <= input.len(), "{body:?} in {len} of {}", input.len());
                    let message = input[body].to_vec();
                    assert!(message.len() <= framing.max_message(), "{} bytes", message.len());
                    outcome.messages.push(message);
                    input.drain(..len);
                    needed = 0;
                }
                Step::Skip(count) => {
                    assert!(count > 0);
                    (to_skip, needed) = (count, 0);
                    outcome.skipped += usize::from(!scan.is_skipping());
                }
                Step::More(count) => {
                    assert!(count > input.len(), "{count} bytes, and there are {}", input.len());
                    assert!(count >= needed, "{count} bytes, after {needed}");
                    needed = count;
                    assert!(scan.searched() <= input.len());
                    break;
                }
            }
        }
    }
    if !input.is_empty()
        && let Some(body) = framing.finish(&input, &scan)?
    {
        assert!(body.len() <= framing.max_message(), "{} bytes", body.len());
        outcome.messages.push(input[body].to_vec());
    }
    Ok(())
}

/// The same by a [`Decoder`].
fn read_by_decoder(framing: &impl Framing, mut stream: &[u8], pieces: &[usize]) -> Outcome {
    let (mut outcome, mut decoder, mut pieces) = (Outcome::default(), Decoder::new(framing), pieces.iter());
    while !stream.is_empty() {
        let (mut piece, rest) = stream.split_at(pieces.next().copied().unwrap_or(usize::MAX).clamp(1, stream.len()));
        stream = rest;
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(message)) => outcome.messages.push(message.to_vec()),
                Ok(None) => break assert!(piece.is_empty()),
                Err(error) => return Outcome { error: Some(error), ..outcome },
            }
        }
    }
    match decoder.finish() {
        Ok(last) => outcome.messages.extend(last.map(<[u8]>::to_vec)),
        Err(error) => outcome.error = Some(error),
    }
    outcome
}

/// Whatever the stream is: how it is split makes no difference, and what comes out of it can be sent on, unless it is
/// told that some of it cannot be.
pub(crate) fn holds(framing: &impl Framing, stream: &[u8], pieces: &[usize], all_can_be_sent: bool) {
    let whole = read(framing, stream, []);
    assert_eq!(read(framing, stream, pieces.iter().copied()), whole, "in pieces of {pieces:?}");
    assert_eq!(read(framing, stream, std::iter::repeat(1)), whole, "byte by byte");
    let decoded = Outcome { skipped: 0, ..whole };
    assert_eq!(read_by_decoder(framing, stream, &[]), decoded, "by a decoder");
    assert_eq!(read_by_decoder(framing, stream, pieces), decoded, "by a decoder, in pieces of {pieces:?}");
    sent_comes_back(framing, &decoded.messages, pieces, all_can_be_sent);
}

/// The message as it comes back: where it holds its own length, that is put right when it is sent.
pub(crate) fn with_its_length(framing: &impl Framing, message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    match framing.encode(message, &mut frame) {
        Ok(()) => frame.split_off(frame.len() - message.len()),
        Err(_) => message.to_vec(),
    }
}

/// What can be sent comes back as it was, whatever else is sent.
pub(crate) fn sent_comes_back(framing: &impl Framing, messages: &[Vec<u8>], pieces: &[usize], all_can_be_sent: bool) {
    let (mut stream, mut sent) = (Vec::new(), Vec::new());
    for message in messages {
        let before = stream.len();
        match framing.encode(message, &mut stream) {
            Ok(()) => sent.push(message.clone()),
            Err(error) => {
                assert!(!all_can_be_sent && !error.is_malformed() && !error.is_cut_short(), "{error}");
                assert_eq!(error.is_too_long(), message.len() > framing.max_message(), "{error}");
                assert_eq!(stream.len(), before, "it is refused, and some of it is in the output: {error}");
            }
        }
    }
    let outcome = read(framing, &stream, pieces.iter().copied());
    assert_eq!(outcome, Outcome { messages: sent, skipped: 0, error: None }, "what was sent comes back");
}
