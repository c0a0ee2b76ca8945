use std::fmt;

/// What a connection does at the moment.
///
/// ```
/// assert_eq!(socketserver::Phase::Waiting.to_string(), "waiting");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Its handler works.
    Working,
    /// Its handler waits for the next request.
    Waiting,
    /// Its handler waits for the rest of a request that has begun.
    Receiving,
    /// Its handler is through with it; what was written is on its way.
    Closing,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Working => "working",
            Self::Waiting => "waiting",
            Self::Receiving => "receiving",
            Self::Closing => "closing",
        })
    }
}
