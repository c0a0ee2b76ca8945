//! Echoing messages, each with a length of 4 bytes before it: this project's library, and tokio-util's codec.

use std::io;

use futures_util::{FutureExt, SinkExt, StreamExt};
use socketserver::framing::LengthPrefix;
use socketserver::{Channel, MessageHandler, Model, Server, Tasks, Threads};
use tokio::net::TcpStream;
use tokio_util::bytes::Bytes;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::{announce, bare_tokio};

/// A plain closure on one shard of `Tasks`.
pub(super) fn ours_tasks() -> io::Result<()> {
    ours(Tasks::new(1))
}

/// The same closure on `Threads`.
pub(super) fn ours_threads() -> io::Result<()> {
    ours(Threads::default().max(200))
}

fn ours(model: impl Model) -> io::Result<()> {
    let echo = |message: &[u8], c: &mut Channel| Ok(c.send(message)?);
    let mut server = Server::bind("tcp://127.0.0.1:0").map_err(io::Error::other)?;
    for endpoint in server.endpoints() {
        announce(endpoint)?;
    }
    server.serve(model, echo.framed(LengthPrefix::u32_be())).map_err(io::Error::other)?;
    Ok(())
}

/// `next().await`, then `send().await`, as tokio-util's documentation has it.
pub(super) fn tokio_send() -> io::Result<()> {
    bare_tokio::on_one_thread(|stream| async move {
        let mut frames = frames(stream);
        while let Some(message) = frames.next().await {
            frames.send(message?.freeze()).await?;
        }
        Ok(())
    })
}

/// The replies to all messages that have come in are fed, then flushed at once.
pub(super) fn tokio_feed() -> io::Result<()> {
    bare_tokio::on_one_thread(|stream| async move {
        let mut frames = frames(stream);
        while let Some(message) = frames.next().await {
            frames.feed(message?.freeze()).await?;
            while let Some(Some(message)) = frames.next().now_or_never() {
                frames.feed(message?.freeze()).await?;
            }
            SinkExt::<Bytes>::flush(&mut frames).await?;
        }
        Ok(())
    })
}

/// A length of 4 bytes in network byte order is the codec's default.
fn frames(stream: TcpStream) -> Framed<TcpStream, LengthDelimitedCodec> {
    Framed::new(stream, LengthDelimitedCodec::new())
}
