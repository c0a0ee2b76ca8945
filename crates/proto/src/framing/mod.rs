//! Where one message ends and the next begins, on a stream that does not tell.
//!
//! TCP hands over bytes, not messages: one `send` of the peer comes in several reads, several in one. A [`Framing`] puts
//! the boundaries back. It does no I/O and keeps no bytes: it looks at what was read and tells what to do with it.
//!
//! | framing | on the wire |
//! |---|---|
//! | [`LengthPrefix`] | a length of 1, 2, 3, 4 or 8 bytes, then the message; with the parameters of Netty's `LengthFieldBasedFrameDecoder` |
//! | [`Line`] | the message, then LF or CRLF |
//! | [`Delimiter`] | the message, then one of some byte strings |
//! | [`Fixed`] | messages of one length |
//! | [`Netstring`] | `5:hello,` |
//! | [`Varint`] | a length as Protocol Buffers have it, then the message |
//!
//! Each has a limit for a message, and none allocates anything for a length that was only announced.
//! [`AnyFraming`] is whichever of them a string names. A [`Decoder`] is a
//! framing with a buffer, for programs that read by themselves.

mod any;
mod decoder;
mod delimiter;
mod error;
mod fixed;
mod length_field;
mod length_parameters;
mod length_prefix;
mod line;
mod netstring;
mod notation;
mod options;
mod scan;
mod syntax;
mod varint;

pub use any::AnyFraming;
pub use decoder::Decoder;
pub use delimiter::Delimiter;
pub use error::FrameError;
pub use fixed::Fixed;
pub use length_prefix::LengthPrefix;
pub use line::Line;
pub use netstring::Netstring;
pub use scan::Scan;
pub use syntax::AnyFramingError;
pub use varint::Varint;

use std::ops::Range;

/// How long a message may be unless told otherwise, in bytes: 1 MiB.
pub const DEFAULT_MAX: usize = 1 << 20;

/// How messages are put on a stream and found there again.
///
/// It is asked about the front of the input, again and again as more comes in; what it remembers between two looks is in
/// the [`Scan`], one for each stream. So one framing serves any number of connections. [`decode`](Self::decode) takes
/// nothing and allocates nothing.
///
/// What a peer does with its writes makes no difference: any split of the same bytes gives the same messages, and then
/// the same error if there is one. Nor does a peer that sends byte by byte cost more than a fixed number of looks at each.
///
/// ```
/// use socketserver_proto::framing::{FrameError, Framing, Line, Scan, Step};
///
/// /// The messages that are whole. What is left of the input is the beginning of the next.
/// fn messages(framing: &impl Framing, input: &mut Vec<u8>, scan: &mut Scan) -> Result<Vec<Vec<u8>>, FrameError> {
///     let mut all = Vec::new();
///     loop {
///         match framing.decode(input, scan)? {
///             Step::Message { body, len } => {
///                 all.push(input[body].to_vec());
///                 input.drain(..len);
///             }
///             Step::More(_) => return Ok(all),
///             // It comes up where an oversized frame is to be passed over, which here it is not.
///             Step::Skip(_) => unreachable!(),
///         }
///     }
/// }
///
/// let (mut input, mut scan) = (b"one\r\ntwo\nthr".to_vec(), Scan::default());
/// assert_eq!(messages(&Line::new(), &mut input, &mut scan)?, [b"one", b"two"]);
/// input.extend_from_slice(b"ee\n");
/// assert_eq!(messages(&Line::new(), &mut input, &mut scan)?, [b"three"]);
/// # Ok::<(), FrameError>(())
/// ```
pub trait Framing {
    /// Looks at the front of `input`: what was read and not yet taken.
    ///
    /// After [`Step::More`] it is to be asked again with the same bytes and some after them, and the same `scan`. After
    /// [`Step::Message`] and [`Step::Skip`] the caller takes away so many bytes and asks about the rest.
    ///
    /// # Errors
    ///
    /// A frame is longer than the limit, or it is none at all. The stream cannot be read any further, since nobody knows
    /// where the next frame begins.
    fn decode(&self, input: &[u8], scan: &mut Scan) -> Result<Step, FrameError>;

    /// Appends the frame of `message` to `out`.
    ///
    /// # Errors
    ///
    /// The message is longer than the limit, or cannot be told in this framing, as a line with an LF in it. `out` is then
    /// as it was.
    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError>;

    /// The input has ended, and `rest` is left of it, which is not empty and of which [`decode`](Self::decode) has said
    /// [`Step::More`]: a message all the same, as an unterminated last line, or `None` if it belongs to an oversized frame
    /// that is being passed over.
    ///
    /// # Errors
    ///
    /// The input was cut in the middle of a frame. So it is with every framing that does not say otherwise.
    fn finish(&self, rest: &[u8], scan: &Scan) -> Result<Option<Range<usize>>, FrameError> {
        let _ = scan;
        Err(FrameError::cut_short(rest.len()))
    }

    /// The longest message that it lets through, in bytes, either way.
    fn max_message(&self) -> usize;
}

impl<F: Framing + ?Sized> Framing for &F {
    #[inline]
    fn decode(&self, input: &[u8], scan: &mut Scan) -> Result<Step, FrameError> {
        F::decode(self, input, scan)
    }

    #[inline]
    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        F::encode(self, message, out)
    }

    #[inline]
    fn finish(&self, rest: &[u8], scan: &Scan) -> Result<Option<Range<usize>>, FrameError> {
        F::finish(self, rest, scan)
    }

    #[inline]
    fn max_message(&self) -> usize {
        F::max_message(self)
    }
}

/// What is at the front of the input; [`Framing::decode`] tells.
///
/// ```
/// use socketserver_proto::framing::{Framing, LengthPrefix, Scan, Step};
///
/// let framing = LengthPrefix::u8();
/// let look = |input: &[u8]| framing.decode(input, &mut Scan::default());
/// assert_eq!(look(b"\x05hello\x02")?, Step::Message { body: 1..6, len: 6 });
/// assert_eq!(look(b"\x05hel")?, Step::More(6));
/// # Ok::<(), socketserver_proto::framing::FrameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A whole frame.
    Message {
        /// Where the message is in the input.
        body: Range<usize>,
        /// How many bytes of the input the frame takes, at least one.
        len: usize,
    },
    /// Not whole yet: asking again is pointless before the input has at least this many bytes, which are more than it has.
    More(usize),
    /// So many bytes are to be passed over, at least one: they belong to an oversized frame, where passing over was chosen.
    /// There may be more of them than the input has; the others are still to come. One frame can take several such steps:
    /// after the last of them, and no other, the scan is not [skipping](Scan::is_skipping).
    Skip(usize),
}
