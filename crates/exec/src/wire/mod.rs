//! The classic wires: how a request and its result travel over a plain socket.

mod int32;
mod ready;

use crate::Error;
use crate::talk::Talk;
use socketserver::Result;
use std::fmt;
use std::str::FromStr;

/// How results are framed. A request is what one read gives, without any frame.
///
/// **`int32`**: its length as four bytes, signed and in this machine's order (Python's `struct.pack('i', …)`), then the
/// result. Nothing to say is length 0 and no more. Here in little-endian order:
///
/// ```text
/// client  "echo hello"
/// server  06 00 00 00  68 65 6c 6c 6f 0a
///         +- length -+  +-- "hello\n" --+
/// ```
///
/// **`ready`**: its length as decimal digits, then the client says `ready`, then the result. Where there is nothing to say the
/// result is `执行成功`.
///
/// ```text
/// client  "echo hello"
/// server  "6"
/// client  "ready"
/// server  "hello\n"
/// ```
///
/// A length counts bytes as they are sent, in the encoding of the connection. After a result the next request may come.
///
/// ```
/// use socketserver_exec::Wire;
/// assert_eq!("int32".parse(), Ok(Wire::Int32));
/// assert!("json".parse::<Wire>().unwrap_err().to_string().contains("`ready`"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wire {
    /// Four bytes of length, then the result.
    Int32,
    /// The length in digits; the client's `ready`; the result.
    Ready,
}

impl Wire {
    /// What is sent for an empty result.
    pub(crate) fn when_empty(self) -> &'static str {
        match self {
            Self::Int32 => "",
            Self::Ready => ready::NOTHING,
        }
    }

    /// Sends a result.
    pub(crate) async fn send(self, c: &mut impl Talk, result: &[u8]) -> Result {
        match self {
            Self::Int32 => int32::send(c, result).await,
            Self::Ready => ready::send(c, result).await,
        }
    }
}

impl FromStr for Wire {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "int32" => Ok(Self::Int32),
            "ready" => Ok(Self::Ready),
            _ => Err(Error::new(format!("`{text}` is not a wire; one of `int32`, `ready`"))),
        }
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int32 => "int32",
            Self::Ready => "ready",
        })
    }
}
