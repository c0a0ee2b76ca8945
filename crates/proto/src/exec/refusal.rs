use super::{Kind, MAX_REFUSED, WireError};

/// Why a server does not do what was asked for.
///
/// ```
/// use socketserver_proto::exec::Why;
/// assert_eq!(Why::Unknown.as_str(), "unknown-command");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// The client has not proved who it is. The connection is over.
    Unauthenticated = 1,
    /// Too many have failed to do so from there; one may try again later. The connection is over.
    TooManyFailures = 2,
    /// Nothing of that name may be run.
    Unknown = 3,
    /// It may not be run with these arguments.
    Arguments = 4,
    /// As many commands run as may.
    Busy = 5,
    /// It could not be begun, for want of descriptors, processes or memory.
    Failed = 6,
    /// A reason of a newer version.
    Other = 0,
}

impl Why {
    const ALL: [Self; 6] =
        [Self::Unauthenticated, Self::TooManyFailures, Self::Unknown, Self::Arguments, Self::Busy, Self::Failed];

    /// One word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::TooManyFailures => "too-many-failures",
            Self::Unknown => "unknown-command",
            Self::Arguments => "arguments",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Other => "other",
        }
    }

    fn from_byte(byte: u8) -> Self {
        Self::ALL.into_iter().find(|why| *why as u8 == byte).unwrap_or(Self::Other)
    }
}

/// The payload of REFUSED: why, and a sentence for whoever asked.
///
/// It is what the other side says: control characters and all, unless who shows it takes them out.
///
/// ```
/// use socketserver_proto::exec::{Refusal, Why};
/// let refusal = Refusal { why: Why::Unknown, text: "unknown command `x`; known: disk" };
/// assert!(refusal.text.contains("disk"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// Why.
    pub why: Why,
    /// What to say. What is beyond [`MAX_REFUSED`] is not sent.
    pub text: &'a str,
}

impl<'a> Refusal<'a> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let room = MAX_REFUSED - 1;
        let end = (0..=room.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        out.push(self.why as u8);
        out.extend_from_slice(&self.text.as_bytes()[..end]);
    }

    pub(super) fn from_bytes(bytes: &'a [u8]) -> Result<Self, WireError> {
        let wrong = |what| WireError::Malformed(Kind::Refused, what);
        let (why, text) = bytes.split_first().ok_or(wrong("it is empty"))?;
        let text = std::str::from_utf8(text).map_err(|_| wrong("its text is not UTF-8"))?;
        Ok(Self { why: Why::from_byte(*why), text })
    }
}
