use std::fmt;

/// Why remote execution cannot be set up: a sentence that says what is wrong and what would be right.
///
/// ```
/// use socketserver_exec::Commands;
/// let error = Commands::load("/nowhere.toml").unwrap_err();
/// assert!(error.to_string().starts_with("`/nowhere.toml`: "));
/// ```
#[derive(Debug)]
pub struct Error {
    message: String,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
