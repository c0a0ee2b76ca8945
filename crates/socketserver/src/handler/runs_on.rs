use super::stream;
use crate::engine::{Blocking, Engine};
use crate::model::Model;
use crate::{Failure, Peer, Result};
use std::fmt;
use std::marker::PhantomData;

/// `H: RunsOn<M, _>`: this handler can run on that model. Not to be implemented (a [`Service`] cannot be made elsewhere):
/// implement one of the handler traits instead.
///
/// | handler | runs on |
/// |---|---|
/// | [`blocking::Handler`](crate::blocking::Handler), closures among them | [`Serial`](crate::Serial), [`Threads`](crate::Threads), [`Forks`](crate::Forks), your own models of the blocking engine |
///
/// The second parameter is a marker that the compiler infers; nobody writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler that `{M}` can run",
    label = "this handler does not run on `{M}`",
    note = "`Serial`, `Threads` and `Forks` run blocking stream handlers: `|c: &mut blocking::Stream| -> Result`, or a type that implements `blocking::Handler`",
    note = "a closure must write out its argument's type and return `socketserver::Result`: end it with `Ok(())`",
    note = "async handlers are not there yet"
)]
pub trait RunsOn<M: Model, K> {
    /// The one shape that engines run.
    type Service: Service<M::Engine> + Send + Sync;
    #[doc(hidden)]
    fn into_service(self) -> Self::Service;
}

/// The one shape that the engines run: a handler of any kind and colour. Sealed; it is named in the bounds of a
/// [`Model`] of your own and nowhere else.
pub trait Service<E: Engine>: sealed::SealedService + 'static {
    #[doc(hidden)]
    fn verify(&self, peer: &Peer) -> bool;
    #[doc(hidden)]
    fn on_error(&self, error: &Failure, peer: &Peer);
    #[doc(hidden)]
    fn setup(&self, connection: &mut E::Stream) -> impl Future<Output = Result>;
    #[doc(hidden)]
    fn handle(&self, connection: &mut E::Stream) -> impl Future<Output = Result>;
    #[doc(hidden)]
    fn finish(&self, connection: &mut E::Stream) -> impl Future<Output = Result>;
}

/// Markers that tell the kinds of handler apart: only the compiler says their names.
#[doc(hidden)]
pub mod kind {
    #[derive(Debug)]
    pub enum BlockingStream {}
}

/// A handler together with its kind.
#[doc(hidden)]
pub struct Lift<H, K>(H, PhantomData<fn() -> K>);

impl<H, K> fmt::Debug for Lift<H, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lift")
    }
}

#[diagnostic::do_not_recommend]
impl<M: Model<Engine = Blocking>, H: stream::Handler + Send + Sync + 'static> RunsOn<M, kind::BlockingStream> for H {
    type Service = Lift<H, kind::BlockingStream>;

    fn into_service(self) -> Self::Service {
        Lift(self, PhantomData)
    }
}

/// Blocking handlers are futures that are ready at once.
impl<H: stream::Handler + 'static> Service<Blocking> for Lift<H, kind::BlockingStream> {
    fn verify(&self, peer: &Peer) -> bool {
        self.0.verify(peer)
    }
    fn on_error(&self, error: &Failure, peer: &Peer) {
        self.0.on_error(error, peer);
    }
    async fn setup(&self, connection: &mut crate::blocking::Stream) -> Result {
        self.0.setup(connection)
    }
    async fn handle(&self, connection: &mut crate::blocking::Stream) -> Result {
        self.0.handle(connection)
    }
    async fn finish(&self, connection: &mut crate::blocking::Stream) -> Result {
        self.0.finish(connection)
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "what cannot be named cannot be implemented")]
    pub trait SealedService {}
    impl<H, K> SealedService for super::Lift<H, K> {}
}
