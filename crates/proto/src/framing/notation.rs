//! How numbers and bytes are written in the text of a framing, both ways.

use std::fmt;

/// `500`, `10k`.
pub(super) fn size(text: &str) -> Option<usize> {
    let (digits, unit) = text.strip_suffix('k').map_or((text, 1), |digits| (digits, 1_000));
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

pub(super) fn unescape(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'0' => b'\0',
                b'\\' => b'\\',
                b'x' => {
                    let mut digit = || char::from(rest.next()?).to_digit(16);
                    (digit()? * 16 + digit()?) as u8
                }
                _ => return None,
            },
            byte => byte,
        });
    }
    Some(bytes)
}

/// Bytes as [`unescape`] reads them.
pub(super) struct Escaped<'a>(pub(super) &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            match byte {
                b'\r' => f.write_str(r"\r")?,
                b'\n' => f.write_str(r"\n")?,
                b'\t' => f.write_str(r"\t")?,
                b'\0' => f.write_str(r"\0")?,
                b'\\' => f.write_str(r"\\")?,
                // A comma would end it, and between backticks it must come out as it is.
                b',' | b'`' => write!(f, r"\x{byte:02x}")?,
                byte if byte.is_ascii_graphic() => write!(f, "{}", char::from(*byte))?,
                byte => write!(f, r"\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

/// A number of bytes, in thousands where it is a whole number of them.
pub(super) struct Size(pub(super) usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes > 0 && bytes % 1_000 == 0 => write!(f, "{}k", bytes / 1_000),
            bytes => write!(f, "{bytes}"),
        }
    }
}
