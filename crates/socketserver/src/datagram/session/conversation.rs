use super::Mailbox;
use crate::connection::pipeline::{Ending, Panic, catch};
use crate::engine::Engine;
use crate::handler::Service;
use crate::lifecycle::Handle;
use crate::{Failure, Reason};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// A session as the engines have it.
#[doc(hidden)]
pub trait Talk {
    /// A wait happens on this thread.
    const WAITS_INSIDE: bool;
    fn mailbox(&self) -> &Arc<Mailbox>;
    fn handle(&self) -> &Handle;
    /// Waits for a packet, or for a push, if there may be some.
    fn hear(&mut self, pushed: Option<impl FnMut(&Waker) -> Poll<()>>) -> impl Future<Output = io::Result<Heard>>;
    /// Sends a packet.
    fn say(&mut self, packet: &[u8]) -> impl Future<Output = io::Result<()>>;
}

/// What a session that waited was given.
#[doc(hidden)]
#[derive(Debug)]
pub enum Heard {
    Packet(Vec<u8>),
    /// Somebody has something for the peer.
    Push,
    /// Nothing more comes.
    End,
}

impl From<Option<Vec<u8>>> for Heard {
    fn from(received: Option<Vec<u8>>) -> Self {
        received.map_or(Self::End, Self::Packet)
    }
}

/// What both kinds of session are and tell; where their handle is.
macro_rules! facts {
    ($($handle:ident).+) => {
        impl Session {
            /// Who it is with. Anybody can write any address into a UDP packet.
            #[must_use]
            pub fn peer(&self) -> &crate::Peer {
                &self.mailbox.peer
            }

            /// Its number, unique in its server: connections and sessions are counted together.
            #[must_use]
            pub fn id(&self) -> u64 {
                self.mailbox.id
            }

            /// The address that the peer speaks to, where the server is bound to many; else, and over Unix sockets, `None`.
            #[must_use]
            pub fn local(&self) -> Option<std::net::IpAddr> {
                self.mailbox.local().map(|local| local.to.to_canonical())
            }

            /// The server, to stop it or to ask it things.
            #[must_use]
            pub fn server(&self) -> &crate::lifecycle::Handle {
                &self.$($handle).+
            }
        }

        impl Drop for Session {
            fn drop(&mut self) {
                self.mailbox.end();
            }
        }

        impl std::fmt::Debug for Session {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct("Session")
                    .field("id", &self.mailbox.id)
                    .field("peer", &self.mailbox.peer)
                    .finish_non_exhaustive()
            }
        }
    };
}
pub(super) use facts;

/// Runs the handler of a session to its end.
#[expect(clippy::manual_async_fn, reason = "an async fn has its arguments in it twice")]
pub(crate) fn conversation<E: Engine, S: Service<E>>(
    service: &S,
    session: &mut E::Session,
) -> impl Future<Output = ()> {
    async move {
        let outcome = {
            // What makes the future may panic too, so it is made when it is polled; and it is there once, where it is made.
            let mut handling = pin!(async { service.session(&mut *session).await });
            poll_fn(move |cx| match catch(|| handling.as_mut().poll(cx)) {
                Ok(poll) => poll,
                Err(panic) => Poll::Ready(Err(panic.into())),
            })
            .await
        };
        let mailbox = session.mailbox();
        let ending = match outcome {
            Ok(()) => Ending::of(mailbox.told().unwrap_or(Reason::Finished)),
            Err(failure) => failed::<E, S>(service, mailbox, failure),
        };
        mailbox.conclude(ending);
    }
}

fn failed<E: Engine, S: Service<E>>(service: &S, mailbox: &Mailbox, failure: Failure) -> Ending {
    let reason = if failure.is::<Panic>() {
        Reason::Panicked
    } else if mailbox.told() == Some(Reason::Aborted) && failure.is::<io::Error>() {
        // No error of the handler.
        return Ending::of(Reason::Aborted);
    } else {
        Reason::Failed
    };
    let text = catch(|| failure.to_string()).unwrap_or_else(|panic| panic.to_string());
    let mut ending = Ending::with(reason, Some(text));
    if let Err(panic) = catch(|| service.on_datagram_error(&failure, &mailbox.peer)) {
        ending.break_hook("on_error", panic.to_string());
    }
    // Its drop is the user's code too.
    let _ = catch(|| drop(failure));
    ending
}
