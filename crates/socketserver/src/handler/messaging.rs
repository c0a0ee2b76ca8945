#[cfg(feature = "tokio")]
use super::AsyncMessageHandler;
use super::runs_on::{SealedService, kind};
use super::{MessageHandler, RunsOn, Service};
use crate::connection::Slot;
use crate::datagram::session::{Budget, Talk};
#[cfg(feature = "tokio")]
use crate::engine::Async;
use crate::engine::{Conn, Engine};
use crate::framing::Framing;
#[cfg(feature = "websocket")]
use crate::message::websocket;
use crate::message::{
    Carrier, Channel, Form, Framed, Frames, Hear, Link, Packets, Records, Unframed, converse, longest_sent,
};
use crate::model::Model;
#[cfg(feature = "websocket")]
use crate::{Endpoint, Error};
use crate::{Failure, Peer, Result};
use std::fmt;
use std::future::ready;
use std::marker::PhantomData;
use std::sync::Arc;

/// A message handler together with its kind.
#[doc(hidden)]
pub struct Messaging<H, C, K> {
    framed: Framed<H, C>,
    kind: PhantomData<fn() -> K>,
}

impl<H, C, K> Messaging<H, C, K> {
    fn new(framed: Framed<H, C>) -> Self {
        Self { framed, kind: PhantomData }
    }
}

impl<H, C, K> fmt::Debug for Messaging<H, C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Messaging")
    }
}

impl<H, C, K> SealedService for Messaging<H, C, K> {}

/// A handler that never waits, for the loop that all share.
struct Plain<'a, H>(&'a H);

impl<H: MessageHandler> Hear for Plain<'_, H> {
    type State = H::State;

    fn open(&self, channel: &mut Channel) -> impl Future<Output = Result<H::State>> {
        ready(self.0.open(channel))
    }
    #[inline]
    fn message(&self, state: &mut H::State, message: &[u8], channel: &mut Channel) -> impl Future<Output = Result> {
        ready(self.0.message(state, message, channel))
    }
    fn close(&self, state: H::State, channel: &mut Channel) {
        self.0.close(state, channel);
    }
    fn on_error(&self, error: &Failure, peer: &Peer) {
        self.0.on_error(error, peer);
    }
}

/// One that may.
#[cfg(feature = "tokio")]
struct Waiting<'a, H>(&'a H);

#[cfg(feature = "tokio")]
impl<H: AsyncMessageHandler> Hear for Waiting<'_, H> {
    type State = H::State;

    fn open(&self, channel: &mut Channel) -> impl Future<Output = Result<H::State>> {
        self.0.open(channel)
    }
    #[inline]
    fn message(&self, state: &mut H::State, message: &[u8], channel: &mut Channel) -> impl Future<Output = Result> {
        self.0.message(state, message, channel)
    }
    fn close(&self, state: H::State, channel: &mut Channel) {
        self.0.close(state, channel);
    }
    fn on_error(&self, error: &Failure, peer: &Peer) {
        self.0.on_error(error, peer);
    }
}

/// A connection, in messages.
async fn connection<E: Engine, H: Hear, C>(conn: &mut E::Stream, hear: &H, framed: &Framed<impl Sized, C>) -> Result
where
    C: Framing + Send + Sync + 'static,
{
    let core = conn.core();
    #[cfg(feature = "websocket")]
    if let Some(path) = core.terms().clone().handle.endpoint(core.connection.endpoint()).and_then(Endpoint::path) {
        // Those of other carriers do not make room for it.
        let talk = Box::pin(websocket::connection(core, hear, path, &framed.web_socket, framed.terms));
        let outcome = talk.await;
        return outcome.map_err(|failure| failure.unwrap_or_else(|| conn.core().cut_off().into()));
    }
    let record = core.connection.clone();
    let (link, handle) = (Link::Connection(record.clone()), core.terms().handle.clone());
    let outcome = if handle.keeps_messages(&record) {
        let max = framed.terms.max_message;
        let form = Form::Whole(longest_sent(&record, max));
        let mut channel = Channel::new(link, Carrier::Records, handle, form, framed.terms);
        converse(&mut Records::new(core, max), hear, &mut channel, Some(&record.slot)).await
    } else {
        let form = Form::Framed(framed.framing.clone());
        let mut channel = Channel::new(link, Carrier::Stream, handle, form, framed.terms);
        converse(&mut Frames::new(core, &*framed.framing), hear, &mut channel, Some(&record.slot)).await
    };
    outcome.map_err(|failure| failure.unwrap_or_else(|| conn.core().cut_off().into()))
}

/// A session, in messages.
async fn session<S: Talk, H: Hear>(session: &mut S, hear: &H, framed: &Framed<impl Sized, impl Sized>) -> Result {
    let (link, handle) = (Link::Session(session.mailbox().clone()), session.handle().clone());
    // More no packet has.
    let max = framed.terms.max_message.min(usize::from(u16::MAX));
    let mut channel = Channel::new(link, Carrier::Packets, handle, Form::Whole(max), framed.terms);
    let mut packets = Packets::new(session, max);
    let nobody_cuts: Option<&Slot> = None;
    let outcome = converse(&mut packets, hear, &mut channel, nobody_cuts).await;
    // It is told of its end by what it waits for.
    outcome.or_else(|failure| failure.map_or(Ok(()), Err))
}

macro_rules! message_service {
    ($handler:ident, $hear:ident, $kind:ident, $framed:literal, [$($engine:ident: Engine)?], $on:ty) => {
        impl<$($engine: Engine,)? H, C> Service<$on> for Messaging<H, C, kind::$kind>
        where
            H: $handler + 'static,
            C: Framing + Send + Sync + 'static,
        {
            const DATAGRAMS: bool = true;
            const SESSIONS: bool = true;
            const FRAMED: bool = $framed;
            const MESSAGES: bool = true;

            #[cfg(feature = "websocket")]
            fn check_web_socket(&self) -> Result<(), Error> {
                self.framed.web_socket.check()
            }

            fn has_hub(&self) -> bool {
                self.framed.handler.hub().is_some()
            }
            fn budget(&self) -> Option<&Arc<Budget>> {
                Some(&self.framed.budget)
            }
            fn session(&self, talk: &mut <$on as Engine>::Session) -> impl Future<Output = Result> {
                async { session(talk, &$hear(&self.framed.handler), &self.framed).await }
            }
            fn handle(&self, conn: &mut <$on as Engine>::Stream) -> impl Future<Output = Result> {
                async { connection::<$on, _, _>(conn, &$hear(&self.framed.handler), &self.framed).await }
            }
            fn verify(&self, peer: &Peer) -> bool {
                self.framed.handler.verify(peer)
            }
            fn on_error(&self, error: &Failure, peer: &Peer) {
                self.framed.handler.on_error(error, peer);
            }
            fn verify_datagram(&self, peer: &Peer) -> bool {
                self.framed.handler.verify(peer)
            }
            fn on_datagram_error(&self, error: &Failure, peer: &Peer) {
                self.framed.handler.on_error(error, peer);
            }
        }
    };
}

message_service!(MessageHandler, Plain, Messages, false, [E: Engine], E);
message_service!(MessageHandler, Plain, FramedMessages, true, [E: Engine], E);
#[cfg(feature = "tokio")]
message_service!(AsyncMessageHandler, Waiting, AsyncMessages, false, [], Async);
#[cfg(feature = "tokio")]
message_service!(AsyncMessageHandler, Waiting, FramedAsyncMessages, true, [], Async);

#[diagnostic::do_not_recommend]
impl<M, H, C> RunsOn<M, kind::FramedMessages> for Framed<H, C>
where
    M: Model,
    H: MessageHandler + Send + Sync + 'static,
    C: Framing + Send + Sync + 'static,
{
    type Service = Messaging<H, C, kind::FramedMessages>;

    fn into_service(self) -> Self::Service {
        Messaging::new(self)
    }
}

#[diagnostic::do_not_recommend]
impl<M: Model, H: MessageHandler + Send + Sync + 'static> RunsOn<M, kind::UnframedMessages> for Framed<H, ()> {
    type Service = Messaging<H, Unframed, kind::Messages>;

    fn into_service(self) -> Self::Service {
        Messaging::new(self.with_none())
    }
}

#[diagnostic::do_not_recommend]
impl<M: Model, H: MessageHandler + Send + Sync + 'static> RunsOn<M, kind::Messages> for H {
    type Service = Messaging<H, Unframed, kind::Messages>;

    fn into_service(self) -> Self::Service {
        Messaging::new(Framed::new(self, Unframed))
    }
}

#[cfg(feature = "tokio")]
#[diagnostic::do_not_recommend]
impl<M, H, C> RunsOn<M, kind::FramedAsyncMessages> for Framed<H, C>
where
    M: Model<Engine = Async>,
    H: AsyncMessageHandler + Send + Sync + 'static,
    C: Framing + Send + Sync + 'static,
{
    type Service = Messaging<H, C, kind::FramedAsyncMessages>;

    fn into_service(self) -> Self::Service {
        Messaging::new(self)
    }
}

#[cfg(feature = "tokio")]
#[diagnostic::do_not_recommend]
impl<M, H> RunsOn<M, kind::UnframedAsyncMessages> for Framed<H, ()>
where
    M: Model<Engine = Async>,
    H: AsyncMessageHandler + Send + Sync + 'static,
{
    type Service = Messaging<H, Unframed, kind::AsyncMessages>;

    fn into_service(self) -> Self::Service {
        Messaging::new(self.with_none())
    }
}

#[cfg(feature = "tokio")]
#[diagnostic::do_not_recommend]
impl<M, H> RunsOn<M, kind::AsyncMessages> for H
where
    M: Model<Engine = Async>,
    H: AsyncMessageHandler + Send + Sync + 'static,
{
    type Service = Messaging<H, Unframed, kind::AsyncMessages>;

    fn into_service(self) -> Self::Service {
        Messaging::new(Framed::new(self, Unframed))
    }
}
