use super::DEFAULT_MAX;
use super::length_field::Field;

/// The most bytes before the length field, and the most that are stripped.
const MAX_OFFSET: usize = u16::MAX as usize;

/// The most bytes before the length field that can be given.
const MAX_HEADER: usize = 16;

/// Those of a [`LengthPrefix`](super::LengthPrefix), as they were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) offset: usize,
    /// What was given, then zeros.
    header: [u8; MAX_HEADER],
    header_len: usize,
    pub(super) adjustment: i32,
    pub(super) inclusive: bool,
    pub(super) strip: Option<usize>,
    pub(super) max: usize,
    pub(super) skip_oversized: bool,
}

impl Parameters {
    pub(super) const DEFAULT: Self = Self {
        offset: 0,
        header: [0; MAX_HEADER],
        header_len: 0,
        adjustment: 0,
        inclusive: false,
        strip: None,
        max: DEFAULT_MAX,
        skip_oversized: false,
    };

    /// Bytes before the length field; none, for an offset that is given as a number.
    pub(super) const fn header(&self) -> &[u8] {
        self.header.split_at(self.header_len).0
    }

    /// Whether they are not too many.
    pub(super) const fn set_header(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > MAX_HEADER {
            return false;
        }
        self.header = [0; MAX_HEADER];
        self.header.split_at_mut(bytes.len()).0.copy_from_slice(bytes);
        (self.offset, self.header_len) = (bytes.len(), bytes.len());
        true
    }
}

/// What follows from them, and decoding and encoding go by. A *total* is the length of a whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// All bytes up to the end of the length field.
    pub(super) header: usize,
    pub(super) strip: usize,
    /// The total less what is in the length field.
    pub(super) base: i64,
    /// The least that may be in the length field.
    pub(super) least: u64,
    /// How much more than that may be in it.
    pub(super) span: u64,
    /// The longest message: `max`, or less if the length field cannot tell as much.
    pub(super) max_message: usize,
}

impl Bounds {
    pub(super) const fn new(field: Field, parameters: Parameters) -> Result<Self, &'static str> {
        const TOO_MANY: &str = "the offset, or what is stripped, has more than 65535 bytes";
        if parameters.offset > MAX_OFFSET {
            return Err(TOO_MANY);
        }
        let header = parameters.offset + field.width as usize;
        let strip = match parameters.strip {
            Some(strip) if strip > MAX_OFFSET => return Err(TOO_MANY),
            Some(strip) => strip,
            None => header,
        };
        let counted = if parameters.inclusive { 0 } else { header as i64 };
        let base = counted + parameters.adjustment as i64;
        // The sums below are far from the ends of an i128.
        let shortest = (if header > strip { header } else { strip }) as i128;
        let longest = smaller(strip as i128 + parameters.max as i128, isize::MAX as i128);
        let least = shortest - base as i128;
        let least = if least > 0 { least } else { 0 };
        let most = smaller(field.greatest() as i128, longest - base as i128);
        if least > most {
            return Err("with these parameters no message is both as long as the shortest frame and within the limit");
        }
        Ok(Self {
            header,
            strip,
            base,
            least: least as u64,
            span: (most - least) as u64,
            max_message: (most + base as i128) as usize - strip,
        })
    }
}

const fn smaller(a: i128, b: i128) -> i128 {
    if a < b { a } else { b }
}
