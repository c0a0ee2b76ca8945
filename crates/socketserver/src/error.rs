//! What the framework itself can fail with.

use std::{error, fmt, io};

/// Why a server could not be bound or served: opaque, with a [`kind`](Error::kind).
///
/// The text says what was wrong and what would be right; it is for people and may change.
///
/// ```
/// use socketserver::{ErrorKind, Server};
/// let error = Server::bind("tcp://127.0.0.1:99999").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Endpoint);
/// assert!(error.to_string().contains("99999"));
/// ```
pub struct Error {
    kind: ErrorKind,
    what: String,
    source: Option<io::Error>,
}

/// What sort of failure an [`Error`] is.
///
/// ```
/// use socketserver::{ErrorKind, Server};
/// let server = Server::bind("tcp://127.0.0.1:0")?;
/// match Server::bind(server.endpoints()) {
///     Err(error) if error.kind() == ErrorKind::InUse => println!("it runs already: {error}"),
///     other => unreachable!("somebody listens there: {other:?}"),
/// }
/// # Ok::<_, socketserver::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An endpoint was not understood, or names something that cannot be listened on.
    Endpoint,
    /// Somebody else listens there.
    InUse,
    /// The system refused: a privileged port, a directory without write permission.
    Denied,
    /// This model, endpoint and handler do not go together in this process.
    Unsupported,
    /// A certificate, a key or an authority of TLS is of no use.
    Tls,
    /// Any other failure of the system.
    Io,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), source: None }
    }

    /// A failed system call, with the words for what it was meant to do.
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::AddrInUse => ErrorKind::InUse,
            io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            _ => ErrorKind::Io,
        };
        Self { kind, what: what.into(), source: Some(source) }
    }

    /// What sort of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}: {self})", self.kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{}: {source}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

impl From<socketserver_proto::EndpointError> for Error {
    fn from(error: socketserver_proto::EndpointError) -> Self {
        Self::new(ErrorKind::Endpoint, error.to_string())
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::Endpoint => io::ErrorKind::InvalidInput,
            ErrorKind::InUse => io::ErrorKind::AddrInUse,
            ErrorKind::Denied => io::ErrorKind::PermissionDenied,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::Tls => io::ErrorKind::InvalidData,
            ErrorKind::Io => error.source.as_ref().map_or(io::ErrorKind::Other, |source| source.kind()),
        };
        Self::new(kind, error)
    }
}
