use std::fmt;

/// Why remote execution cannot be set up, or what was typed is not understood: a sentence that says what is wrong and what would
/// be right.
///
/// ```
/// use socketserver_exec::Commands;
/// let error = Commands::load("/nowhere.toml").unwrap_err();
/// assert!(error.to_string().starts_with("`/nowhere.toml`: "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    message: String,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    pub(crate) fn not_a_size(given: impl fmt::Display) -> Self {
        Self::new(format!("`{given}` is not a size from 1 to 256MiB; for example `16MiB`, `64KiB` or `500k`"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
