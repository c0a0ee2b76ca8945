//! What the server, or the way to it, did wrong.

use std::fmt;
use std::io;

/// Failed connections by kind, over the whole run: opening, warm-up and the measured window.
///
/// A connection fails once; a load without [`connect_per_request`](crate::Load::connect_per_request) does not reopen it.
///
/// ```
/// use socketserver_load::Errors;
///
/// let mut errors = Errors::default();
/// assert!(errors.is_empty());
/// assert_eq!(errors.to_string(), "no errors");
/// errors.refused = 2;
/// errors.mismatch = 1;
/// assert_eq!(errors.total(), 3);
/// assert_eq!(errors.to_string(), "2 refused, 1 mismatch");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Errors {
    /// Nobody listens there (`ECONNREFUSED`; for a Unix socket also `ENOENT`).
    pub refused: u64,
    /// The peer reset the connection, or closed it while something was being sent (`ECONNRESET`, `EPIPE`).
    pub reset: u64,
    /// Waiting for something when its [time](crate::Load::timeout) was up or the run was given up for lack of progress, or
    /// `ETIMEDOUT`. Of UDP a packet that is lost is no failure of its socket: see [`Outcome::lost`](crate::Outcome::lost).
    pub timeout: u64,
    /// A byte came that is not the one expected there, or one that was not expected at all.
    pub mismatch: u64,
    /// The peer closed in good order before everything sent was echoed.
    pub early_close: u64,
    /// The server did not speak TLS, or not as it should.
    pub tls: u64,
    /// The server did not agree to speak WebSocket (RFC 6455), or spoke it wrongly.
    pub websocket: u64,
    /// Anything else, such as no local port left (`EADDRNOTAVAIL`).
    pub other: u64,
}

/// One failed connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Refused,
    Reset,
    Timeout,
    Mismatch,
    EarlyClose,
    Tls,
    WebSocket,
    Other,
}

impl Errors {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.kinds().iter().map(|(count, _)| count).sum()
    }

    /// Whether there were none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }

    /// Adds all of `other`'s.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.refused += other.refused;
        self.reset += other.reset;
        self.timeout += other.timeout;
        self.mismatch += other.mismatch;
        self.early_close += other.early_close;
        self.tls += other.tls;
        self.websocket += other.websocket;
        self.other += other.other;
    }

    pub(crate) fn count(&mut self, failure: Failure) {
        let counter = match failure {
            Failure::Refused => &mut self.refused,
            Failure::Reset => &mut self.reset,
            Failure::Timeout => &mut self.timeout,
            Failure::Mismatch => &mut self.mismatch,
            Failure::EarlyClose => &mut self.early_close,
            Failure::Tls => &mut self.tls,
            Failure::WebSocket => &mut self.websocket,
            Failure::Other => &mut self.other,
        };
        *counter += 1;
    }

    fn kinds(&self) -> [(u64, &'static str); 8] {
        [
            (self.refused, "refused"),
            (self.reset, "reset"),
            (self.timeout, "timeout"),
            (self.mismatch, "mismatch"),
            (self.early_close, "early close"),
            (self.tls, "TLS"),
            (self.websocket, "WebSocket"),
            (self.other, "other"),
        ]
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no errors");
        }
        let mut separator = "";
        for (count, name) in self.kinds() {
            if count > 0 {
                write!(f, "{separator}{count} {name}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Self::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Self::Reset
            }
            io::ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Other,
        }
    }
}
