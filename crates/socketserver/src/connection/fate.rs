use super::Reason;
use super::slot::Deadline;
use crate::tls::HandshakeFailure;
use std::error::Error;
use std::io;

/// Why a connection will have ended, as the calls saw it that failed; and with what they failed, to tell the
/// connection's own errors from the handler's.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    reason: Option<Reason>,
    /// With what sorts of error calls failed since the reason was recorded.
    failed_with: [Option<io::ErrorKind>; 3],
    /// The peer takes nothing any more, or the server has cut the connection.
    peer_gone: bool,
}

impl Fate {
    pub(crate) fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Whether there is nobody to say anything to.
    pub(crate) fn is_peer_gone(&self) -> bool {
        self.peer_gone
    }

    /// The reason, if that is what the handler failed with: an error like the one that a call gave it when it recorded
    /// the reason.
    pub(crate) fn reason_of(&self, failure: &(dyn Error + 'static)) -> Option<Reason> {
        let mut cause = Some(failure);
        while let Some(error) = cause {
            if error.downcast_ref::<io::Error>().is_some_and(|error| self.failed_with.contains(&Some(error.kind()))) {
                return self.reason;
            }
            cause = error.source();
        }
        None
    }

    /// A deadline passed and the handler went on all the same: it is no longer why the connection ends.
    #[inline]
    pub(crate) fn recover(&mut self, from: Reason) {
        if self.reason == Some(from) {
            self.reason = None;
            self.failed_with = [None; 3];
        }
    }

    /// The server drains, and the handler was given the end of input.
    pub(crate) fn drained(&mut self) {
        self.reason = Some(Reason::Drained);
    }

    pub(crate) fn too_late(&mut self, deadline: Deadline) -> io::Error {
        let (reason, text) = match deadline {
            Deadline::Idle => (Reason::Idle, "the idle deadline passed: the peer sent nothing"),
            Deadline::FirstByte => (Reason::FirstByte, "the first-byte deadline passed: the peer has sent nothing yet"),
            Deadline::MinRate => (Reason::MinRate, "the peer sends more slowly than the minimum rate"),
        };
        self.reason = Some(reason);
        self.failed_with(io::ErrorKind::TimedOut);
        io::Error::new(io::ErrorKind::TimedOut, text)
    }

    /// The peer is silent, though it was asked whether it is there.
    #[cfg(feature = "websocket")]
    pub(crate) fn unanswered(&mut self) -> io::Error {
        self.reason = Some(Reason::Idle);
        self.failed_with(io::ErrorKind::TimedOut);
        io::Error::new(io::ErrorKind::TimedOut, "the peer has answered no ping")
    }

    /// It was not agreed in time how to speak.
    #[cfg(feature = "websocket")]
    pub(crate) fn handshake_too_late(&mut self) -> io::Error {
        self.reason = Some(Reason::Handshake(HandshakeFailure::Timeout));
        self.failed_with(io::ErrorKind::TimedOut);
        io::Error::new(io::ErrorKind::TimedOut, "the handshake deadline passed: the peer's request is not there")
    }

    /// It was not agreed how to speak, for this reason.
    pub(crate) fn handshake_failed(&mut self, why: HandshakeFailure, error: io::Error) -> io::Error {
        self.reason = Some(Reason::Handshake(why));
        // Others hear from us what was wrong.
        self.peer_gone |= matches!(why, HandshakeFailure::Timeout | HandshakeFailure::Disconnected);
        self.failed_with(error.kind());
        match why {
            HandshakeFailure::Timeout => io::Error::new(
                io::ErrorKind::TimedOut,
                "the handshake deadline passed: the peer is not through with it",
            ),
            HandshakeFailure::Disconnected => {
                io::Error::new(error.kind(), format!("the peer left in the handshake: {error}"))
            }
            _ => error,
        }
    }

    /// The server drains, and nothing was asked of it yet.
    pub(crate) fn not_begun(&mut self) -> io::Error {
        self.drained();
        self.failed_with(io::ErrorKind::ConnectionAborted);
        io::Error::new(io::ErrorKind::ConnectionAborted, "the server stops")
    }

    pub(crate) fn write_too_late(&mut self) -> io::Error {
        self.reason = Some(Reason::WriteTimeout);
        self.peer_gone = true;
        self.failed_with(io::ErrorKind::TimedOut);
        io::Error::new(io::ErrorKind::TimedOut, "the write deadline passed: the peer takes nothing")
    }

    /// The server has cut the connection, and that is why.
    pub(crate) fn cut_off(&mut self, reason: Reason) -> io::Error {
        self.reason = Some(reason);
        self.peer_gone = true;
        self.failed_with(io::ErrorKind::ConnectionAborted);
        let why = match reason {
            Reason::Lifetime => "its lifetime is over",
            Reason::Kicked => "it was told to",
            Reason::Overflow => "its peer did not take what was pushed to it",
            _ => "the drain's deadline passed",
        };
        io::Error::new(io::ErrorKind::ConnectionAborted, format!("the server cut this connection: {why}"))
    }

    /// What the peer sent is no message.
    pub(crate) fn bad_message(&mut self, error: impl Into<crate::Failure>) -> io::Error {
        self.reason = Some(Reason::BadMessage);
        self.failed_with(io::ErrorKind::InvalidData);
        io::Error::new(io::ErrorKind::InvalidData, error)
    }

    /// The transport failed with this.
    pub(crate) fn disconnected(&mut self, error: io::Error) -> io::Error {
        self.reason = Some(Reason::Disconnected);
        self.peer_gone = true;
        self.failed_with(error.kind());
        error
    }

    /// The input ended in the middle of something.
    pub(crate) fn cut_short(&mut self, text: String) -> io::Error {
        // A drain that met the middle of a message stays the reason.
        self.reason.get_or_insert(Reason::Disconnected);
        self.failed_with(io::ErrorKind::UnexpectedEof);
        io::Error::new(io::ErrorKind::UnexpectedEof, text)
    }

    fn failed_with(&mut self, kind: io::ErrorKind) {
        if !self.failed_with.contains(&Some(kind)) {
            // The oldest is forgotten; there are hardly more than two.
            self.failed_with.rotate_right(1);
            self.failed_with[0] = Some(kind);
        }
    }
}
