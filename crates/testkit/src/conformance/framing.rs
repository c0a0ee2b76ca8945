use super::stream::{holds, sent_comes_back, with_its_length};
use crate::dice::Dice;
use socketserver::framing::{Framing, Scan, Step};

/// A framing keeps to what [`Framing`] says: whatever can be sent comes back as it was, how the stream is split makes no
/// difference to messages or error, what is not taken for a message leaves the output as it was, nothing is longer than
/// the limit either way, and the beginning of a frame is not waited for without end.
///
/// It is checked with messages and streams of its own, the same each time. Those that only your framing has a meaning for
/// you give it by [`framed_stream`].
///
/// ```
/// use socketserver::framing::{FrameError, Framing, Scan, Step};
/// use socketserver_testkit::conformance;
///
/// /// A byte that says how many follow.
/// struct Short;
/// impl Framing for Short {
///     fn decode(&self, input: &[u8], _: &mut Scan) -> Result<Step, FrameError> {
///         let Some(&len) = input.first() else { return Ok(Step::More(1)) };
///         let end = 1 + usize::from(len);
///         Ok(if input.len() < end { Step::More(end) } else { Step::Message { body: 1..end, len: end } })
///     }
///     fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
///         let len = u8::try_from(message.len()).map_err(|_| FrameError::too_long(message.len() as u64, 255))?;
///         out.push(len);
///         out.extend_from_slice(message);
///         Ok(())
///     }
///     fn max_message(&self) -> usize {
///         255
///     }
/// }
///
/// conformance::framing(&Short);
/// ```
///
/// # Panics
/// When it does not, with what is wrong.
#[track_caller]
pub fn framing(framing: &impl Framing) {
    let mut dice = Dice::new(framing.max_message() as u64);
    let with_lengths = |all: Vec<Vec<u8>>| all.iter().map(|each| with_its_length(framing, each)).collect::<Vec<_>>();
    let (messages, long) = (with_lengths(short()), with_lengths(long(framing.max_message())));
    let mut all = messages.iter().chain(&long);
    assert!(all.any(|each| framing.encode(each, &mut Vec::new()).is_ok()), "no message can be sent in it");
    appends(framing, &messages);
    appends(framing, &long);
    sent_comes_back(framing, &long, &[1000, 1, 1], false);
    for _ in 0..ROUNDS {
        let some: Vec<_> = (0..dice.below(8)).map(|_| messages[dice.below(messages.len())].clone()).collect();
        sent_comes_back(framing, &some, &pieces(&mut dice), false);
        // Frames, and something wrong among them.
        let mut stream = Vec::new();
        for message in &some {
            let _ = framing.encode(message, &mut stream);
        }
        if !stream.is_empty() {
            let at = dice.below(stream.len());
            stream[at] ^= 1 << dice.below(8);
        }
        framed_stream(framing, &stream, &pieces(&mut dice));
        let noise: Vec<_> = (0..dice.below(200)).map(|_| NOISE[dice.below(NOISE.len())]).collect();
        framed_stream(framing, &noise, &pieces(&mut dice));
    }
    ends(framing);
}

/// Whatever these bytes are, messages or not: split into pieces of such lengths, or byte by byte, they give the same
/// messages, and the same error if there is one; and what comes out of them can be sent and comes back, if it can be sent.
/// What the pieces leave is one more.
///
/// It is for property tests and fuzz targets, which find the bytes.
///
/// ```
/// use socketserver::framing::Line;
/// use socketserver_testkit::conformance;
///
/// conformance::framed_stream(&Line::new(), b"one\r\ntwo\nand no more", &[4, 1, 2]);
/// ```
///
/// # Panics
/// When it is not so.
#[track_caller]
pub fn framed_stream(framing: &impl Framing, stream: &[u8], pieces: &[usize]) {
    holds(framing, stream, pieces, false);
}

const ROUNDS: usize = 200;
/// What is longer than this is not tried.
const LONG: usize = (1 << 20) + 1;

/// Bytes of which many mean something to some framing.
const NOISE: &[u8] = b"aaaabbbb\r\r\n\n\0\0\x01\x02\x05\x10,,::0123-\x7f\x80\xff";

fn short() -> Vec<Vec<u8>> {
    let all = [&b""[..], b"a", b"hello", b"\0", b"\xff\xff", b"\r", b"\n", b"a\r\nb", b"12:", b",", b"::"];
    all.map(<[u8]>::to_vec).into_iter().chain([(0..=u8::MAX).collect()]).collect()
}

/// As long as they may be, and longer by one; where that is more than a MiB, nothing near it.
fn long(max: usize) -> Vec<Vec<u8>> {
    let lengths = [max.saturating_sub(1), max, max.saturating_add(1)];
    lengths.into_iter().filter(|len| *len <= LONG).map(|len| vec![b'x'; len]).collect()
}

fn pieces(dice: &mut Dice) -> Vec<usize> {
    (0..dice.below(40)).map(|_| 1 + dice.below(12)).collect()
}

/// What is in the output already stays there.
fn appends(framing: &impl Framing, messages: &[Vec<u8>]) {
    for message in messages {
        let (mut alone, mut behind) = (Vec::new(), b"before".to_vec());
        let (first, second) = (framing.encode(message, &mut alone), framing.encode(message, &mut behind));
        assert_eq!(first, second, "whether a message can be sent depends on what went before it");
        assert!(behind == [b"before", &alone[..]].concat(), "a frame is appended, and nothing else is touched");
    }
}

/// What comes without an end is an error, is passed over or is messages, before more of it is kept than the longest
/// message and a little.
fn ends(framing: &impl Framing) {
    const LITTLE: usize = 64 * 1024;
    let max = framing.max_message();
    if max > LONG {
        return;
    }
    for byte in [b'a', 0, 0xff, b'1', b'\r', b'\n'] {
        let endless = vec![byte; max + LITTLE];
        let step = framing.decode(&endless, &mut Scan::default());
        assert!(
            !matches!(step, Ok(Step::More(_))),
            "with {} bytes of {byte:#04x} it waits for more, and no message is longer than {max}",
            endless.len(),
        );
    }
}
