use crate::Error;
use crate::believed::{self, Purpose};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A secret that both sides know, and that never travels: each proves to the other that it knows it. Clones are the same
/// one; its memory is wiped with the last.
///
/// ```
/// use socketserver_exec::Token;
/// let token = Token::new(b"c4f0b1c5fd1c4c1e8d7a64a0f7bd3a52\n")?;
/// assert_eq!(format!("{token:?}"), "Token(…)");
/// assert!(Token::new(b"hunter2").unwrap_err().to_string().contains("32 bytes"));
/// # Ok::<_, socketserver_exec::Error>(())
/// ```
#[derive(Clone)]
pub struct Token(Arc<Zeroizing<Vec<u8>>>);

/// Shorter ones could be guessed by whoever has seen a proof.
const SHORTEST: usize = 32;

const PURPOSE: Purpose = Purpose {
    what: "one with a token, as `openssl rand -hex 32` prints it,",
    forbidden: 0o077,
    danger: "read or write it",
    cure: "chmod 600",
    longest: 4096,
    spoken: "4 KiB",
};

impl Token {
    /// These bytes, without the white space around them.
    ///
    /// # Errors
    /// They are fewer than 32.
    pub fn new(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = bytes.trim_ascii();
        if bytes.len() < SHORTEST {
            return Err(Error::new(format!(
                "a token has {SHORTEST} bytes at least, and this one has {}; `openssl rand -hex 32` makes one",
                bytes.len()
            )));
        }
        Ok(Self(Arc::new(Zeroizing::new(bytes.to_vec()))))
    }

    /// Reads it from a file, without the white space around it.
    ///
    /// # Errors
    /// It is not a file, or a link; it belongs neither to root nor to this process's user; its group or others may read or
    /// write it, or put another in its place; it is too short or longer than 4 KiB.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = believed::read(path, PURPOSE)?;
        Self::new(&bytes).map_err(|error| Error::new(format!("`{}`: {error}", path.display())))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_it_is_not_of_it() {
        let bare = "x".repeat(32);
        assert_eq!(Token::new(format!(" {bare}\r\n").as_bytes()).unwrap().bytes(), bare.as_bytes());
        for short in ["", " \n", &"x".repeat(31), &format!("{}{}", "x".repeat(31), " ".repeat(100))] {
            let said = Token::new(short.as_bytes()).unwrap_err().to_string();
            assert!(said.contains("32 bytes") && !said.contains("xx"), "{said}");
        }
    }
}
