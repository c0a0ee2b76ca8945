//! What is sent.

use socketserver_proto::framing::{AnyFraming, Framing, Scan, Step};

use crate::LoadError;

/// Prime, so that shifted patterns differ at every place; with every byte value below it.
const RAW_PERIOD: usize = 251;

/// The printable characters from `!` on; prime as well.
const LINE_PERIOD: usize = 89;

/// Bytes of the message's number at its head, six bits in each.
const HEAD: usize = 8;

/// How messages are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Not at all.
    Bytes,
    /// By a newline at the end of each, which is part of it.
    Line,
    /// By a length before each, 4 bytes in network byte order.
    Framed,
}

/// The messages of a load, by their number, with what tells them apart before and behind each.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    before: Vec<u8>,
    body: Body,
    behind: Vec<u8>,
}

/// The messages alone.
#[derive(Debug, Clone)]
enum Body {
    /// The same bytes each time.
    Fixed(Vec<u8>),
    /// Each its own, of one size: the number, lowest bits first, then a pattern shifted by the number.
    Distinct { size: usize, period: usize, pattern: Vec<u8> },
}

impl Payload {
    /// The same `message` each time. A line has its newline.
    pub(crate) fn fixed(message: &[u8], form: Form) -> Self {
        Self { before: prefix(message.len(), form), body: Body::Fixed(message.to_vec()), behind: Vec::new() }
    }

    pub(crate) fn distinct(size: usize, form: Form) -> Self {
        let before = prefix(size, form);
        match form {
            Form::Line => Self { before, body: Body::distinct(size - 1, true), behind: b"\n".to_vec() },
            Form::Bytes | Form::Framed => Self { before, body: Body::distinct(size, false), behind: Vec::new() },
        }
    }

    /// The same `message` each time, or, of so many bytes, each its own; as the framing has them.
    ///
    /// # Errors
    ///
    /// The framing has no such messages.
    pub(crate) fn in_frames(message: Option<&[u8]>, size: usize, framing: &AnyFraming) -> Result<Self, LoadError> {
        let body = match (message, framing) {
            (Some(message), _) => Body::Fixed(message.to_vec()),
            // Those that search for an end must not find it in a message.
            (None, AnyFraming::Line(_)) => Body::distinct(size, true),
            (None, AnyFraming::Delimiter(delimiter)) if delimiter.all().all(|one| !one.iter().all(is_made_up)) => {
                Body::distinct(size, true)
            }
            (None, AnyFraming::Delimiter(_)) => {
                return Err(LoadError::invalid(
                    "that delimiter may stand in a message that is made up: give the message",
                ));
            }
            (None, _) => Body::distinct(size, false),
        };
        let (mut message, mut frame) = (Vec::new(), Vec::new());
        body.append(0, &mut message);
        framing.encode(&message, &mut frame).map_err(|error| LoadError::invalid(error.to_string()))?;
        // What stands before and behind a message is the same for all of one size.
        match framing.decode(&frame, &mut Scan::default()) {
            Ok(Step::Message { body: at, len }) if len == frame.len() && frame[at.clone()] == message => {
                Ok(Self { behind: frame[at.end..].to_vec(), before: frame[..at.start].to_vec(), body })
            }
            _ => {
                Err(LoadError::invalid(format!("messages do not come out of the framing `{framing}` as they went in")))
            }
        }
    }

    /// Bytes of each on the wire.
    pub(crate) fn len(&self) -> usize {
        self.before.len() + self.size() + self.behind.len()
    }

    /// Bytes of each message alone.
    pub(crate) fn size(&self) -> usize {
        match &self.body {
            Body::Fixed(bytes) => bytes.len(),
            Body::Distinct { size, .. } => *size,
        }
    }

    /// Appends message `number` to `out`, as it is on the wire.
    pub(crate) fn append(&self, number: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before);
        self.body.append(number, out);
        out.extend_from_slice(&self.behind);
    }

    /// Whether these bytes are message `number`, as it is on the wire.
    pub(crate) fn is(&self, number: u64, bytes: &[u8]) -> bool {
        let body = bytes.strip_prefix(&*self.before).and_then(|rest| rest.strip_suffix(&*self.behind));
        body.is_some_and(|body| self.is_message(number, body))
    }

    /// Whether these bytes are message `number` alone.
    pub(crate) fn is_message(&self, number: u64, bytes: &[u8]) -> bool {
        match &self.body {
            Body::Fixed(message) => message == bytes,
            Body::Distinct { size, period, pattern } => {
                let (head, len, tail) = parts(*size, *period, pattern, number);
                bytes.split_at_checked(len).is_some_and(|(begin, rest)| *begin == head[..len] && *rest == *tail)
            }
        }
    }
}

impl Body {
    fn distinct(size: usize, is_text: bool) -> Self {
        let (first, period) = if is_text { (b'!', LINE_PERIOD) } else { (0, RAW_PERIOD) };
        let pattern = (0..size + period).map(|place| first + (place % period) as u8).collect();
        Self::Distinct { size, period, pattern }
    }

    fn append(&self, number: u64, out: &mut Vec<u8>) {
        match self {
            Self::Fixed(bytes) => out.extend_from_slice(bytes),
            Self::Distinct { size, period, pattern } => {
                let (head, len, tail) = parts(*size, *period, pattern, number);
                out.extend_from_slice(&head[..len]);
                out.extend_from_slice(tail);
            }
        }
    }
}

/// What is at the head of message `number`, and behind that.
fn parts(size: usize, period: usize, pattern: &[u8], number: u64) -> ([u8; HEAD], usize, &[u8]) {
    let head = HEAD.min(size);
    let shift = (number % period as u64) as usize;
    (self::head(number), head, &pattern[shift..shift + size - head])
}

/// What is before a message of that size.
fn prefix(size: usize, form: Form) -> Vec<u8> {
    match form {
        Form::Framed => u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes().to_vec(),
        Form::Bytes | Form::Line => Vec::new(),
    }
}

/// Whether a text that is made up may have this byte.
fn is_made_up(byte: &u8) -> bool {
    (b'!'..b'!' + LINE_PERIOD as u8).contains(byte)
}

/// Six bits a byte from `0` to `o`: no newline among them.
fn head(number: u64) -> [u8; HEAD] {
    std::array::from_fn(|place| b'0' + ((number >> (6 * place)) & 0x3f) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: &Payload, number: u64) -> Vec<u8> {
        let mut out = Vec::new();
        payload.append(number, &mut out);
        out
    }

    #[test]
    fn messages_have_their_size() {
        for (form, extra) in [(Form::Bytes, 0), (Form::Line, 0), (Form::Framed, 4)] {
            for size in [1, 2, 7, 8, 9, 10, 64, 1000] {
                let payload = Payload::distinct(size, form);
                assert_eq!(payload.len(), size + extra);
                for number in [0, 1, 63, 64, 250, 251, 1 << 40] {
                    assert_eq!(message(&payload, number).len(), size + extra);
                }
            }
        }
    }

    #[test]
    fn neighbours_differ_at_every_place_but_the_newline() {
        let payload = Payload::distinct(64, Form::Bytes);
        let (one, two) = (message(&payload, 7), message(&payload, 8));
        assert_ne!(one[..HEAD], two[..HEAD]);
        assert!((HEAD..64).all(|place| one[place] != two[place]));
    }

    #[test]
    fn a_message_is_that_of_its_number_alone() {
        for payload in [
            Payload::distinct(64, Form::Framed),
            Payload::distinct(5, Form::Line),
            Payload::fixed(b"ping", Form::Bytes),
        ] {
            let bytes = message(&payload, 7);
            assert!(payload.is(7, &bytes));
            assert_eq!(payload.is(8, &bytes), matches!(payload.body, Body::Fixed(_)));
            assert!(!payload.is(7, &bytes[1..]) && !payload.is(7, &[&bytes[..], b"x"].concat()) && !payload.is(7, b""));
            let mut spoilt = bytes;
            *spoilt.last_mut().unwrap() ^= 1;
            assert!(!payload.is(7, &spoilt));
        }
    }

    #[test]
    fn a_line_has_one_newline_at_its_end() {
        for size in [1, 5, 8, 9, 300] {
            let payload = Payload::distinct(size, Form::Line);
            for number in 0..500 {
                let bytes = message(&payload, number);
                let newline = bytes.iter().position(|&byte| byte == b'\n');
                assert_eq!(newline, Some(size - 1));
            }
        }
    }

    #[test]
    fn a_frame_is_its_length_and_then_the_message() {
        let (framed, bytes) = (Payload::distinct(300, Form::Framed), Payload::distinct(300, Form::Bytes));
        assert_eq!(message(&framed, 7), [&b"\x00\x00\x01\x2c"[..], &message(&bytes, 7)].concat());
        assert_eq!(message(&Payload::fixed(b"hello", Form::Framed), 7), b"\0\0\0\x05hello");
    }

    #[test]
    fn a_fixed_message_is_the_same_each_time() {
        let payload = Payload::fixed(b"hello", Form::Bytes);
        assert_eq!(message(&payload, 1), b"hello");
        assert_eq!(message(&payload, 2), b"hello");
    }
}
