use crate::event::printable;
use crate::reply::Gathered;
use crate::request::{self, NoRequest};
use crate::talk::{Talk, now};
use crate::{Commands, Encoding, Error, Event, Job, Limits, Run, Runner, Status, Wire};
use socketserver::{Failure, Handler, Result, Stream, blocking};
use socketserver_sys::Account;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Instant;

/// What may be run.
///
/// ```
/// use socketserver_exec::{Allowed, Limits};
/// let (job, _) = Allowed::Shell.find("ls | wc -l", Limits::default()).unwrap();
/// assert_eq!(job.argv(), ["/bin/sh", "-c", "--", "ls | wc -l"]);
/// ```
#[derive(Debug, Clone)]
pub enum Allowed {
    /// The commands of a file.
    Commands(Commands),
    /// Anything: each request is a text for `/bin/sh -c`.
    Shell,
}

impl Allowed {
    /// What to run for a request, and under which limits.
    ///
    /// # Errors
    /// As [`Commands::find`].
    pub fn find(&self, request: &str, limits: Limits) -> Result<(Job, Limits), String> {
        match self {
            Self::Commands(commands) => commands.find(request, limits),
            Self::Shell => Ok((Job::shell(request), limits)),
        }
    }
}

type OnEvent = Box<dyn Fn(&Event<'_>) + Send + Sync>;

/// Runs what clients ask for: a handler of streams for every model.
///
/// One request at a time is served on a connection; what is sent while a command runs is the next. A client that leaves
/// ends its command, and one that half-closes has left: over TCP the two cannot be told apart before something is written.
/// While the server drains a command may finish; at the deadline it is ended.
///
/// It looks at neither where the server listens nor whose privileges it has: see [`place`](crate::place) and
/// [`user`](crate::user).
///
/// ```standalone_crate
/// use socketserver::{Server, Tasks, client};
/// use socketserver_exec::{Allowed, Commands, Exec, Wire, supervise_if_asked};
///
/// fn main() -> socketserver::Result {
///     supervise_if_asked();
///     let commands = Commands::parse("[hello]\nargv = [\"/bin/echo\", \"hello\"]", "commands")?;
///     let exec = Exec::new(Allowed::Commands(commands), Wire::Int32)?
///         .on_event(|event| println!("{} asked for {}: {}", event.peer, event.command, event.status));
///     let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Tasks::new(1), exec)?;
///     let mut c = client::connect(&server.handle().endpoints()[0])?;
///     c.write_all(b"hello")?;
///     let mut reply = [0; 10];
///     c.read_exact(&mut reply)?;
///     assert_eq!((&reply[..4], &reply[4..]), (&6_i32.to_ne_bytes()[..], &b"hello\n"[..]));
///     drop(c);
///     server.stop()?;
///     Ok(())
/// }
/// ```
pub struct Exec {
    allowed: Allowed,
    wire: Wire,
    encoding: Encoding,
    limits: Limits,
    /// What each command has of variables, unless its own are others.
    environment: BTreeMap<String, String>,
    runner: Runner,
    on_event: OnEvent,
}

impl Exec {
    /// With UTF-8, the default [`Limits`], and commands that have the variables `PATH`, `HOME`, `USER`, `LOGNAME`,
    /// `SHELL` and `LANG`, those of the user that this process has by now.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub fn new(allowed: Allowed, wire: Wire) -> Result<Self, Error> {
        let runner = Runner::new().map_err(|error| Error::new(format!("commands cannot be run here: {error}")))?;
        Ok(Self {
            allowed,
            wire,
            encoding: Encoding::default(),
            limits: Limits::default(),
            environment: environment(),
            runner,
            on_event: Box::new(|_| {}),
        })
    }

    /// What requests and results are written in.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// The limits of commands that have none of their own.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many commands may run at a time, 100 unless said otherwise; to the next the client is told so. Each may hold as
    /// much memory as its output may be long; one whose result is longer than 64 KiB counts until its client has taken that.
    /// Under [`Forks`](socketserver::Forks) each child has one command, and the
    /// model's own maximum counts.
    #[must_use]
    pub fn max_commands(mut self, max: usize) -> Self {
        self.runner = self.runner.max(max);
        self
    }

    /// Who is told of each request. It must not wait.
    #[must_use]
    pub fn on_event(mut self, tell: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.on_event = Box::new(tell);
        self
    }

    /// What runs the commands: to wait, after the server's end, until nothing is left of them ([`Runner::end`]).
    #[must_use]
    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    async fn converse(&self, c: &mut impl Talk) -> Result {
        loop {
            let bytes = c.read().await?;
            if bytes.is_empty() {
                return Ok(());
            }
            let Some(result) = self.result_of(c, &bytes).await? else { return Ok(()) };
            self.wire.send(c, &result.bytes).await?;
        }
    }

    /// What a request comes to. `None`: the connection ends.
    async fn result_of(&self, c: &mut impl Talk, bytes: &[u8]) -> Result<Option<Reply>> {
        let text = self.encoding.decode(bytes);
        let mut audit = Audit::new(self, c, bytes, text.as_deref());
        if let Err(why) = self.check(bytes, text.as_ref()) {
            audit.status = "rejected";
            return Err(Failure::from(format!("not a request: {why}")));
        }
        let found = match &text {
            Some(text) => self.allowed.find(text, self.limits),
            None => Err(format!("the request is not {}", self.encoding)),
        };
        let mut reply = match found {
            Ok((job, limits)) => match self.run(c, &job.or_variables(&self.environment), limits, &mut audit).await? {
                Some(reply) => reply,
                None => return Ok(None),
            },
            Err(why) => {
                audit.status = "refused";
                format!("{why}\n").into()
            }
        };
        if reply.bytes.is_empty() {
            reply.bytes = self.wire.when_empty().into();
        }
        reply.bytes = self.encoding.encode(reply.bytes);
        audit.bytes = reply.bytes.len() as u64;
        Ok(Some(reply))
    }

    fn check(&self, bytes: &[u8], text: Option<&Cow<'_, str>>) -> Result<(), NoRequest> {
        request::check(bytes)?;
        // Encodings with states may hide one from the look at bytes.
        text.map_or(Ok(()), |text| match text.contains(['\r', '\n', '\0']) {
            true => Err(NoRequest::Controls),
            false => Ok(()),
        })
    }

    /// What a command printed; `None`: nobody is there to hear it.
    async fn run(
        &self,
        c: &mut impl Talk,
        job: &Job,
        limits: Limits,
        audit: &mut Audit<'_>,
    ) -> io::Result<Option<Reply>> {
        let started = self.runner.start(job, limits).and_then(|mut run| {
            c.socket().map_or(Ok(()), |socket| run.until_left(socket))?;
            Ok(run)
        });
        let mut gathered = Gathered::default();
        let finished = match started {
            Ok(mut run) => {
                let finished = c.finish(&mut run, &mut |output, bytes| gathered.take(output, bytes)).await;
                finished.map(|outcome| (run, outcome))
            }
            Err(error) => Err(error),
        };
        let (run, outcome) = match finished {
            Ok(finished) => finished,
            // Descriptors, processes, memory or places are used up.
            Err(error) => {
                (audit.status, audit.detail) = (Status::NotStarted(0).as_str(), error.raw_os_error());
                return Ok(Some(format!("the command could not be run: {error}\n").into()));
            }
        };
        (audit.output_cut, audit.left) = (outcome.cut, outcome.left);
        (audit.status, audit.detail) = (outcome.status.as_str(), outcome.status.number());
        if outcome.status == Status::Disconnected {
            // A cut by the server looks the same from below.
            if c.read().await.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionAborted) {
                audit.status = CUT;
            }
            return Ok(None);
        }
        let program = job.argv().first().map_or("", |program| program);
        let bytes = gathered.into_result(&outcome, limits, program);
        let held = (bytes.len() > SMALL).then_some(run);
        Ok(Some(Reply { bytes, _held: held }))
    }
}

/// As much as a connection may well take up besides. Who is slow to take a small result keeps nobody from running commands.
const SMALL: usize = 64 * 1024;

/// A result on its way.
struct Reply {
    bytes: Vec<u8>,
    /// The place of its command. So the results in memory are bounded as the commands are, however slowly clients take them.
    _held: Option<Run>,
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self { bytes: text.into_bytes(), _held: None }
    }
}

const CUT: &str = "cut";

/// The event of a request, told when it is dropped: so each is told of, however it ends.
struct Audit<'a> {
    exec: &'a Exec,
    id: u64,
    peer: socketserver::Peer,
    command: String,
    length: usize,
    status: &'static str,
    detail: Option<i32>,
    output_cut: bool,
    bytes: u64,
    left: u32,
    began: Instant,
}

impl<'a> Audit<'a> {
    fn new(exec: &'a Exec, c: &impl Talk, bytes: &[u8], text: Option<&str>) -> Self {
        Self {
            exec,
            id: c.id(),
            peer: c.peer().clone(),
            command: printable(bytes, text),
            length: bytes.len(),
            // What it is if nothing else becomes of it.
            status: CUT,
            detail: None,
            output_cut: false,
            bytes: 0,
            left: 0,
            began: Instant::now(),
        }
    }
}

impl Drop for Audit<'_> {
    fn drop(&mut self) {
        (self.exec.on_event)(&Event {
            id: self.id,
            peer: &self.peer,
            command: &self.command,
            length: self.length,
            status: self.status,
            detail: self.detail,
            output_cut: self.output_cut,
            bytes: self.bytes,
            left: self.left,
            duration: self.began.elapsed(),
        });
    }
}

fn environment() -> BTreeMap<String, String> {
    let account = Account::of(rustix::process::geteuid().as_raw()).ok().flatten();
    let mut environment = BTreeMap::new();
    let mut set = |name: &str, value: &str| environment.insert(name.to_owned(), value.to_owned());
    set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    set("LANG", "C.UTF-8");
    set("SHELL", "/bin/sh");
    set("HOME", account.as_ref().and_then(|account| account.home().to_str()).unwrap_or("/"));
    if let Some(account) = &account {
        set("USER", account.name());
        set("LOGNAME", account.name());
    }
    environment
}

impl Handler for Exec {
    async fn handle(&self, c: &mut Stream) -> Result {
        self.converse(c).await
    }
}

impl blocking::Handler for Exec {
    fn handle(&self, c: &mut blocking::Stream) -> Result {
        now(self.converse(c))
    }
}

impl fmt::Debug for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allowed, wire, encoding, limits, .. } = self;
        f.debug_struct("Exec")
            .field("allowed", allowed)
            .field("wire", wire)
            .field("encoding", encoding)
            .field("limits", limits)
            .finish_non_exhaustive()
    }
}
