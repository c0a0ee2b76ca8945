mod feed;
mod lobby;
mod parent;
mod prefork;
mod spawn;
mod worker;

use self::parent::Parent;
use super::{Model, Work};
use crate::engine::Blocking;
use crate::handler::Service;
use crate::{Error, ErrorKind};

/// A process a connection: one that crashes, leaks or hangs takes nothing with it but its own connection.
///
/// The parent accepts, watches over its children and tells of them; it reaps nobody else's. At the maximum new
/// connections wait in the backlog. With [`prefork`](Self::prefork) children are kept ready and serve one connection
/// after the other. Packets that came in together have a child of their own, which ends with them.
///
/// A child sees the memory of the server as it was when the child was made; what it changes there nobody else sees.
/// Counters, the report and [`Handle::shutdown`](crate::Handle::shutdown) work from children too. `verify`, `every`,
/// signals and the observer run in the parent, the other hooks in the child.
///
/// `serve` must be called in a process with one thread, for a child of a process with several could wait for ever on a
/// lock that another thread held: it is refused with [`ErrorKind::Unsupported`]. So `spawn` is no use with it.
///
/// ```
/// use socketserver::{Forks, Server, blocking};
/// let mut server = Server::bind("tcp://127.0.0.1:0")?;
/// # let mut client = socketserver::client::connect(&server.endpoints()[0])?;
/// # client.close_write()?;
/// server.serve(Forks::new(40), |c: &mut blocking::Stream| {
///     c.write_all(format!("process {}\n", std::process::id()).as_bytes())?;
/// #     c.read_line(100)?;
/// #     c.server().shutdown();
///     Ok(())
/// })?;
/// # let line = client.read_line(100)?.ok_or("nothing came")?;
/// # assert!(line.starts_with("process ") && line != format!("process {}", std::process::id()));
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone)]
pub struct Forks {
    max: usize,
    ready: Option<usize>,
}

impl Forks {
    /// At most `max` connections, and so processes, at a time; at least 1.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max: max.max(1), ready: None }
    }

    /// Starts with `ready` children (at least 1, at most the maximum) that wait for connections, keeps as many of those that
    /// come free, and lets each serve many. A connection then costs no fork unless more come at a time, and what a
    /// handler leaves behind in its process meets the next one. Children that were killed, or gave way because certificates
    /// changed, are replaced before anybody comes, at most once a second.
    ///
    /// Packets cost a fork all the same: where nothing else comes none is kept ready, and at the maximum one that is ready
    /// gives way to packets.
    #[must_use]
    pub fn prefork(mut self, ready: usize) -> Self {
        self.ready = Some(ready.clamp(1, self.max));
        self
    }
}

/// 40 processes, one for each connection.
impl Default for Forks {
    fn default() -> Self {
        Self::new(40)
    }
}

impl Model for Forks {
    type Engine = Blocking;
    const WITHOUT_HUB: Option<&'static str> = Some(
        "`Forks` has no hub: its children share no memory, so no peer reaches one in another child; `Threads` and `Tasks` \
         have one",
    );

    fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), Error> {
        let threads = socketserver_sys::thread_count().map_err(|e| Error::io("cannot count threads in /proc", e))?;
        if threads != 1 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "`Forks` needs a process with one thread, and this one has {threads}: call `serve` before any \
                     thread is started (`spawn` starts one)"
                ),
            ));
        }
        Parent::new(&self, work)?.map_or(Ok(()), Parent::run)
    }
}
