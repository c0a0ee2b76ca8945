//! How: the models, and what one of a user's own is made of.

mod forks;
#[cfg(feature = "tokio")]
mod offload;
mod serial;
mod sorting;
#[cfg(feature = "tokio")]
pub(crate) mod tasks;
mod threads;
mod work;

pub use forks::Forks;
#[cfg(feature = "tokio")]
pub use offload::Offload;
pub use serial::Serial;
#[cfg(feature = "tokio")]
pub use tasks::Tasks;
pub use threads::Threads;
pub use work::{Job, Work};

use crate::Error;
use crate::engine::Engine;
use crate::handler::Service;

/// How connections are run. [`Serial`], [`Threads`], [`Forks`] and `Tasks` are models; you can write your own: take [`Job`]s from
/// [`Work`] and run each where you like.
///
/// | model | runs | good for |
/// |---|---|---|
/// | [`Serial`] | one connection at a time, on the calling thread | tools, tests, state without locks |
/// | [`Threads`] | a pool of threads, a connection each | most blocking code |
/// | [`Forks`] | a process a connection | code that may crash, leak or hang |
/// | `Tasks` | async handlers, a runtime a core | many connections at a time |
///
/// ```
/// use socketserver::{Blocking, Error, Model, Server, Service, Work, blocking, client};
///
/// /// A thread a connection, as many as come.
/// struct ThreadEach;
/// impl Model for ThreadEach {
///     type Engine = Blocking;
///     fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), Error> {
///         std::thread::scope(|scope| {
///             while let Some(job) = work.next()? {
///                 scope.spawn(|| job.run());
///             }
///             Ok(())
///         })
///     }
/// }
///
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(ThreadEach, |c: &mut blocking::Stream| {
///     c.write_all(b"hi")?;
///     Ok(())
/// })?;
/// let mut c = client::connect(&server.handle().endpoints()[0])?;
/// assert_eq!(c.read_to_end(10)?, b"hi");
/// server.handle().shutdown();
/// server.join()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a model",
    label = "the model comes first, then the handler",
    note = "models are `Serial`, `Threads`, `Forks`, `Tasks` and types of your own that implement `Model`"
)]
pub trait Model {
    /// The engine that it runs on.
    type Engine: Engine;

    /// Whether somebody sorts packets into sessions while handlers are at work.
    #[doc(hidden)]
    const SESSIONS: bool = false;

    /// Why peers do not reach each other through a hub, if they do not: a sentence.
    #[doc(hidden)]
    const WITHOUT_HUB: Option<&'static str> = None;

    /// Runs jobs until [`Work::next`] gives none. What is still open when it returns is drained.
    ///
    /// # Errors
    /// What made it impossible to go on. It comes out of [`Server::serve`](crate::Server::serve).
    fn run<S: Service<Self::Engine> + Send + Sync>(self, work: Work<Self::Engine, S>) -> Result<(), Error>;
}
