//! What is sent.

/// Prime, so that shifted patterns differ at every place; with every byte value below it.
const RAW_PERIOD: usize = 251;

/// The printable characters from `!` on; prime as well.
const LINE_PERIOD: usize = 89;

/// Bytes of the message's number at its head, six bits in each.
const HEAD: usize = 8;

/// The messages of a load, by their number.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    /// The same bytes each time.
    Fixed(Vec<u8>),
    /// Each its own: the number, lowest bits first, then a pattern shifted by the number, then perhaps a newline.
    Distinct { size: usize, line: bool, period: usize, pattern: Vec<u8> },
}

impl Payload {
    pub(crate) fn distinct(size: usize, line: bool) -> Self {
        let (first, period) = if line { (b'!', LINE_PERIOD) } else { (0, RAW_PERIOD) };
        let pattern = (0..size + period).map(|place| first + (place % period) as u8).collect();
        Self::Distinct { size, line, period, pattern }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Fixed(bytes) => bytes.len(),
            Self::Distinct { size, .. } => *size,
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

    /// Head, pattern and newline of message `number`.
    fn parts<'a>(&'a self, number: u64, head: &'a [u8; HEAD]) -> [&'a [u8]; 3] {
        match self {
            Self::Fixed(bytes) => [bytes, &[], &[]],
            Self::Distinct { size, line, period, pattern } => {
                let body = size - usize::from(*line);
                let head = &head[..body.min(HEAD)];
                let shift = (number % *period as u64) as usize;
                let newline: &[u8] = if *line { b"\n" } else { b"" };
                [head, &pattern[shift..shift + body - head.len()], newline]
            }
        }
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
        for line in [false, true] {
            for size in [1, 2, 7, 8, 9, 10, 64, 1000] {
                let payload = Payload::distinct(size, line);
                assert_eq!(payload.len(), size);
                for number in [0, 1, 63, 64, 250, 251, 1 << 40] {
                    assert_eq!(message(&payload, number).len(), size);
                }
            }
        }
    }

    #[test]
    fn neighbours_differ_at_every_place_but_the_newline() {
        let payload = Payload::distinct(64, false);
        let (one, two) = (message(&payload, 7), message(&payload, 8));
        assert_ne!(one[..HEAD], two[..HEAD]);
        assert!((HEAD..64).all(|place| one[place] != two[place]));
    }

    #[test]
    fn a_message_is_that_of_its_number_alone() {
        for payload in [Payload::distinct(64, false), Payload::distinct(5, true), Payload::Fixed(b"ping".to_vec())] {
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
            let payload = Payload::distinct(size, true);
            for number in 0..500 {
                let bytes = message(&payload, number);
                let newline = bytes.iter().position(|&byte| byte == b'\n');
                assert_eq!(newline, Some(size - 1));
            }
        }
    }

    #[test]
    fn a_fixed_message_is_the_same_each_time() {
        let payload = Payload::Fixed(b"hello".to_vec());
        assert_eq!(message(&payload, 1), b"hello");
        assert_eq!(message(&payload, 2), b"hello");
    }
}
