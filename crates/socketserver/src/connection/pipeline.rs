//! setup · handle · finish, then the close: written once.
//!
//! Before it stand the permit and `verify` (`admission`), and between them PROXY and TLS will.

use super::{Core, PollIo, Reason};
use crate::engine::{Conn, Engine};
use crate::handler::Service;
use crate::{Failure, Result};
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// How a connection ended: what the events tell of it.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) reason: Reason,
    /// What the handler failed with.
    pub(crate) failure: Option<String>,
    /// A hook that failed on its own account.
    pub(crate) broken_hook: Option<(&'static str, String)>,
}

impl Ending {
    pub(crate) fn of(reason: Reason) -> Self {
        Self { reason, failure: None, broken_hook: None }
    }
}

/// Runs the handler on a connection and closes it.
pub(crate) async fn connection<E: Engine, S: Service<E>>(core: Core<E::Io>, service: &S) -> Ending {
    let mut conn = E::Stream::new(core);
    let mut outcome = guard(service.setup(&mut conn)).await;
    if outcome.is_ok() {
        outcome = guard(service.handle(&mut conn)).await;
    }
    let finished = guard(service.finish(&mut conn)).await;

    let core = conn.core();
    let mut ending = None;
    for failure in [outcome, finished].into_iter().filter_map(Result::err) {
        let reason = judge(core, &failure);
        let mut failed = Ending::of(reason);
        // A peer that left and a deadline that passed are no errors of the handler.
        if matches!(reason, Reason::Failed | Reason::Panicked) {
            let text = catch(|| failure.to_string());
            failed.failure = Some(text.unwrap_or_else(|panic| panic.to_string()));
            if let Err(panic) = catch(|| service.on_error(&failure, &core.connection.peer)) {
                failed.broken_hook = Some(("on_error", panic.to_string()));
            }
        }
        // Its drop is the user's code too.
        let _ = catch(|| drop(failure));
        ending.get_or_insert(failed);
    }
    core.close().await;
    ending.unwrap_or_else(|| Ending::of(core.reason.unwrap_or(Reason::Finished)))
}

/// Why a connection ended whose handler gave this failure.
fn judge<T: PollIo>(core: &Core<T>, failure: &Failure) -> Reason {
    if failure.is::<Panic>() {
        return Reason::Panicked;
    }
    // Another error than the connection's own is the handler's.
    core.reason_of(&**failure).unwrap_or(Reason::Failed)
}

/// A handler's panic, as an error.
///
/// `on_error` is given it like any other failure: `failure.is::<Panic>()` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    message: String,
}

impl Panic {
    pub(crate) fn new(payload: &(dyn Any + Send)) -> Self {
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "a panic without a message".to_owned(),
        };
        Self { message }
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)
    }
}

impl Error for Panic {}

/// Calls a hook. A panic ends the call alone.
pub(crate) fn catch<R>(hook: impl FnOnce() -> R) -> Result<R, Panic> {
    // What the hook leaves behind is dropped with the connection, or the user's own to keep sound.
    catch_unwind(AssertUnwindSafe(hook)).map_err(|payload| Panic::new(&*payload))
}

/// A panic ends one step, on both engines.
async fn guard(step: impl Future<Output = Result>) -> Result {
    let mut step = pin!(step);
    poll_fn(|cx| match catch(|| step.as_mut().poll(cx)) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(Err(panic.into())),
    })
    .await
}
