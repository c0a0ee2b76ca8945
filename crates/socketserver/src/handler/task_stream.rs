use crate::connection::task_stream::Stream;
use crate::{Failure, Peer, Result};

/// What is done with each connection, in async code.
///
/// A closure `async |c: &mut Stream| { … Ok(()) }` is one (write `async |c|`, not `|c| async move`). A type implements it
/// when it wants the hooks as well:
///
/// `verify` → `setup` → `handle` → `finish` → (`on_error`) → the connection is closed.
///
/// One value serves all connections, many at a time: state of a connection is a local variable of `handle`, state of
/// the server a field. A connection stays on its shard, so its future need not be `Send`.
///
/// A hook that panics or fails ends that connection alone. One that goes on for long without waiting holds up all others
/// on its shard ([`Observer::hogged`](crate::Observer::hogged) tells): such work belongs into an
/// [`Offload`](crate::Offload).
///
/// When the connection is cut (the drain's deadline, its lifetime, a kick) while `handle` waits, for whatever it is,
/// its future is dropped and `finish` runs.
///
/// ```
/// use socketserver::{Failure, Handler, Peer, Result, Server, Stream, Tasks, client};
///
/// struct Greeter;
/// impl Handler for Greeter {
///     async fn setup(&self, c: &mut Stream) -> Result {
///         c.write_all(b"hello\n").await?;
///         Ok(())
///     }
///     async fn handle(&self, c: &mut Stream) -> Result {
///         let name = c.read_line(100).await?.ok_or("left without a name")?;
///         c.write_all(format!("pleased to meet you, {name}\n").as_bytes()).await?;
///         Ok(())
///     }
///     fn on_error(&self, error: &Failure, peer: &Peer) {
///         eprintln!("{peer}: {error}");
///     }
/// }
///
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Tasks::new(1), Greeter)?;
/// let mut c = client::connect(&server.handle().endpoints()[0])?;
/// c.write_all(b"Ada\n")?;
/// assert_eq!(c.read_to_end(100)?, b"hello\npleased to meet you, Ada\n");
/// server.stop()?;
/// # Ok::<_, Failure>(())
/// ```
#[expect(async_fn_in_trait, reason = "futures stay on their shard: they are deliberately not `Send`")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async stream handler",
    label = "wants `async |c: &mut Stream| -> socketserver::Result`"
)]
pub trait Handler {
    /// The conversation. When it returns, what was written is sent and the connection closed.
    ///
    /// # Errors
    /// Whatever `?` gives: it reaches [`on_error`](Self::on_error) and the close event. An error of the connection
    /// itself (the peer left, a deadline passed) is handed on in the same way and is no error of the handler: it shows
    /// in the close event alone.
    async fn handle(&self, connection: &mut Stream) -> Result;

    /// Before `handle`. When it fails `handle` is left out, `finish` is not.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    async fn setup(&self, connection: &mut Stream) -> Result {
        let _ = connection;
        Ok(())
    }

    /// After `handle`, once, also when `setup` or `handle` failed or panicked, or the connection was cut. After the drain's
    /// deadline it has half a second.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    async fn finish(&self, connection: &mut Stream) -> Result {
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

impl<F: AsyncFn(&mut Stream) -> Result> Handler for F {
    async fn handle(&self, connection: &mut Stream) -> Result {
        self(connection).await
    }
}
