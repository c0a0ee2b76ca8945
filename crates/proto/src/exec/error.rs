use super::Kind;
use std::error::Error;
use std::fmt;

/// Why what came is not understood. The connection is then over: where the next frame would begin is not known.
///
/// ```
/// use socketserver_proto::exec::{Receiver, Side, WireError};
/// let mut server = Receiver::new(Side::Server);
/// assert_eq!(server.next(&mut &b"GET / HTTP/1.1\r\n"[..]), Err(WireError::Magic));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// It does not begin as the protocol does.
    Magic,
    /// The other side speaks this version, which we do not.
    Version(u16),
    /// There is no frame of this type.
    Kind(u8),
    /// A frame of this type does not come now, or not from there.
    Order(Kind),
    /// A frame that is longer than it may be.
    TooLong {
        /// Its type.
        kind: Kind,
        /// How long it says that it is.
        length: u32,
        /// How long it may be.
        max: usize,
    },
    /// The payload is not one of its type, and what is wrong with it.
    Malformed(Kind, &'static str),
    /// The input ended in the middle of a frame.
    CutShort,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("it does not begin as the native protocol does"),
            Self::Version(version) => {
                write!(f, "version {version} of the native protocol is not spoken here, {} is", super::VERSION)
            }
            Self::Kind(kind) => write!(f, "there is no frame of the type {kind}"),
            Self::Order(kind) => write!(f, "a frame {kind} that may not come now"),
            Self::TooLong { kind, length, max } => {
                write!(f, "a frame {kind} of {length} bytes, and {max} is the most")
            }
            Self::Malformed(kind, what) => write!(f, "a frame {kind} that is none: {what}"),
            Self::CutShort => f.write_str("the input ended in the middle of a frame"),
        }
    }
}

impl Error for WireError {}
