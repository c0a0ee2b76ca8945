//! What is sent.

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

/// The messages of a load, by their number.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    /// The same bytes each time.
    Fixed(Vec<u8>),
    /// Each its own: what is before all of them, the number, lowest bits first, then a pattern shifted by the number, then
    /// what is behind all of them.
    Distinct { before: Vec<u8>, body: usize, period: usize, pattern: Vec<u8>, behind: &'static [u8] },
}

impl Payload {
    /// The same `message` each time. A line has its newline.
    pub(crate) fn fixed(message: &[u8], form: Form) -> Self {
        Self::Fixed([&prefix(message.len(), form), message].concat())
    }

    pub(crate) fn distinct(size: usize, form: Form) -> Self {
        let (first, period) = if form == Form::Line { (b'!', LINE_PERIOD) } else { (0, RAW_PERIOD) };
        let behind: &[u8] = if form == Form::Line { b"\n" } else { b"" };
        let pattern = (0..size + period).map(|place| first + (place % period) as u8).collect();
        Self::Distinct { before: prefix(size, form), body: size - behind.len(), period, pattern, behind }
    }

    /// Bytes of each on the wire.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Fixed(bytes) => bytes.len(),
            Self::Distinct { before, body, behind, .. } => before.len() + body + behind.len(),
        }
    }

    /// Appends message `number` to `out`.
    pub(crate) fn append(&self, number: u64, out: &mut Vec<u8>) {
        match self {
            Self::Fixed(bytes) => out.extend_from_slice(bytes),
            Self::Distinct { .. } => {
                for part in self.parts(number, &head(number)) {
                    out.extend_from_slice(part);
                }
            }
        }
    }

    /// Whether these bytes are message `number`.
    pub(crate) fn is(&self, number: u64, mut bytes: &[u8]) -> bool {
        self.parts(number, &head(number)).iter().all(|part| match bytes.split_at_checked(part.len()) {
            Some((begin, rest)) if begin == *part => {
                bytes = rest;
                true
            }
            _ => false,
        }) && bytes.is_empty()
    }

    /// What is before message `number`, its head, its pattern, and what is behind it.
    fn parts<'a>(&'a self, number: u64, head: &'a [u8; HEAD]) -> [&'a [u8]; 4] {
        match self {
            Self::Fixed(bytes) => [bytes, &[], &[], &[]],
            Self::Distinct { before, body, period, pattern, behind } => {
                let head = &head[..HEAD.min(*body)];
                let shift = (number % *period as u64) as usize;
                [before, head, &pattern[shift..shift + body - head.len()], behind]
            }
        }
    }
}

/// What is before a message of that size.
fn prefix(size: usize, form: Form) -> Vec<u8> {
    match form {
        Form::Framed => u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes().to_vec(),
        Form::Bytes | Form::Line => Vec::new(),
    }
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
            assert_eq!(payload.is(8, &bytes), matches!(payload, Payload::Fixed(_)));
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
