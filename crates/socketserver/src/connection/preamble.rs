//! What comes before the handler: the header of a proxy, the handshake of TLS. Under one deadline, which began at accept.

use super::pipeline::Ending;
#[cfg(feature = "tls")]
use super::pipeline::{guard, judge};
use super::{Core, PollIo, Reason};
#[cfg(feature = "tls")]
use crate::Failure;
use crate::engine::Engine;
use crate::events::Refusal;
use crate::handler::Service;
use crate::lifecycle::Run;
use crate::tls::HandshakeFailure;
use std::io;

/// Whether a connection has one.
pub(super) fn is_due<T: PollIo>(core: &Core<T>) -> bool {
    #[cfg(feature = "tls")]
    if core.acceptor().is_some() {
        return true;
    }
    core.connection.slot.awaits_header()
}

/// Goes through it. A connection that does not come through it is closed, and its handler never hears of it.
pub(super) async fn pass<E: Engine, S: Service<E>>(
    core: &mut Core<E::Io>,
    service: &S,
    run: &Run,
) -> Result<(), Ending> {
    let record = core.connection.clone();
    record.slot.begin_agreeing();
    if record.slot.awaits_header() {
        let until = core.agreed_until();
        let header = core.proxy_header(until).await.map_err(|failure| unintroduced(core, &failure))?;
        let judged = run.let_in(&record, header, &|peer| service.verify(peer));
        judged.map_err(|why| Ending::refused(why, None))?;
    }
    #[cfg(feature = "tls")]
    if let Some(acceptor) = core.acceptor() {
        let agreed = guard!(core.accept_tls(acceptor), Some(&record.slot));
        if let Err(failure) = agreed {
            let ending = unagreed(core, failure);
            // It is told by an alert what was wrong.
            core.close().await;
            return Err(ending);
        }
    }
    record.slot.end_agreeing();
    // What came along with it is the handler's.
    record.slot.add_read(core.buffered().len());
    Ok(())
}

/// The proxy has not said whom it speaks for. Nothing is said to it.
fn unintroduced<T: PollIo>(core: &Core<T>, failure: &io::Error) -> Ending {
    match core.fate.reason() {
        // The server ends.
        Some(reason @ (Reason::Drained | Reason::Aborted)) => Ending::of(reason),
        Some(Reason::Handshake(HandshakeFailure::Timeout)) => {
            Ending::refused(Refusal::BadHeader, Some(LATE.to_owned()))
        }
        _ => Ending::refused(Refusal::BadHeader, Some(failure.to_string())),
    }
}

/// What is told of a proxy that took too long.
pub(crate) const LATE: &str = "the handshake deadline passed: the PROXY header is not there";

/// How a connection ends on which hands were not shaken.
#[cfg(feature = "tls")]
fn unagreed<T: PollIo>(core: &mut Core<T>, failure: Option<Failure>) -> Ending {
    let failure = failure.unwrap_or_else(|| core.cut_off().into());
    match judge(core, &failure) {
        reason @ (Reason::Handshake(_) | Reason::Failed | Reason::Panicked) => {
            Ending::with(reason, Some(failure.to_string()))
        }
        reason => Ending::of(reason),
    }
}
