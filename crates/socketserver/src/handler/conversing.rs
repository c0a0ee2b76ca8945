use super::runs_on::{RunsOn, SealedService, Service, kind};
use super::sync_session;
#[cfg(feature = "tokio")]
use super::task_session;
use crate::datagram::session::{Budget, Sessions};
#[cfg(feature = "tokio")]
use crate::engine::Async;
use crate::engine::{Blocking, Engine};
use crate::model::Threads;
use crate::{Failure, Peer, Result};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A session handler together with its kind, and what its sessions have in common.
#[doc(hidden)]
pub struct Conversing<H, K> {
    handler: H,
    budget: Arc<Budget>,
    kind: PhantomData<fn() -> K>,
}

impl<H, K> Conversing<H, K> {
    fn new(sessions: Sessions<H>) -> Self {
        Self { handler: sessions.handler, budget: Arc::new(Budget::new(sessions.options)), kind: PhantomData }
    }
}

impl<H, K> fmt::Debug for Conversing<H, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Conversing")
    }
}

impl<H, K> SealedService for Conversing<H, K> {}

#[diagnostic::do_not_recommend]
impl<H: sync_session::Handler + Send + Sync + 'static> RunsOn<Threads, kind::BlockingSessions> for Sessions<H> {
    type Service = Conversing<H, kind::BlockingSessions>;

    fn into_service(self) -> Self::Service {
        Conversing::new(self)
    }
}

#[cfg(feature = "tokio")]
#[diagnostic::do_not_recommend]
impl<H: task_session::Handler + Send + Sync + 'static> RunsOn<crate::Tasks, kind::AsyncSessions> for Sessions<H> {
    type Service = Conversing<H, kind::AsyncSessions>;

    fn into_service(self) -> Self::Service {
        Conversing::new(self)
    }
}

macro_rules! session_service {
    ($engine:ty, $handler:path, $kind:ty, |$self:ident, $session:ident| $handle:expr) => {
        impl<H: $handler + 'static> Service<$engine> for Conversing<H, $kind> {
            const STREAMS: bool = false;
            const DATAGRAMS: bool = true;
            const SESSIONS: bool = true;

            fn budget(&self) -> Option<&Arc<Budget>> {
                Some(&self.budget)
            }
            fn session(&$self, $session: &mut <$engine as Engine>::Session) -> impl Future<Output = Result> {
                $handle
            }
            fn verify_datagram(&self, peer: &Peer) -> bool {
                self.handler.verify(peer)
            }
            fn on_datagram_error(&self, error: &Failure, peer: &Peer) {
                self.handler.on_error(error, peer);
            }
        }
    };
}

session_service!(Blocking, sync_session::Handler, kind::BlockingSessions, |self, session| async {
    self.handler.handle(session)
});
#[cfg(feature = "tokio")]
session_service!(Async, task_session::Handler, kind::AsyncSessions, |self, session| self.handler.handle(session));
