//! WebSocket (RFC 6455) as a carrier of messages. What frames are, and what may follow what, the `tungstenite` crate knows;
//! it is given bytes out of memory, so both engines can use it.

mod answer;
mod carrier;
mod close;
mod hosts;
mod options;
mod page;
mod request;
mod speech;

pub use options::WebSocket;
pub use page::Page;
pub(crate) use speech::Speech;

use super::Channel;
use super::converse::{Hear, converse};
use super::framed::Terms;
use crate::Failure;
use crate::connection::{Core, PollIo};
use answer::{Answer, Then};
use carrier::Web;
use request::Head;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;

/// A connection to a `ws://` endpoint with this `path`: the handshake, then messages, then the closing handshake.
pub(crate) async fn connection<T: PollIo, H: Hear>(
    core: &mut Core<T>,
    hear: &H,
    path: &str,
    options: &WebSocket,
    terms: Terms,
) -> Result<(), Option<Failure>> {
    if !shake_hands(core, path, options).await? {
        return Ok(());
    }
    let record = core.connection.clone();
    let speech = Arc::new(Speech::new(options.sends, terms.max_message));
    let mut channel = Channel::web_socket(record.clone(), core.terms().handle.clone(), speech.clone(), terms);
    let mut web = Web::new(core, &speech, options.ping);
    let outcome = converse(&mut web, hear, &mut channel, Some(&record.slot)).await;
    web.say_goodbye(&outcome).await;
    outcome
}

/// Whether messages follow. Otherwise the request was answered, and that was all.
async fn shake_hands<T: PollIo>(core: &mut Core<T>, path: &str, options: &WebSocket) -> Result<bool, Failure> {
    let (answer, len) = match request::head(core, options.handshake).await? {
        Head::None => return Ok(false),
        Head::Whole(len) => {
            let local = core.connection.descriptor().and_then(hosts::local);
            (answer::to(&core.buffered()[..len], path, options, local), len)
        }
        Head::TooLong => (Answer::too_long(), 0),
        Head::Late => {
            send(core, &Answer::late().response).await?;
            return Err(core.fate.handshake_too_late().into());
        }
    };
    core.consume(len);
    send(core, &answer.response).await?;
    match answer.then {
        Then::Talk => Ok(true),
        Then::End => Ok(false),
        Then::Fail(why) => Err(core.fate.bad_message(why).into()),
    }
}

async fn send<T: PollIo>(core: &mut Core<T>, mut bytes: &[u8]) -> io::Result<()> {
    poll_fn(|cx| core.poll_send_all(cx, &mut bytes)).await
}
