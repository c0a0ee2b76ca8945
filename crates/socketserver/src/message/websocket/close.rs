//! Why a conversation ends, as the peer is told (RFC 6455, section 7.4.1).

use crate::connection::{Fate, Reason};
use crate::{Failure, Panic};
use tungstenite::Error;
use tungstenite::error::CapacityError;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

/// What a closing frame says: `None` is nothing.
pub(super) type Goodbye = Option<CloseCode>;

/// To the peer's own goodbye the answer is the same code.
pub(super) fn answer_to(frame: Option<&CloseFrame>) -> Goodbye {
    frame.map(|frame| frame.code)
}

/// Why what came is not to be read any further, and what becomes of it for those who watch: it shows nothing of what
/// the peer sent.
pub(super) fn of_fault(error: &Error) -> (CloseCode, String) {
    match error {
        Error::Utf8(_) => (CloseCode::Invalid, "a text message that is not UTF-8".into()),
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            (CloseCode::Size, format!("a message of {size} bytes is longer than the limit of {max_size}"))
        }
        Error::Protocol(error) => (CloseCode::Protocol, format!("no WebSocket: {error}")),
        other => (CloseCode::Protocol, format!("no WebSocket: {other}")),
    }
}

/// After a conversation that the peer has not ended. `None`: nobody is there to be told.
pub(super) fn of_outcome(outcome: &Result<(), Option<Failure>>, fate: &Fate) -> Option<CloseCode> {
    match outcome {
        Ok(()) if fate.reason() == Some(Reason::Drained) => Some(CloseCode::Away),
        Ok(()) => Some(CloseCode::Normal),
        Err(None) => None,
        Err(Some(failure)) if failure.is::<Panic>() => Some(CloseCode::Error),
        Err(Some(failure)) => match fate.reason_of(&**failure) {
            None => Some(CloseCode::Error),
            Some(Reason::Idle | Reason::FirstByte | Reason::MinRate) => Some(CloseCode::Policy),
            Some(_) => None,
        },
    }
}
