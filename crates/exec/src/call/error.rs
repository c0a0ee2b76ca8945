use crate::auth::may_be_anybody;
use socketserver_proto::exec::{Why, WireError};
use socketserver_sys::Account;
use std::time::{Duration, Instant};
use std::{fmt, io};

/// Why a call came to nothing.
///
/// ```
/// use socketserver_exec::{CallError, Caller};
/// let error = Caller::new().connect("unix:/nobody/is/there").unwrap_err();
/// assert!(matches!(error, CallError::Unreachable(_)));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// Nobody is there, or not in time.
    Unreachable(socketserver::Error),
    /// The connection broke off.
    Disconnected(io::Error),
    /// Somebody is there, and has not let us in within 10 s.
    Silent,
    /// The [time](crate::Caller::timeout) is up.
    TimedOut,
    /// Whoever is there does not speak the protocol.
    Protocol(WireError),
    /// No request can hold these words: there are none, too many or too long ones, or one has a NUL in it. Nothing was sent.
    Request(WireError),
    /// The address of who is there: it is beyond the loopback, where nothing is said without TLS.
    WantsTls(String),
    /// The user whose the server is, over a Unix socket: neither root, nor we, nor [one that was named](crate::Caller::server_user).
    /// Nothing was said to it.
    ForeignServer(u32),
    /// A token is wanted, and none was given.
    WantsToken,
    /// No token is taken there; what is.
    TakesNoToken(String),
    /// The server has not proved that it knows the token: it is another one.
    FalseServer,
    /// Nothing ties a token to this TLS connection, so it was not used: TLS 1.3 is wanted.
    Unbound,
    /// The server has not let us in, and has not proved who it is either. The words are those of whoever is there: control
    /// characters and all.
    NotLetIn {
        /// Why.
        why: Why,
        /// What it says.
        text: String,
    },
    /// The server that let us in does not do it. The words are its own: control characters and all.
    Refused {
        /// Why.
        why: Why,
        /// What it says.
        text: String,
    },
    /// What the command said could not be handed on.
    Sink(io::Error),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => error.fmt(f),
            Self::Disconnected(error) => write!(f, "the connection broke off: {error}"),
            Self::Silent => f.write_str("somebody is there, and has not let us in within 10 s"),
            Self::TimedOut => f.write_str("the time is up"),
            Self::Protocol(error) => write!(f, "whoever is there does not speak the native protocol: {error}"),
            Self::Request(error) => write!(f, "that cannot be asked for: {error}"),
            Self::WantsTls(peer) => {
                write!(f, "{peer} is beyond the loopback, where commands are asked for over TLS alone: `tls://…`")
            }
            Self::ForeignServer(uid) => foreign(f, *uid),
            Self::WantsToken => f.write_str("the server wants a token (`--token-file FILE`), and none was given"),
            Self::TakesNoToken(methods) => write!(f, "the server takes no token there; it takes: {methods}"),
            Self::FalseServer => f.write_str("the server does not know the token: it is another one, or has another"),
            Self::Unbound => {
                f.write_str("nothing would tie the token to this TLS connection, so it was not used: TLS 1.3 is wanted")
            }
            Self::NotLetIn { text, .. } => write!(f, "not let in: {text}"),
            Self::Refused { text, .. } => write!(f, "refused: {text}"),
            Self::Sink(error) => write!(f, "what the command says cannot be handed on: {error}"),
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(error) => Some(error),
            Self::Disconnected(error) | Self::Sink(error) => Some(error),
            Self::Protocol(error) | Self::Request(error) => Some(error),
            _ => None,
        }
    }
}

/// Whose the server is, and what to do if that is right.
fn foreign(f: &mut fmt::Formatter<'_>, uid: u32) -> fmt::Result {
    if may_be_anybody(uid) {
        return f.write_str(
            "the kernel does not say whose the server is: a user's of another namespace; a token would prove it \
             (`--token-file FILE`)",
        );
    }
    f.write_str("the server is that of user ")?;
    match Account::of(uid) {
        Ok(Some(account)) => write!(f, "`{}` ({uid})", account.name())?,
        _ => write!(f, "{uid}")?,
    }
    write!(f, ", and is told nothing: that is neither root nor you; `--server-user {uid}` says that it is meant")
}

/// The kernel counts deadlines of sockets in ticks, and may be one early.
const TICK: Duration = Duration::from_millis(10);

impl CallError {
    /// What ended a step: that the time was up, if it was, whatever the step says of it.
    pub(super) fn or_timed_out(self, until: Option<Instant>) -> Self {
        match self {
            Self::Unreachable(_) | Self::Disconnected(_) | Self::Silent
                if until.is_some_and(|until| Instant::now() + TICK >= until) =>
            {
                Self::TimedOut
            }
            other => other,
        }
    }
}

impl From<WireError> for CallError {
    fn from(error: WireError) -> Self {
        Self::Protocol(error)
    }
}
