//! What suits what: sources of connections and engines by their types; endpoints, handlers and models when one begins to
//! serve, since only the addresses tell what comes to them.

use crate::endpoint::{Listener, Listeners};
#[cfg(feature = "tokio")]
use crate::engine::Async;
use crate::engine::{Blocking, Engine};
use crate::handler::Service;
use crate::model::Model;
use crate::{Error, ErrorKind, Result};
use std::fmt::Display;

/// A server that was given nothing but sockets: models of every engine can run it.
#[derive(Debug)]
pub enum AnyEngine {}

/// A server that was given sources for `Self` can be run by models of the engine `E`. Nobody implements it: what runs
/// a server is a [`Model`].
#[diagnostic::on_unimplemented(
    message = "a source of {Self} connections cannot feed a model of the {E} engine",
    label = "this model runs on the {E} engine",
    note = "`accept_from` takes async sources, for `Tasks`; `accept_from_blocking` those for `Serial`, `Threads` and `Forks`"
)]
pub trait Suits<E> {}
impl<E: Engine> Suits<E> for AnyEngine {}
impl Suits<Self> for Blocking {}
#[cfg(feature = "tokio")]
impl Suits<Self> for Async {}
// No model has this for its engine. If there were but one engine to choose from, the compiler would take it for the
// model's, and complain of types that are not the same instead of saying the above.
#[diagnostic::do_not_recommend]
impl Suits<AnyEngine> for Blocking {}
#[cfg(feature = "tokio")]
#[diagnostic::do_not_recommend]
impl Suits<AnyEngine> for Async {}

/// Whether what comes to these listeners is what such a handler takes, and such a model can carry.
pub(crate) fn check<M: Model, S: Service<M::Engine>>(listeners: &Listeners, service: &S) -> Result<(), Error> {
    if let (true, Some(why)) = (service.has_hub(), M::WITHOUT_HUB) {
        return unsupported(why);
    }
    listeners.all.iter().try_for_each(|listener| check_one::<M, S>(listener, service))
}

/// Whether the server can do what is to be done there before a handler hears of it.
pub(crate) fn check_server(listeners: &Listeners, has_tls: bool, has_proxies: bool) -> Result<(), Error> {
    listeners.all.iter().try_for_each(|listener| match &listener.endpoint {
        endpoint if endpoint.is_tls() && !has_tls => unsupported(format_args!(
            "TLS is to be spoken on `{endpoint}`, and the server has no certificate: `Server::tls` gives it one"
        )),
        endpoint if has_proxies && listener.keeps_messages() => unsupported(format_args!(
            "whole messages come to `{endpoint}`, and the PROXY protocol is for streams of bytes"
        )),
        _ => Ok(()),
    })
}

fn check_one<M: Model, S: Service<M::Engine>>(listener: &Listener, service: &S) -> Result<(), Error> {
    let endpoint = &listener.endpoint;
    let (comes, handler) = match listener.packets() {
        _ if endpoint.path().is_some() => {
            if !S::MESSAGES {
                return unsupported(format_args!(
                    "messages come to `{endpoint}`, and the handler takes none: \
                     `|message: &[u8], c: &mut Channel| …` does"
                ));
            }
            return service.check_web_socket();
        }
        Some(_) if !S::DATAGRAMS => ("packets", "connections"),
        Some(_) if S::SESSIONS && !M::SESSIONS => {
            return unsupported(format_args!(
                "packets come to `{endpoint}`, in a session a peer, and `{}` has nobody who would sort them while a \
                 handler is at work: `Threads` and `Tasks` do",
                name_of::<M>()
            ));
        }
        None if listener.keeps_messages() => {
            if S::MESSAGES {
                return Ok(());
            }
            return unsupported(format_args!(
                "whole messages come to `{endpoint}`, and the handler takes {}: a message handler, \
                 `|m: &[u8], c: &mut Channel| …`, takes them",
                if S::STREAMS { "bytes" } else { "packets" }
            ));
        }
        None if !S::STREAMS => ("connections", "packets"),
        None if !S::FRAMED => {
            return unsupported(format_args!(
                "bytes come to `{endpoint}`, and nobody said how messages are told apart in them: \
                 `.framed(Line::new())`, say, does"
            ));
        }
        _ => return Ok(()),
    };
    unsupported(format_args!(
        "{comes} come to `{endpoint}`, and the handler takes {handler}: a pair of a stream handler and a \
         datagram handler, `(|c| …, |d| …)`, takes both"
    ))
}

fn unsupported(words: impl Display) -> Result<(), Error> {
    Err(Error::new(ErrorKind::Unsupported, words.to_string()))
}

/// What a model is called.
fn name_of<M>() -> &'static str {
    let name = std::any::type_name::<M>();
    name.rsplit("::").next().unwrap_or(name)
}
