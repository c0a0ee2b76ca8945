//! What is a request at all, whatever is asked for.

use std::fmt;

/// The longest request.
pub(crate) const LONGEST: usize = 4096;

/// Why a request is none: it ends the connection, and is executed in no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRequest {
    TooLong,
    Controls,
    Http,
}

impl fmt::Display for NoRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "longer than 4 KiB",
            Self::Controls => "CR, LF or NUL in it",
            Self::Http => "HTTP",
        })
    }
}

/// The methods that a browser, or a program in it, can be made to begin with (RFC 9110, section 9; RFC 5789; RFC 9113,
/// section 3.4).
const METHODS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"];

/// Whether these bytes may be a request. Browsers can be made to post to the loopback by any page, so what looks like HTTP
/// is none, and what has several lines.
pub(crate) fn check(bytes: &[u8]) -> Result<(), NoRequest> {
    if bytes.len() > LONGEST {
        return Err(NoRequest::TooLong);
    }
    // First: a line of HTTP has a line end too, and is better called by its name.
    if is_http(bytes) {
        return Err(NoRequest::Http);
    }
    if bytes.iter().any(|byte| b"\r\n\0".contains(byte)) {
        return Err(NoRequest::Controls);
    }
    Ok(())
}

fn is_http(bytes: &[u8]) -> bool {
    let mut words = bytes.splitn(3, |byte| *byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let known = METHODS.iter().any(|known| method == Some(known.as_bytes()));
    (known && target.is_some()) || version.is_some_and(|version| version.starts_with(b"HTTP/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_request() {
        for right in ["id", "", "ls -l", "get /", "GET", "POSTING x", "echo HTTP/1.1", "你好", &"x".repeat(LONGEST)] {
            assert_eq!(check(right.as_bytes()), Ok(()), "{right}");
        }
        for line in ["a\nb", "id\n", "id\r", "\r\n", "a\0"] {
            assert_eq!(check(line.as_bytes()), Err(NoRequest::Controls), "{line:?}");
        }
        assert_eq!(check(&[b'x'; LONGEST + 1]), Err(NoRequest::TooLong));
        for http in [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST / HTTP/1.1\r\n",
            "PRI * HTTP/2.0\r\n",
            "GET /",
            "FOO / HTTP/1.1",
        ] {
            assert_eq!(check(http.as_bytes()), Err(NoRequest::Http), "{http:?}");
        }
    }
}
