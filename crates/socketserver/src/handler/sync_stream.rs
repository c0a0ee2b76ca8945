use crate::connection::sync_stream::Stream;
use crate::{Failure, Peer, Result};
use std::sync::Arc;

/// What is done with each connection, in blocking code.
///
/// A closure `|c: &mut blocking::Stream| { … Ok(()) }` is one. A type implements it when it wants the hooks as well:
///
/// `verify` → `setup` → `handle` → `finish` → (`on_error`) → the connection is closed.
///
/// One value serves all connections, many at a time: state of a connection is a local variable of `handle`, state of
/// the server a field behind a lock. Under [`Forks`](crate::Forks) each child has its own copy.
///
/// A hook that panics or fails ends that connection alone.
///
/// ```
/// use socketserver::{Failure, Peer, Result, Serial, Server, blocking, client};
///
/// struct Greeter;
/// impl blocking::Handler for Greeter {
///     fn setup(&self, c: &mut blocking::Stream) -> Result {
///         c.write_all(b"hello\n")?;
///         Ok(())
///     }
///     fn handle(&self, c: &mut blocking::Stream) -> Result {
///         let name = c.read_line(100)?.ok_or("left without a name")?;
///         c.write_all(format!("pleased to meet you, {name}\n").as_bytes())?;
///         Ok(())
///     }
///     fn on_error(&self, error: &Failure, peer: &Peer) {
///         eprintln!("{peer}: {error}");
///     }
/// }
///
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Serial::default(), Greeter)?;
/// let mut c = client::connect(&server.handle().endpoints()[0])?;
/// c.write_all(b"Ada\n")?;
/// assert_eq!(c.read_to_end(100)?, b"hello\npleased to meet you, Ada\n");
/// server.handle().shutdown();
/// server.join()?;
/// # Ok::<_, Failure>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a blocking stream handler",
    label = "wants `|c: &mut blocking::Stream| -> socketserver::Result`"
)]
pub trait Handler {
    /// The conversation. When it returns, what was written is sent and the connection closed.
    ///
    /// # Errors
    /// Whatever `?` gives: it reaches [`on_error`](Self::on_error) and the close event. An error of the connection
    /// itself (the peer left, a deadline passed) is handed on in the same way and is no error of the handler: it shows
    /// in the close event alone.
    fn handle(&self, connection: &mut Stream) -> Result;

    /// Before `handle`. When it fails `handle` is left out, `finish` is not.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    fn setup(&self, connection: &mut Stream) -> Result {
        let _ = connection;
        Ok(())
    }

    /// After `handle`, once, also when `setup` or `handle` failed or panicked, or the connection was cut.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    fn finish(&self, connection: &mut Stream) -> Result {
        let _ = connection;
        Ok(())
    }

    /// Whether this peer may come in. `false` closes the connection, once, before anything is read.
    ///
    /// It runs on the accept path, for one peer at a time: it must not wait for anything. A panic counts as `false`.
    fn verify(&self, peer: &Peer) -> bool {
        let _ = peer;
        true
    }

    /// A hook failed ([`Panic`](crate::Panic): it panicked). A peer that left and a deadline that passed do not come
    /// here. Nothing is printed unless you print it.
    fn on_error(&self, error: &Failure, peer: &Peer) {
        let _ = (error, peer);
    }
}

impl<F: Fn(&mut Stream) -> Result> Handler for F {
    fn handle(&self, connection: &mut Stream) -> Result {
        self(connection)
    }
}

/// A handler that you keep a hand on.
impl<H: Handler> Handler for Arc<H> {
    fn handle(&self, connection: &mut Stream) -> Result {
        (**self).handle(connection)
    }
    fn setup(&self, connection: &mut Stream) -> Result {
        (**self).setup(connection)
    }
    fn finish(&self, connection: &mut Stream) -> Result {
        (**self).finish(connection)
    }
    fn verify(&self, peer: &Peer) -> bool {
        (**self).verify(peer)
    }
    fn on_error(&self, error: &Failure, peer: &Peer) {
        (**self).on_error(error, peer);
    }
}
