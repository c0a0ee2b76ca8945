#[cfg(feature = "tokio")]
use super::AsyncDatagramHandler;
use super::DatagramHandler;
use super::sync_stream;
#[cfg(feature = "tokio")]
use super::task_stream;
use crate::datagram::session::Budget;
#[cfg(feature = "tokio")]
use crate::engine::Async;
use crate::engine::{Blocking, Engine};
use crate::model::Model;
use crate::{Datagram, Failure, Peer, Result};
use std::fmt;
use std::future::ready;
use std::marker::PhantomData;
use std::sync::Arc;

/// `H: RunsOn<M, _>`: this handler can run on that model. Not to be implemented (a [`Service`] cannot be made elsewhere):
/// implement one of the handler traits instead.
///
/// | handler | runs on |
/// |---|---|
/// | [`DatagramHandler`](crate::DatagramHandler), closures among them | every model |
/// | [`MessageHandler`](crate::MessageHandler), closures among them, and what [`framed`](crate::MessageHandler::framed) makes of one | every model; where packets come, [`Threads`](crate::Threads) and `Tasks` |
/// | [`blocking::Handler`](crate::blocking::Handler), closures among them | [`Serial`](crate::Serial), [`Threads`](crate::Threads), [`Forks`](crate::Forks), your own models of the blocking engine |
/// | [`sessions`](crate::sessions) of a [`blocking::SessionHandler`](crate::blocking::SessionHandler) | [`Threads`](crate::Threads) |
#[cfg_attr(
    feature = "tokio",
    doc = "| [`Handler`](crate::Handler), async closures among them, or one in an `Arc`; [`AsyncDatagramHandler`](crate::AsyncDatagramHandler); [`AsyncMessageHandler`](crate::AsyncMessageHandler); `sessions` of a [`SessionHandler`](crate::SessionHandler) | [`Tasks`](crate::Tasks), [`Server::run`](crate::Server::run) |"
)]
///
/// A stream handler and, behind it, a handler of packets or sessions make a pair, which serves both. Any other pair is an error of
/// the compiler's: one of the two would never be asked.
///
/// ```compile_fail,E0080
/// use socketserver::{Server, Threads, blocking};
/// let one = |c: &mut blocking::Stream| Ok(c.write_all(b"one")?);
/// let other = |c: &mut blocking::Stream| Ok(c.write_all(b"other")?);
/// Server::bind("tcp://:0")?.serve(Threads::default(), (one, other))?;
/// # Ok::<_, socketserver::Error>(())
/// ```
///
/// `M` is the [`Model`]. The second parameter is a marker that the compiler infers; nobody writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler that `{M}` can run",
    label = "this handler does not run on `{M}`",
    note = "`Serial`, `Threads` and `Forks` run blocking stream handlers: `|c: &mut blocking::Stream| -> Result`, or a type that implements `blocking::Handler`",
    note = "`Tasks` runs async stream handlers: `async |c: &mut Stream| -> Result`, or a type that implements `Handler`",
    note = "`Tasks` runs `sessions(async |s: &mut Session| …)`, and `Threads` runs `sessions(|s: &mut blocking::Session| …)`",
    note = "`Tasks` runs async datagram handlers: `async |d: &mut Datagram| -> Result`, or a type that implements `AsyncDatagramHandler`",
    note = "`Tasks` runs async message handlers: `async |m: &[u8], c: &mut Channel| -> Result`, or a type that implements `AsyncMessageHandler`",
    note = "all of them run datagram handlers, `|d: &mut Datagram| -> Result`, message handlers, `|m: &[u8], c: &mut Channel| -> Result`, what `.framed(…)` makes of one, and pairs of a stream and a datagram handler",
    note = "a closure must write out its argument's type and return `socketserver::Result`: end it with `Ok(())`"
)]
pub trait RunsOn<M: Model, K> {
    /// The one shape that engines run.
    type Service: Service<M::Engine> + Send + Sync;
    #[doc(hidden)]
    fn into_service(self) -> Self::Service;
}

/// The one shape that the engines run: a handler of any kind and colour. Sealed; it is named in the bounds of a
/// [`Model`] of your own and nowhere else: see there.
pub trait Service<E: Engine>: SealedService + 'static {
    /// It takes connections.
    #[doc(hidden)]
    const STREAMS: bool = true;
    /// It can tell what messages are in a stream of bytes, or does not care.
    #[doc(hidden)]
    const FRAMED: bool = true;
    /// It takes messages, whatever carries them.
    #[doc(hidden)]
    const MESSAGES: bool = false;
    /// Whether its options for WebSocket can be meant.
    #[doc(hidden)]
    fn check_web_socket(&self) -> Result<(), crate::Error> {
        Ok(())
    }
    /// It takes packets.
    #[doc(hidden)]
    const DATAGRAMS: bool = false;
    #[doc(hidden)]
    fn datagram(&self, packet: &mut Datagram) -> Result {
        let _ = packet;
        Ok(())
    }
    /// The handler of a packet may wait.
    #[doc(hidden)]
    const WAITS: bool = false;
    #[doc(hidden)]
    fn wait_for_datagram(&self, packet: &mut Datagram) -> impl Future<Output = Result> {
        let _ = packet;
        ready(Ok(()))
    }
    #[doc(hidden)]
    fn verify_datagram(&self, peer: &Peer) -> bool {
        let _ = peer;
        false
    }
    #[doc(hidden)]
    fn on_datagram_error(&self, error: &Failure, peer: &Peer) {
        let _ = (error, peer);
    }
    /// Its peers are to reach each other through a hub.
    #[doc(hidden)]
    fn has_hub(&self) -> bool {
        false
    }
    /// It takes packets in sessions.
    #[doc(hidden)]
    const SESSIONS: bool = false;
    /// It takes sessions, and this is what they have in common.
    #[doc(hidden)]
    fn budget(&self) -> Option<&Arc<Budget>> {
        None
    }
    #[doc(hidden)]
    fn session(&self, session: &mut E::Session) -> impl Future<Output = Result> {
        let _ = session;
        ready(Ok(()))
    }
    // What takes no connections is never given one: `serve` has seen to that.
    #[doc(hidden)]
    fn verify(&self, peer: &Peer) -> bool {
        let _ = peer;
        false
    }
    #[doc(hidden)]
    fn on_error(&self, error: &Failure, peer: &Peer) {
        let _ = (error, peer);
    }
    #[doc(hidden)]
    fn setup(&self, connection: &mut E::Stream) -> impl Future<Output = Result> {
        let _ = connection;
        ready(Ok(()))
    }
    #[doc(hidden)]
    fn handle(&self, connection: &mut E::Stream) -> impl Future<Output = Result> {
        let _ = connection;
        ready(Ok(()))
    }
    #[doc(hidden)]
    fn finish(&self, connection: &mut E::Stream) -> impl Future<Output = Result> {
        let _ = connection;
        ready(Ok(()))
    }
}

/// Markers that tell the kinds of handler apart: only the compiler says their names.
#[doc(hidden)]
pub mod kind {
    #[derive(Debug)]
    pub enum BlockingStream {}
    #[derive(Debug)]
    pub enum AsyncStream {}
    #[derive(Debug)]
    pub enum Packets {}
    #[derive(Debug)]
    pub enum AsyncPackets {}
    #[derive(Debug)]
    pub enum BlockingSessions {}
    #[derive(Debug)]
    pub enum AsyncSessions {}
    #[derive(Debug)]
    pub enum Messages {}
    #[derive(Debug)]
    pub enum FramedMessages {}
    #[derive(Debug)]
    pub enum AsyncMessages {}
    #[derive(Debug)]
    pub enum FramedAsyncMessages {}
    #[derive(Debug)]
    pub enum UnframedMessages {}
    #[derive(Debug)]
    pub enum UnframedAsyncMessages {}
    /// A handler of connections and one of packets, in a pair.
    #[derive(Debug)]
    pub struct And<K, L>(std::marker::PhantomData<(K, L)>);
    /// In an `Arc`: `AsyncFn` closures are not kept apart from it by the trait's own rules.
    #[derive(Debug)]
    pub enum SharedAsyncStream {}
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
impl<M: Model<Engine = Blocking>, H: sync_stream::Handler + Send + Sync + 'static> RunsOn<M, kind::BlockingStream>
    for H
{
    type Service = Lift<H, kind::BlockingStream>;

    fn into_service(self) -> Self::Service {
        Lift(self, PhantomData)
    }
}

/// Blocking handlers are futures that are ready at once.
impl<H: sync_stream::Handler + 'static> Service<Blocking> for Lift<H, kind::BlockingStream> {
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

#[diagnostic::do_not_recommend]
impl<M: Model, H: DatagramHandler + Send + Sync + 'static> RunsOn<M, kind::Packets> for H {
    type Service = Lift<H, kind::Packets>;

    fn into_service(self) -> Self::Service {
        Lift(self, PhantomData)
    }
}

impl<E: Engine, H: DatagramHandler + 'static> Service<E> for Lift<H, kind::Packets> {
    const STREAMS: bool = false;
    const DATAGRAMS: bool = true;

    fn datagram(&self, packet: &mut Datagram) -> Result {
        self.0.handle(packet)
    }
    fn verify_datagram(&self, peer: &Peer) -> bool {
        self.0.verify(peer)
    }
    fn on_datagram_error(&self, error: &Failure, peer: &Peer) {
        self.0.on_error(error, peer);
    }
}

#[cfg(feature = "tokio")]
#[diagnostic::do_not_recommend]
impl<H: AsyncDatagramHandler + Send + Sync + 'static> RunsOn<crate::Tasks, kind::AsyncPackets> for H {
    type Service = Lift<Self, kind::AsyncPackets>;

    fn into_service(self) -> Self::Service {
        Lift(self, PhantomData)
    }
}

#[cfg(feature = "tokio")]
impl<H: AsyncDatagramHandler + 'static> Service<Async> for Lift<H, kind::AsyncPackets> {
    const STREAMS: bool = false;
    const DATAGRAMS: bool = true;
    const WAITS: bool = true;

    fn wait_for_datagram(&self, packet: &mut Datagram) -> impl Future<Output = Result> {
        self.0.handle(packet)
    }
    fn verify_datagram(&self, peer: &Peer) -> bool {
        self.0.verify(peer)
    }
    fn on_datagram_error(&self, error: &Failure, peer: &Peer) {
        self.0.on_error(error, peer);
    }
}

/// A stream handler, and a handler of packets beside it.
#[doc(hidden)]
pub struct Both<S, P>(S, P);

impl<S, P> fmt::Debug for Both<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Both")
    }
}

#[diagnostic::do_not_recommend]
impl<M, A, B, K, L> RunsOn<M, kind::And<K, L>> for (A, B)
where
    M: Model,
    A: RunsOn<M, K>,
    B: RunsOn<M, L>,
{
    type Service = Both<A::Service, B::Service>;

    fn into_service(self) -> Self::Service {
        // Otherwise one of the two would never be asked.
        const {
            let first = (<A::Service as Service<M::Engine>>::STREAMS, <A::Service as Service<M::Engine>>::DATAGRAMS);
            let second = (<B::Service as Service<M::Engine>>::STREAMS, <B::Service as Service<M::Engine>>::DATAGRAMS);
            assert!(
                matches!((first, second), ((true, false), (false, true))),
                "a pair is a stream handler, and then a handler of packets or sessions"
            );
        }
        Both(self.0.into_service(), self.1.into_service())
    }
}

/// The first takes bytes: a handler of messages takes packets too, so it is in no pair.
impl<E: Engine, S: Service<E>, P: Service<E>> Service<E> for Both<S, P> {
    const STREAMS: bool = S::STREAMS;
    const DATAGRAMS: bool = P::DATAGRAMS;
    const WAITS: bool = P::WAITS;
    const SESSIONS: bool = P::SESSIONS;

    fn datagram(&self, packet: &mut Datagram) -> Result {
        self.1.datagram(packet)
    }
    fn wait_for_datagram(&self, packet: &mut Datagram) -> impl Future<Output = Result> {
        self.1.wait_for_datagram(packet)
    }
    fn budget(&self) -> Option<&Arc<Budget>> {
        self.1.budget()
    }
    fn session(&self, session: &mut E::Session) -> impl Future<Output = Result> {
        self.1.session(session)
    }
    fn verify_datagram(&self, peer: &Peer) -> bool {
        self.1.verify_datagram(peer)
    }
    fn on_datagram_error(&self, error: &Failure, peer: &Peer) {
        self.1.on_datagram_error(error, peer);
    }
    fn verify(&self, peer: &Peer) -> bool {
        self.0.verify(peer)
    }
    fn on_error(&self, error: &Failure, peer: &Peer) {
        self.0.on_error(error, peer);
    }
    fn setup(&self, connection: &mut E::Stream) -> impl Future<Output = Result> {
        self.0.setup(connection)
    }
    fn handle(&self, connection: &mut E::Stream) -> impl Future<Output = Result> {
        self.0.handle(connection)
    }
    fn finish(&self, connection: &mut E::Stream) -> impl Future<Output = Result> {
        self.0.finish(connection)
    }
}

#[cfg(feature = "tokio")]
#[diagnostic::do_not_recommend]
impl<M: Model<Engine = Async>, H: task_stream::Handler + Send + Sync + 'static> RunsOn<M, kind::AsyncStream> for H {
    type Service = Lift<H, kind::AsyncStream>;

    fn into_service(self) -> Self::Service {
        Lift(self, PhantomData)
    }
}

#[cfg(feature = "tokio")]
#[diagnostic::do_not_recommend]
impl<M, H> RunsOn<M, kind::SharedAsyncStream> for Arc<H>
where
    M: Model<Engine = Async>,
    H: task_stream::Handler + Send + Sync + 'static,
{
    type Service = Lift<Self, kind::SharedAsyncStream>;

    fn into_service(self) -> Self::Service {
        Lift(self, PhantomData)
    }
}

#[cfg(feature = "tokio")]
macro_rules! async_stream_service {
    ($handler:ty, $kind:ty) => {
        impl<H: task_stream::Handler + 'static> Service<Async> for Lift<$handler, $kind> {
            fn verify(&self, peer: &Peer) -> bool {
                self.0.verify(peer)
            }
            fn on_error(&self, error: &Failure, peer: &Peer) {
                self.0.on_error(error, peer);
            }
            fn setup(&self, connection: &mut crate::Stream) -> impl Future<Output = Result> {
                self.0.setup(connection)
            }
            fn handle(&self, connection: &mut crate::Stream) -> impl Future<Output = Result> {
                self.0.handle(connection)
            }
            fn finish(&self, connection: &mut crate::Stream) -> impl Future<Output = Result> {
                self.0.finish(connection)
            }
        }
    };
}

#[cfg(feature = "tokio")]
async_stream_service!(H, kind::AsyncStream);
#[cfg(feature = "tokio")]
async_stream_service!(Arc<H>, kind::SharedAsyncStream);

pub(super) use sealed::SealedService;

mod sealed {
    #[expect(unnameable_types, reason = "what cannot be named cannot be implemented")]
    pub trait SealedService {}
    impl<H, K> SealedService for super::Lift<H, K> {}
    impl<S, P> SealedService for super::Both<S, P> {}
}
