//! The name of a Unix socket, and the mode of its file.

use super::error::{Fault, Quoted};
use percent_encoding::{percent_decode_str, percent_encode_byte};
use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// A right endpoint, where none can be made from what was typed.
pub(super) const UNIX_EXAMPLE: &str = "unix:/run/app.sock";
const ABSTRACT_EXAMPLE: &str = "unix:@app";
const MODE_EXAMPLE: &str = "unix:/run/app.sock?mode=600";

/// `unix(7)`: `sun_path` has 108 bytes; one is the NUL after a path or before an abstract name.
const NAME_BYTES: usize = 107;

/// The name of a Unix socket, `unix(7)`.
///
/// It prints as it stands after `unix:`, and so that it can be read back: what has a meaning there
/// (`%`, `?`, `#`, an `@` that begins a path), white space, control characters, backticks and bytes
/// that are not UTF-8 are percent-encoded.
///
/// ```
/// use socketserver_proto::{Endpoint, UnixName};
///
/// let Endpoint::Unix { name, .. } = "unix:/run/50%25.sock".parse()? else { unreachable!() };
/// assert_eq!(name, UnixName::Path("/run/50%.sock".into()));
/// assert_eq!(name.to_string(), "/run/50%25.sock");
///
/// let Endpoint::Unix { name, .. } = "unix:@app".parse()? else { unreachable!() };
/// assert_eq!(name, UnixName::Abstract(b"app".to_vec()));
/// # Ok::<(), socketserver_proto::EndpointError>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UnixName {
    /// A file, absolute or relative to the working directory: 1 to 107 bytes, none of them NUL.
    Path(PathBuf),
    /// A name in Linux's abstract namespace, without the NUL that marks it: 1 to 107 bytes of any
    /// value. It has no file, hence no mode, and is gone when its last socket is closed.
    Abstract(Vec<u8>),
}

impl fmt::Display for UnixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = match self {
            Self::Path(path) => {
                let bytes = path.as_os_str().as_bytes();
                match bytes {
                    // An `@` would make it abstract.
                    [b'@', rest @ ..] => {
                        f.write_str("%40")?;
                        rest
                    }
                    // Two slashes would be taken for those of `unix:///path`.
                    [b'/', b'/', ..] => {
                        f.write_str("//")?;
                        bytes
                    }
                    _ => bytes,
                }
            }
            Self::Abstract(bytes) => {
                f.write_char('@')?;
                bytes
            }
        };
        encode(bytes, f)
    }
}

fn encode(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let special = |c: char| c.is_control() || c.is_whitespace() || "%?#`".contains(c);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if special(c) {
                for &byte in c.encode_utf8(&mut [0; 4]).as_bytes() {
                    f.write_str(percent_encode_byte(byte))?;
                }
            } else {
                f.write_char(c)?;
            }
        }
        for &byte in chunk.invalid() {
            f.write_str(percent_encode_byte(byte))?;
        }
    }
    Ok(())
}

/// Parses what follows `prefix`, which is `unix:`, `unixgram:` or `seqpacket:`.
pub(super) fn parse_unix<'a>(text: &'a str, prefix: &'static str) -> Result<(UnixName, Option<u32>), Fault<'a>> {
    let text = match text.strip_prefix("//") {
        None => text,
        Some(absolute) if absolute.starts_with('/') => absolute,
        Some(rest) => {
            let reason = format!("{} is neither `/path` nor `///path`", Quoted(text));
            let slash = if rest.starts_with('@') { "" } else { "/" };
            return Err(Fault::new(text, reason, UNIX_EXAMPLE).suggest(&["unix:", slash, rest]));
        }
    };
    let (name, query) = match text.split_once('?') {
        Some((name, query)) => (name, Some(query)),
        None => (text, None),
    };
    let (name, is_file) = match name.strip_prefix('@') {
        Some("") => {
            let reason = format!("{} has no name after the `@`", Quoted(name));
            return Err(Fault::new(name, reason, ABSTRACT_EXAMPLE));
        }
        Some(name) => (UnixName::Abstract(decode(name)?), false),
        None if name.is_empty() => {
            let reason = format!("{} has no path after it", Quoted(prefix));
            return Err(Fault::new(prefix, reason, UNIX_EXAMPLE));
        }
        None => (UnixName::Path(parse_path(name)?), true),
    };
    let mode = match query {
        Some(query) => parse_query(query, is_file)?,
        None => None,
    };
    Ok((name, mode))
}

fn parse_path(text: &str) -> Result<PathBuf, Fault<'_>> {
    let bytes = decode(text)?;
    if bytes.contains(&0) {
        // A NUL that was not encoded has been refused as a control character.
        let reason = format!("{} cannot stand in a path", Quoted("%00"));
        return Err(Fault::new("%00", reason, UNIX_EXAMPLE));
    }
    Ok(OsString::from_vec(bytes).into())
}

/// Undoes the percent-encoding, and refuses what should have been encoded.
fn decode(text: &str) -> Result<Vec<u8>, Fault<'_>> {
    for (at, c) in text.char_indices() {
        let part = &text[at..at + c.len_utf8()];
        if c == '#' {
            let reason = format!("{} must be written `%23`", Quoted(part));
            return Err(Fault::new(part, reason, UNIX_EXAMPLE));
        }
        if c.is_control() {
            let reason = format!("control character {} must be percent-encoded", Quoted(part));
            return Err(Fault::new(part, reason, UNIX_EXAMPLE));
        }
        if c == '%' && !starts_with_hex(&text[at + 1..]) {
            let end = text[at..].char_indices().nth(3).map_or(text.len(), |(len, _)| at + len);
            let part = &text[at..end];
            let reason = format!("{} is not a `%` and two hexadecimal digits (a `%` itself is `%25`)", Quoted(part));
            return Err(Fault::new(part, reason, UNIX_EXAMPLE));
        }
    }
    let bytes: Vec<u8> = percent_decode_str(text).take(NAME_BYTES + 1).collect();
    if bytes.len() > NAME_BYTES {
        let reason = format!("{} is longer than the 107 bytes of unix(7)", Quoted(text));
        return Err(Fault::new(text, reason, UNIX_EXAMPLE));
    }
    Ok(bytes)
}

pub(super) fn starts_with_hex(text: &str) -> bool {
    matches!(text.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}

fn parse_query(query: &str, is_file: bool) -> Result<Option<u32>, Fault<'_>> {
    let mut mode = None;
    for option in query.split('&') {
        let wrong = |part, why: &str| {
            let example = if is_file { MODE_EXAMPLE } else { ABSTRACT_EXAMPLE };
            Fault::new(part, format!("option {} {why}", Quoted(part)), example)
        };
        let (key, value) = match option.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (option, None),
        };
        if key != "mode" {
            return Err(wrong(key, "is not known, only `mode` is"));
        }
        if !is_file {
            return Err(wrong(option, "has no meaning without a file: an abstract name has no mode"));
        }
        if mode.is_some() {
            return Err(wrong(option, "is there twice"));
        }
        match value {
            Some(value) => mode = Some(parse_mode(value)?),
            None => return Err(wrong(option, "has no value")),
        }
    }
    Ok(mode)
}

/// Octal, as `chmod(1)` takes it; only the nine permission bits, and at least one of them.
fn parse_mode(text: &str) -> Result<u32, Fault<'_>> {
    text.bytes()
        .all(|b| matches!(b, b'0'..=b'7'))
        .then(|| u32::from_str_radix(text, 8).ok())
        .flatten()
        .filter(|mode| (1..=0o777).contains(mode))
        .ok_or_else(|| {
            let reason = format!("mode {} is not octal from 1 to 777", Quoted(text));
            Fault::new(text, reason, MODE_EXAMPLE)
        })
}

#[cfg(test)]
mod tests {
    use super::super::Endpoint;
    use super::super::error::refused;
    use super::*;

    /// The bytes of the name: two paths that differ by a slash or a `.` are equal to `PathBuf`.
    fn bytes_of(endpoint: &Endpoint) -> &[u8] {
        match endpoint {
            Endpoint::Unix { name: UnixName::Path(path), .. } => path.as_os_str().as_bytes(),
            Endpoint::Unix { name: UnixName::Abstract(bytes), .. } => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn well_formed() {
        let longest = "x".repeat(107);
        let path = format!("unix:{longest}");
        let name = format!("unix:@{longest}");
        let encoded = format!("unix:{}", "%78".repeat(107));
        // (text, is it a path, its bytes, its mode, how it prints)
        type Case<'a> = (&'a str, bool, &'a [u8], Option<u32>, &'a str);
        let cases: &[Case<'_>] = &[
            ("unix:/a", true, b"/a", None, "unix:/a"),
            ("UNIX:/a", true, b"/a", None, "unix:/a"),
            ("unix:x.sock", true, b"x.sock", None, "unix:x.sock"),
            ("unix:80", true, b"80", None, "unix:80"),
            ("unix:./x", true, b"./x", None, "unix:./x"),
            ("unix:///a", true, b"/a", None, "unix:/a"),
            ("unix:////a", true, b"//a", None, "unix:////a"),
            ("unix:/a//b", true, b"/a//b", None, "unix:/a//b"),
            ("unix:a://b", true, b"a://b", None, "unix:a://b"),
            ("unix:/a?mode=600", true, b"/a", Some(0o600), "unix:/a?mode=600"),
            ("unix:/a?mode=0660", true, b"/a", Some(0o660), "unix:/a?mode=660"),
            ("unix:/a?mode=777", true, b"/a", Some(0o777), "unix:/a?mode=777"),
            ("unix:/a?mode=1", true, b"/a", Some(1), "unix:/a?mode=1"),
            ("unix:/a b", true, b"/a b", None, "unix:/a%20b"),
            ("unix:/%25%3f%23%0a%60", true, b"/%?#\n`", None, "unix:/%25%3F%23%0A%60"),
            ("unix:/é", true, "/é".as_bytes(), None, "unix:/é"),
            ("unix:/%c3%a9", true, "/é".as_bytes(), None, "unix:/é"),
            ("unix:/%ff%C2%85", true, b"/\xff\xc2\x85", None, "unix:/%FF%C2%85"),
            ("unix:%40a@", true, b"@a@", None, "unix:%40a@"),
            ("unix:@a", false, b"a", None, "unix:@a"),
            ("unix:@@a", false, b"@a", None, "unix:@@a"),
            ("unix:@//a", false, b"//a", None, "unix:@//a"),
            ("unix:@%00a%00", false, b"\0a\0", None, "unix:@%00a%00"),
            (&path, true, longest.as_bytes(), None, &path),
            (&encoded, true, longest.as_bytes(), None, &path),
            (&name, false, longest.as_bytes(), None, &name),
        ];
        for &(text, is_path, bytes, mode, printed) in cases {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(bytes_of(&endpoint), bytes, "{text}");
            assert_eq!(endpoint.to_string(), printed, "{text}");
            let Endpoint::Unix { name, mode: parsed } = &endpoint else { unreachable!() };
            assert_eq!(matches!(name, UnixName::Path(_)), is_path, "{text}");
            assert_eq!(*parsed, mode, "{text}");
            assert_eq!(bytes_of(&printed.parse().unwrap()), bytes, "{text}");
        }
    }

    #[test]
    fn malformed() {
        let long = "x".repeat(108);
        let path = format!("unix:{long}");
        let name = format!("unix:@{long}");
        // (input, the offending part, words of the reason, the example)
        let cases = [
            ("unix:", "unix:", "no path", UNIX_EXAMPLE),
            ("unix:?mode=600", "unix:", "no path", UNIX_EXAMPLE),
            ("unix:@", "@", "no name", ABSTRACT_EXAMPLE),
            ("unix://run/x", "//run/x", "neither", "unix:/run/x"),
            ("unix://run/x?mode=600", "//run/x?mode=600", "neither", "unix:/run/x?mode=600"),
            ("unix://@app", "//@app", "neither", "unix:@app"),
            ("unix://", "//", "neither", "unix:/"),
            (&path, &long, "107", UNIX_EXAMPLE),
            (&name, &long, "107", UNIX_EXAMPLE),
            ("unix:/a%00b", "%00", "path", UNIX_EXAMPLE),
            ("unix:/a%zzb", "%zz", "hexadecimal", UNIX_EXAMPLE),
            ("unix:/a%4", "%4", "hexadecimal", UNIX_EXAMPLE),
            ("unix:/a%", "%", "hexadecimal", UNIX_EXAMPLE),
            ("unix:/a%éééé", "%éé", "hexadecimal", UNIX_EXAMPLE),
            ("unix:/a%+1", "%+1", "hexadecimal", UNIX_EXAMPLE),
            ("unix:@a%4é", "%4é", "hexadecimal", UNIX_EXAMPLE),
            ("unix:/a#b", "#", "%23", UNIX_EXAMPLE),
            ("unix:/a\nb", r"\n", "control", UNIX_EXAMPLE),
            ("unix:@a\0b", r"\0", "control", UNIX_EXAMPLE),
            ("unix:/a?mode=0", "0", "octal", MODE_EXAMPLE),
            ("unix:/a?mode=", "", "octal", MODE_EXAMPLE),
            ("unix:/a?mode=1000", "1000", "octal", MODE_EXAMPLE),
            ("unix:/a?mode=4755", "4755", "octal", MODE_EXAMPLE),
            ("unix:/a?mode=888", "888", "octal", MODE_EXAMPLE),
            ("unix:/a?mode=+600", "+600", "octal", MODE_EXAMPLE),
            ("unix:/a?mode=0o600", "0o600", "octal", MODE_EXAMPLE),
            ("unix:/a?mode=77777777777777", "77777777777777", "octal", MODE_EXAMPLE),
            ("unix:/a?mode=600#x", "600#x", "octal", MODE_EXAMPLE),
            ("unix:/a?mode", "mode", "no value", MODE_EXAMPLE),
            ("unix:/a?mode=600&mode=600", "mode=600", "twice", MODE_EXAMPLE),
            ("unix:/a?owner=me", "owner", "only `mode`", MODE_EXAMPLE),
            ("unix:/a?Mode=600", "Mode", "only `mode`", MODE_EXAMPLE),
            ("unix:/a?", "", "only `mode`", MODE_EXAMPLE),
            ("unix:/a?mode=600&", "", "only `mode`", MODE_EXAMPLE),
            ("unix:@a?mode=600", "mode=600", "abstract", ABSTRACT_EXAMPLE),
            ("unix:@a?x=1", "x", "only `mode`", ABSTRACT_EXAMPLE),
        ];
        for (input, part, words, example) in cases {
            assert_eq!(refused(input, part, words), example, "{input}");
        }
    }
}
