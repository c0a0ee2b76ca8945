use crate::tls::HandshakeFailure;
use std::fmt;

/// Why a connection ended, as recorded when it happened.
///
/// ```
/// assert_eq!(socketserver::Reason::WriteTimeout.to_string(), "write-timeout");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The handler was through with it.
    Finished,
    /// The peer left in the middle: reset, broken pipe, or the end of its input inside a line or an exact read.
    Disconnected,
    /// The peer sent nothing for as long as the idle deadline allows, while the handler waited for it.
    Idle,
    /// The peer took nothing of what was written for as long as the write deadline allows.
    WriteTimeout,
    /// The peer sent nothing at all for as long as the first-byte deadline allows.
    FirstByte,
    /// It was not agreed how to speak, before the handler or the first message: in TLS, or in the request of `ws://`.
    Handshake(HandshakeFailure),
    /// Its session was silent for longest, and gave way to a newcomer ([`sessions`](crate::sessions)).
    Evicted,
    /// The peer sent a line, a frame or an exact read more slowly than the minimum rate allows.
    MinRate,
    /// What the peer sent is no message of the framing, or one longer than its limit.
    BadMessage,
    /// The peer did not take what was pushed to it: its [`Outbox`](crate::Outbox) was full, and
    /// [`Overflow::Disconnect`](crate::Overflow::Disconnect) is the policy.
    Overflow,
    /// The connection was open for as long as the lifetime allows.
    Lifetime,
    /// [`Handle::kick`](crate::Handle::kick) ended it.
    Kicked,
    /// The server drains: a handler that waited for the next request was given the end of input.
    Drained,
    /// The drain's deadline passed and the connection was cut.
    Aborted,
    /// It was dropped before its handler began: a [`Job`](crate::Job) that a model did not run, or a connection on its
    /// way to a shard that had failed. Peers that `verify` turns away were never open: see [`Refusal`](crate::Refusal).
    Refused,
    /// A hook of the handler returned an error.
    Failed,
    /// A hook of the handler panicked.
    Panicked,
    /// Its child process was killed by this signal.
    Killed(i32),
    /// Its child process exited by itself with this status.
    Exited(i32),
}

/// The word of the first failed handshake; those of the others follow.
const HANDSHAKE: u64 = 16;

impl Reason {
    /// Each kind once; the number of a signal or a status is 0.
    pub(crate) const ALL: [Self; 30] = [
        Self::Finished,
        Self::Disconnected,
        Self::Idle,
        Self::WriteTimeout,
        Self::FirstByte,
        Self::Handshake(HandshakeFailure::ALL[0]),
        Self::Handshake(HandshakeFailure::ALL[1]),
        Self::Handshake(HandshakeFailure::ALL[2]),
        Self::Handshake(HandshakeFailure::ALL[3]),
        Self::Handshake(HandshakeFailure::ALL[4]),
        Self::Handshake(HandshakeFailure::ALL[5]),
        Self::Handshake(HandshakeFailure::ALL[6]),
        Self::Handshake(HandshakeFailure::ALL[7]),
        Self::Handshake(HandshakeFailure::ALL[8]),
        Self::Handshake(HandshakeFailure::ALL[9]),
        Self::Handshake(HandshakeFailure::ALL[10]),
        Self::Handshake(HandshakeFailure::ALL[11]),
        Self::Evicted,
        Self::MinRate,
        Self::BadMessage,
        Self::Overflow,
        Self::Lifetime,
        Self::Kicked,
        Self::Drained,
        Self::Aborted,
        Self::Refused,
        Self::Failed,
        Self::Panicked,
        Self::Killed(0),
        Self::Exited(0),
    ];

    /// The name in events, `kebab-case`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Disconnected => "disconnected",
            Self::Idle => "idle",
            Self::WriteTimeout => "write-timeout",
            Self::FirstByte => "first-byte",
            Self::Handshake(failure) => failure.as_reason(),
            Self::Evicted => "evicted",
            Self::MinRate => "min-rate",
            Self::BadMessage => "bad-message",
            Self::Overflow => "overflow",
            Self::Lifetime => "lifetime",
            Self::Kicked => "kicked",
            Self::Drained => "drained",
            Self::Aborted => "aborted",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Killed(_) => "killed",
            Self::Exited(_) => "exited",
        }
    }

    /// Whether the server's own code is to blame: a hook of the handler failed or panicked, or its process was lost.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Panicked | Self::Killed(_) | Self::Exited(_))
    }

    /// The number of the signal, or the status, for the two that have one.
    #[must_use]
    pub fn number(self) -> Option<i32> {
        match self {
            Self::Killed(number) | Self::Exited(number) => Some(number),
            _ => None,
        }
    }

    /// For the memory that parent and child share. 0 stands for "not ended yet".
    pub(crate) fn to_word(self) -> u64 {
        match self {
            Self::Finished => 1,
            Self::Disconnected => 2,
            Self::Idle => 3,
            Self::WriteTimeout => 4,
            Self::Drained => 5,
            Self::Aborted => 6,
            Self::Refused => 7,
            Self::Failed => 8,
            Self::Panicked => 9,
            Self::FirstByte => 10,
            Self::MinRate => 11,
            Self::Lifetime => 12,
            Self::Kicked => 13,
            Self::BadMessage => 14,
            Self::Overflow => 15,
            Self::Handshake(failure) => HANDSHAKE + failure as u64,
            // What only the parent finds out never travels, and sessions are no children's.
            Self::Evicted | Self::Killed(_) | Self::Exited(_) => 0,
        }
    }

    pub(crate) fn from_word(word: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| word != 0 && reason.to_word() == word)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
            Self::Exited(status) => write!(f, "exited with status {status}"),
            other => f.write_str(other.as_str()),
        }
    }
}
