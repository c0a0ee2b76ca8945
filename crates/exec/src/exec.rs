use crate::classic::Classic;
use crate::native::Native;
use crate::talk::{Talk, now};
use crate::{Auth, Commands, Encoding, Error, Event, Job, Limits, Run, Runner, Wire};
use socketserver::{Handler, Result, Stream, blocking};
use socketserver_sys::Account;
use std::collections::BTreeMap;
use std::fmt;
use std::io;

/// What may be run.
///
/// ```
/// use socketserver_exec::{Allowed, Limits};
/// let (job, _) = Allowed::Shell.find("ls | wc -l", Limits::default()).unwrap();
/// assert_eq!(job.argv(), ["/bin/sh", "-c", "--", "ls | wc -l"]);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
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

/// Runs what clients ask for, over the [native protocol](Self::native) or over a [classic wire](Self::new): a handler of streams
/// for every model.
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
    speaks: Speaks,
    limits: Limits,
    /// What each command has of variables, unless its own are others.
    environment: BTreeMap<String, String>,
    runner: Runner,
    on_event: OnEvent,
}

#[derive(Debug)]
enum Speaks {
    Classic(Classic),
    Native(Native),
}

impl Exec {
    /// Over a classic wire, with UTF-8, the default [`Limits`], and commands that have the variables `PATH`, `HOME`, `USER`, `LOGNAME`,
    /// `SHELL` and `LANG`, those of the user that this process has by now.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub fn new(allowed: Allowed, wire: Wire) -> Result<Self, Error> {
        Self::speaking(Speaks::Classic(Classic { allowed, wire, encoding: Encoding::default() }))
    }

    /// Over the native protocol: commands of a file, for those who prove who they are. Standard output and standard error
    /// stay apart and leave as they come; the client is told how the command ended. Otherwise as [`new`](Self::new).
    ///
    /// ```standalone_crate
    /// use socketserver::{Server, Tasks};
    /// use socketserver_exec::{Auth, Caller, Commands, Exec, Output, supervise_if_asked};
    ///
    /// fn main() -> socketserver::Result {
    ///     supervise_if_asked();
    ///     let commands = Commands::parse("[hello]\nargv = [\"/bin/echo\", \"hello\"]\narguments = ['\\w+']", "commands")?;
    ///     let exec = Exec::native(commands, Auth::new())?;
    ///     let server = Server::bind("unix:@doc-native")?.spawn(Tasks::new(1), exec)?;
    ///     let mut client = Caller::new().connect("unix:@doc-native")?;
    ///     let mut said = Vec::new();
    ///     let exit = client.run(&["hello", "world"], &mut |output, bytes| {
    ///         assert_eq!(output, Output::Stdout);
    ///         said.extend_from_slice(bytes);
    ///         Ok(())
    ///     })?;
    ///     assert_eq!((exit.status(), &said[..]), (0, &b"hello world\n"[..]));
    ///     drop(client);
    ///     server.stop()?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new), and no random numbers or memory.
    pub fn native(commands: Commands, auth: Auth) -> Result<Self, Error> {
        Self::speaking(Speaks::Native(Native::new(commands, auth)?))
    }

    fn speaking(speaks: Speaks) -> Result<Self, Error> {
        let runner = Runner::new().map_err(|error| Error::new(format!("commands cannot be run here: {error}")))?;
        Ok(Self { speaks, limits: Limits::default(), environment: environment(), runner, on_event: Box::new(|_| {}) })
    }

    /// What requests and results of a classic wire are written in. Over the native protocol arguments are UTF-8, and results
    /// the bytes that the command says.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        if let Speaks::Classic(classic) = &mut self.speaks {
            classic.encoding = encoding;
        }
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

    pub(crate) fn default_limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        (self.on_event)(event);
    }

    /// Starts a command, which ends when its client leaves.
    pub(crate) fn start(&self, c: &impl Talk, job: &Job, limits: Limits) -> io::Result<Run> {
        let mut run = self.runner.start(&job.clone().or_variables(&self.environment), limits)?;
        c.socket().map_or(Ok(()), |socket| run.until_left(socket))?;
        Ok(run)
    }

    async fn converse(&self, c: &mut impl Talk) -> Result {
        match &self.speaks {
            Speaks::Classic(classic) => classic.converse(self, c).await,
            Speaks::Native(native) => native.converse(self, c).await,
        }
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
        let Self { speaks, limits, .. } = self;
        f.debug_struct("Exec").field("speaks", speaks).field("limits", limits).finish_non_exhaustive()
    }
}
