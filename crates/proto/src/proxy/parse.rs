//! Which version it is, and what a look at the front of the input finds.

use super::{Header, ProxyError, v1, v2};

/// What is at the front of the input; [`Header::parse`] tells.
///
/// ```
/// use socketserver_proto::proxy::{Header, Parsed};
/// use std::io::{self, Read};
///
/// /// Reads a header and nothing behind it, from whatever is read without a buffer.
/// fn read_header(stream: &mut impl Read) -> io::Result<Header> {
///     let mut input = Vec::new();
///     loop {
///         match Header::parse(&input).map_err(io::Error::other)? {
///             Parsed::Whole { header, .. } => return Ok(header),
///             Parsed::Incomplete { more } => {
///                 let from = input.len();
///                 input.resize(from + more, 0);
///                 stream.read_exact(&mut input[from..])?;
///             }
///         }
///     }
/// }
///
/// let mut stream = &b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\nGET / HTTP/1.1\r\n"[..];
/// let header = read_header(&mut stream)?;
/// assert_eq!(header.source(), Some("[2001:db8::7]:56324".parse().unwrap()));
/// assert_eq!(stream, b"GET / HTTP/1.1\r\n");
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// The header is not whole, and right so far.
    Incomplete {
        /// So many further bytes belong to it in any case, at least one. Asking again is pointless before they are there.
        /// There may be more, but never fewer: to read so many reads nothing that is behind the header.
        more: usize,
    },
    /// The header is whole.
    Whole {
        /// What it says.
        header: Header,
        /// How many bytes of the input it takes. The rest is not its own.
        len: usize,
    },
}

/// Looks at the front of `input`. In version 2 a header has at most `max` bytes.
///
/// Whatever is wrong is found from the front, so that the bytes behind it make no difference to the error.
pub(super) fn parse(input: &[u8], max: usize) -> Result<Parsed, ProxyError> {
    match input.first() {
        // No header of version 2 is as short.
        None => Ok(Parsed::Incomplete { more: v1::SHORTEST }),
        Some(b'P') => v1::parse(input),
        Some(b'\r') => v2::parse(input, max),
        Some(_) => Err(ProxyError::not_proxy()),
    }
}

/// Whether the one begins with the other, as far as both go.
pub(super) fn agree(input: &[u8], expected: &[u8]) -> bool {
    input.iter().zip(expected).all(|(byte, expected)| byte == expected)
}
