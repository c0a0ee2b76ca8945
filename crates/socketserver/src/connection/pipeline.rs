//! setup · handle · finish, then the close: written once.
//!
//! Before it stand the permit and `verify` (`admission`), and between them the header of a proxy and TLS (`preamble`).

use super::{Connection, Core, PollIo, Reason, preamble};
use crate::engine::{Conn, Engine};
use crate::events::Refusal;
use crate::handler::Service;
use crate::lifecycle::Run;
use crate::{Failure, Result};
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a connection ended: what the events tell of it.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) reason: Reason,
    /// Most have nothing more to tell, and each connection has room for this.
    details: Option<Box<Details>>,
}

#[derive(Debug, Default)]
struct Details {
    failure: Option<String>,
    broken_hook: Option<(&'static str, String)>,
    refusal: Option<Refusal>,
}

impl Ending {
    pub(crate) fn of(reason: Reason) -> Self {
        Self { reason, details: None }
    }

    pub(crate) fn with(reason: Reason, failure: Option<String>) -> Self {
        let details = |failure| Box::new(Details { failure: Some(failure), ..Details::default() });
        Self { reason, details: failure.map(details) }
    }

    /// It was not let in, once it was known who it is from.
    pub(crate) fn refused(why: Refusal, failure: Option<String>) -> Self {
        let details = Details { failure, refusal: Some(why), ..Details::default() };
        Self { reason: Reason::Refused, details: Some(Box::new(details)) }
    }

    /// Why it was not let in.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.details.as_ref()?.refusal
    }

    /// A hook failed on its own account.
    pub(crate) fn break_hook(&mut self, hook: &'static str, failure: String) {
        self.details.get_or_insert_default().broken_hook = Some((hook, failure));
    }

    /// What the handler failed with, or what came before it.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.details.as_ref()?.failure.as_deref()
    }

    /// A hook that failed on its own account.
    pub(crate) fn broken_hook(&self) -> Option<(&'static str, &str)> {
        self.details.as_ref()?.broken_hook.as_ref().map(|(hook, failure)| (*hook, &**failure))
    }
}

/// What a step of the handler's came to.
type Outcome = Result<(), Option<Failure>>;

/// Polls a step of the handler's to its end, or until the connection is cut while the handler waits, for whatever it is:
/// then it has failed with nothing. (The blocking engine's never waits here.) A panic ends the step alone.
///
/// A macro, for a future that is handed to another one lies in it twice; and each connection holds one of these.
macro_rules! guard {
    ($step:expr, $until_cut:expr) => {{
        use std::task::Poll;
        let mut step = std::pin::pin!($step);
        let until_cut: Option<&$crate::connection::Slot> = $until_cut;
        std::future::poll_fn(move |cx| match $crate::connection::pipeline::catch(|| step.as_mut().poll(cx)) {
            Ok(Poll::Pending) if until_cut.is_some_and($crate::connection::Slot::is_cut) => Poll::Ready(Err(None)),
            Ok(poll) => poll.map_err(Some),
            Err(panic) => Poll::Ready(Err(Some(panic.into()))),
        })
        .await
    }};
}

/// Where a connection is served, as its pipeline sees it: one reference, for each connection has room for it.
pub(crate) trait Site<S> {
    fn service(&self) -> &S;
    fn run(&self) -> &Run;
    fn connection(&self) -> &Connection;
}

/// Runs the handler on a connection and closes it.
#[expect(clippy::manual_async_fn, reason = "an async fn has its arguments in it twice")]
pub(crate) fn connection<E: Engine, S: Service<E>>(
    conn: &mut E::Stream,
    site: &impl Site<S>,
) -> impl Future<Output = Ending> {
    async move {
        if preamble::is_due(conn.core()) {
            // In a box: connections that have none do not make room for it.
            let passed = Box::pin(preamble::pass::<E, S>(conn.core(), site.service(), site.run()));
            if let Err(ending) = passed.await {
                return ending;
            }
        }
        let mut outcome: Outcome = guard!(site.service().setup(conn), Some(&site.connection().slot));
        if outcome.is_ok() {
            outcome = guard!(site.service().handle(conn), Some(&site.connection().slot));
        }
        let finished = guard!(site.service().finish(conn), None);

        let core = conn.core();
        let ending = judge_all::<E, S>(core, [outcome, finished], site.service());
        core.close().await;
        ending.unwrap_or_else(|| Ending::of(core.fate.reason().unwrap_or(Reason::Finished)))
    }
}

pub(crate) use guard;

/// What the outcomes of the steps come to. Those who want to know are told.
fn judge_all<E: Engine, S: Service<E>>(core: &mut Core<E::Io>, outcomes: [Outcome; 2], service: &S) -> Option<Ending> {
    let mut ending: Option<Ending> = None;
    for failure in outcomes.into_iter().filter_map(Result::err) {
        let failure = failure.unwrap_or_else(|| core.cut_off().into());
        let reason = judge(core, &failure);
        let mut failed = Ending::of(reason);
        let mut broken_hook = None;
        // A peer that left and a deadline that passed are no errors of the handler.
        if matches!(reason, Reason::Failed | Reason::Panicked | Reason::BadMessage) {
            let text = catch(|| failure.to_string());
            failed = Ending::with(reason, Some(text.unwrap_or_else(|panic| panic.to_string())));
            if let Err(panic) = catch(|| service.on_error(&failure, core.connection.peer())) {
                broken_hook = Some(("on_error", panic.to_string()));
            }
        }
        // Its drop is the user's code too.
        let _ = catch(|| drop(failure));
        let ending = ending.get_or_insert(failed);
        if broken_hook.is_some() {
            ending.details.get_or_insert_default().broken_hook = broken_hook;
        }
    }
    ending
}

/// Why a connection ended whose handler gave this failure.
pub(super) fn judge<T: PollIo>(core: &Core<T>, failure: &Failure) -> Reason {
    if failure.is::<Panic>() {
        return Reason::Panicked;
    }
    // Another error than the connection's own is the handler's.
    core.fate.reason_of(&**failure).unwrap_or(Reason::Failed)
}

/// A handler's panic, as an error.
///
/// `on_error` is given it like any other failure: `failure.is::<Panic>()` tells.
///
/// ```
/// use socketserver::{Failure, Panic, Peer, Result, blocking};
/// # use socketserver::{Serial, Server, client};
/// # use std::sync::{Arc, atomic::{AtomicU64, Ordering::Relaxed}};
///
/// #[derive(Default)]
/// struct Careless { panics: AtomicU64 }
/// impl blocking::Handler for Careless {
///     fn handle(&self, _: &mut blocking::Stream) -> Result {
///         panic!("nobody thought of this")
///     }
///     fn on_error(&self, error: &Failure, _: &Peer) {
///         self.panics.fetch_add(error.is::<Panic>().into(), Relaxed);
///     }
/// }
/// # let careless = Arc::new(Careless::default());
/// # let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Serial::default(), careless.clone())?;
/// # client::connect(&server.handle().endpoints()[0])?.read_to_end(1)?;
/// # server.stop()?;
/// # assert_eq!(careless.panics.load(Relaxed), 1);
/// # Ok::<_, Failure>(())
/// ```
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
#[inline]
pub(crate) fn catch<R>(hook: impl FnOnce() -> R) -> Result<R, Panic> {
    // What the hook leaves behind is dropped with the connection, or the user's own to keep sound.
    catch_unwind(AssertUnwindSafe(hook)).map_err(|payload| Panic::new(&*payload))
}
