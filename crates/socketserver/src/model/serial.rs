use super::{Model, Work};
use crate::Error;
use crate::engine::Blocking;
use crate::handler::Service;

/// One connection at a time, on the thread that calls `serve`.
///
/// The next one waits in the backlog until the handler is through. A peer that sends nothing holds up the others for as
/// long as the idle deadline lets it.
///
/// ```
/// use socketserver::{Serial, Server, blocking};
/// let mut server = Server::bind("tcp://127.0.0.1:0")?;
/// # server.handle().shutdown();
/// server.serve(Serial::default(), |c: &mut blocking::Stream| {
///     c.write_all(b"hello\n")?;
///     Ok(())
/// })?;
/// # Ok::<_, socketserver::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Serial {}

impl Serial {
    /// The same as the default: there is nothing to choose.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }
}

impl Model for Serial {
    type Engine = Blocking;
    const WITHOUT_HUB: Option<&'static str> = Some(
        "`Serial` has no hub: it serves one peer at a time, so nobody else is ever in a room; `Threads` and `Tasks` have \
         one",
    );

    fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), Error> {
        while let Some(job) = work.next()? {
            job.run();
        }
        Ok(())
    }
}
