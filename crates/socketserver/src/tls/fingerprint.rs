use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The SHA-256 digest of a certificate's DER: what tells one certificate from all others.
///
/// It prints as `openssl x509 -fingerprint -sha256` prints it, in capitals with colons, and is read in either case, with
/// and without them.
///
/// ```
/// use socketserver::Fingerprint;
/// let typed: Fingerprint = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff".parse()?;
/// assert_eq!(typed.as_bytes()[..3], [0x00, 0x11, 0x22]);
/// assert!(typed.to_string().starts_with("00:11:22:33:44:55:66:77:88:99:AA:BB"));
/// assert_eq!(typed.to_string().parse(), Ok(typed));
/// # Ok::<_, socketserver::FingerprintError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The digest itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Fingerprint {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut digest = [0; 32];
        let mut at = 0;
        let mut rest = text.as_bytes();
        while let [high, low, tail @ ..] = rest {
            let (Some(high), Some(low), true) = (nibble(*high), nibble(*low), at < digest.len()) else {
                return Err(FingerprintError(()));
            };
            digest[at] = high << 4 | low;
            at += 1;
            rest = match tail {
                [b':', more @ ..] if !more.is_empty() => more,
                _ => tail,
            };
        }
        if at == digest.len() && rest.is_empty() { Ok(Self(digest)) } else { Err(FingerprintError(())) }
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, byte)| {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")
        })
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A text is no [`Fingerprint`].
///
/// ```
/// use socketserver::Fingerprint;
/// let error = "00:11".parse::<Fingerprint>().unwrap_err();
/// assert_eq!(error.to_string(), "a SHA-256 fingerprint has 32 bytes, as 64 hexadecimal digits, with or without colons");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FingerprintError(());

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SHA-256 fingerprint has 32 bytes, as 64 hexadecimal digits, with or without colons")
    }
}

impl Error for FingerprintError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_digest_is_refused() {
        let right = "ab".repeat(32);
        assert_eq!(right.parse(), Ok(Fingerprint([0xab; 32])));
        let colons = ["ab"; 32].join(":");
        assert_eq!(colons.to_uppercase().parse(), Ok(Fingerprint([0xab; 32])));
        let wrong = [
            String::new(),
            "ab".repeat(31),
            "ab".repeat(33),
            format!("{right}:"),
            format!(":{right}"),
            format!("{right}a"),
            right.replacen("ab", "a:b", 1),
            right.replacen("ab", "ag", 1),
            right.replacen("ab", "é", 1),
            colons.replace(':', "::"),
        ];
        for wrong in wrong {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }
}
