use crate::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long a command may run, and how much it may say.
///
/// Both are told to the client when they strike.
///
/// ```
/// use socketserver_exec::Limits;
/// use std::time::Duration;
/// let limits = Limits::new();
/// assert_eq!(limits.timeout, Some(Duration::from_secs(30)));
/// assert_eq!(limits.output.to_string(), "16 MiB");
/// let limits = limits.timeout(Duration::from_secs(5)).output("64KiB".parse()?);
/// assert_eq!((limits.timeout, limits.output.bytes()), (Some(Duration::from_secs(5)), 65_536));
/// # Ok::<_, socketserver_exec::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// Then the command and all that it has started is ended. `None`: it may take for ever; 30 s by default.
    pub timeout: Option<Duration>,
    /// How much of its standard output and standard error together is taken; 16 MiB by default. What is more is not read:
    /// a command that goes on writing gets `SIGPIPE`, as in `command | head -c`.
    pub output: Size,
}

impl Limits {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self { timeout: Some(Duration::from_secs(30)), output: Size(16 << 20) }
    }

    /// Another [`timeout`](Self#structfield.timeout); `None` is none.
    #[must_use]
    pub fn timeout(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.timeout = time.into();
        self
    }

    /// Another limit of the [`output`](Self#structfield.output).
    #[must_use]
    pub fn output(mut self, size: Size) -> Self {
        self.output = size;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

/// A number of bytes, 1 to 256 MiB: `16MiB`, `64KiB`, `500k` (thousands), `2M` (millions), `1000`.
///
/// ```
/// use socketserver_exec::Size;
/// assert_eq!("64KiB".parse::<Size>()?.bytes(), 65_536);
/// assert_eq!("500k".parse::<Size>()?.to_string(), "500000 bytes");
/// assert!("1TiB".parse::<Size>().unwrap_err().to_string().contains("`16MiB`"));
/// # Ok::<_, socketserver_exec::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// As much as can be said: four bytes for each fit into a signed length of 32 bits, whatever they are encoded in.
    const MAX: u64 = 256 << 20;

    /// So many.
    ///
    /// ```
    /// use socketserver_exec::Size;
    /// assert_eq!(Size::new(1 << 20)?, "1MiB".parse()?);
    /// assert!(Size::new(0).is_err());
    /// # Ok::<_, socketserver_exec::Error>(())
    /// ```
    ///
    /// # Errors
    /// None, or more than 256 MiB.
    pub fn new(bytes: u64) -> Result<Self, Error> {
        if (1..=Self::MAX).contains(&bytes) { Ok(Self(bytes)) } else { Err(Error::not_a_size(bytes)) }
    }

    /// How many.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let factor = match text[digits.len()..].trim_start() {
            "" => Some(1),
            "k" | "K" | "kB" => Some(1000),
            "M" | "MB" => Some(1_000_000),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            _ => None,
        };
        let number = || digits.parse::<u64>().ok()?.checked_mul(factor?);
        number().and_then(|bytes| Self::new(bytes).ok()).ok_or_else(|| Error::not_a_size(text))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % (1 << 20) == 0 => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes % (1 << 10) == 0 => write!(f, "{} KiB", bytes >> 10),
            1 => f.write_str("1 byte"),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

/// A time as a sentence says it.
pub(crate) fn spoken(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{} s", time.as_secs()),
        _ => format!("{} ms", time.as_millis()),
    }
}

/// `500ms`, `2s`, `5m`, a bare number of seconds, `off`.
pub(crate) fn timeout(text: &str) -> Result<Option<Duration>, String> {
    if text == "off" {
        return Ok(None);
    }
    let time = match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    match time {
        Some(time) if !time.is_zero() => Ok(Some(time)),
        _ => Err(format!("`{text}` is not a time; for example `500ms`, `2s`, `5m`, or `off`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let size = |text: &str| text.parse::<Size>().map(Size::bytes);
        assert_eq!(
            [size("1"), size("16MiB"), size("2 M"), size("256MiB")],
            [Ok(1), Ok(16 << 20), Ok(2_000_000), Ok(256 << 20)]
        );
        for wrong in ["", "0", "-1", "MiB", "1.5MiB", "257MiB", "18446744073709551615MiB", "off"] {
            assert!(size(wrong).unwrap_err().to_string().contains("`16MiB`"), "{wrong}");
        }
        assert_eq!(
            ["1", "1024", "1000"].map(|text| text.parse::<Size>().unwrap().to_string()),
            ["1 byte", "1 KiB", "1000 bytes"]
        );
    }

    #[test]
    fn times() {
        assert_eq!(timeout("500ms"), Ok(Some(Duration::from_millis(500))));
        assert_eq!(timeout("5"), Ok(Some(Duration::from_secs(5))));
        assert_eq!(timeout("off"), Ok(None));
        for wrong in ["", "0", "0ms", "-1s", "soon"] {
            assert!(timeout(wrong).unwrap_err().contains("500ms"), "{wrong}");
        }
        assert_eq!([30_000, 1500].map(|ms| spoken(Duration::from_millis(ms))), ["30 s", "1500 ms"]);
    }
}
