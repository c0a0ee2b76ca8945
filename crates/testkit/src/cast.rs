use crate::{Part, Played};
use socketserver::{
    AcceptFailed, ChildEnded, Closed, Cut, Draining, ErrorKind, Forks, Hogged, HookFailed, Observer, Opened, Refused,
    Report, Result, RunsOn, Serial, Server, SpawnFailed, Tasks, Threads, TlsReloadFailed, TlsReloaded, Undelivered,
    Unsent,
};
use std::env;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

/// A model, as a value that can be handed to another process.
///
/// ```
/// use socketserver_testkit::How;
/// assert_eq!("forks=8".parse(), Ok(How::Forks(8)));
/// assert_eq!(How::Prefork(3, 8).to_string(), "prefork=3,8");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// [`Serial`].
    Serial,
    /// [`Threads`] with this maximum.
    Threads(usize),
    /// [`Forks`] with this maximum.
    Forks(usize),
    /// [`Forks`] with so many kept ready, and this maximum.
    Prefork(usize, usize),
    /// [`Tasks`](socketserver::Tasks) with so many shards.
    Tasks(usize),
    /// [`Server::run`], in a runtime of the role's own, of one thread.
    Run,
}

impl How {
    /// Serves on this model, with any handler that every model runs, until the server is stopped. Threads that have nothing
    /// to do end after 200 ms, so that a test sees them go.
    ///
    /// # Errors
    /// As [`Server::serve`].
    pub fn serve<H, B, A>(self, server: &mut Server, handler: H) -> Result<Report>
    where
        H: RunsOn<Serial, B> + RunsOn<Threads, B> + RunsOn<Forks, B> + RunsOn<Tasks, A> + Send + Sync + 'static,
    {
        Ok(match self {
            Self::Serial => server.serve(Serial::default(), handler),
            Self::Threads(max) => server.serve(Threads::new(max).keep_alive(Duration::from_millis(200)), handler),
            Self::Forks(max) => server.serve(Forks::new(max), handler),
            Self::Prefork(ready, max) => server.serve(Forks::new(max).prefork(ready), handler),
            Self::Tasks(shards) => server.serve(Tasks::new(shards), handler),
            Self::Run => return run_here(server, handler),
        }?)
    }

    /// How many threads at most, and how many children, a server has that handles nothing.
    pub(crate) fn at_rest(self) -> (usize, usize) {
        match self {
            // The thread that serves, and the one that watches; `Threads` keeps one that waits.
            Self::Serial => (2, 0),
            Self::Threads(_) => (3, 0),
            Self::Tasks(shards) => (1 + shards, 0),
            Self::Forks(_) | Self::Run => (1, 0),
            Self::Prefork(ready, _) => (1, ready),
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial => f.write_str("serial"),
            Self::Threads(max) => write!(f, "threads={max}"),
            Self::Forks(max) => write!(f, "forks={max}"),
            Self::Prefork(ready, max) => write!(f, "prefork={ready},{max}"),
            Self::Tasks(shards) => write!(f, "tasks={shards}"),
            Self::Run => f.write_str("run"),
        }
    }
}

impl FromStr for How {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, numbers) = text.split_once('=').unwrap_or((text, ""));
        let numbers: Vec<usize> = numbers.split(',').filter_map(|number| number.parse().ok()).collect();
        match (name, &numbers[..]) {
            ("serial", []) => Ok(Self::Serial),
            ("threads", [max]) => Ok(Self::Threads(*max)),
            ("forks", [max]) => Ok(Self::Forks(*max)),
            ("prefork", [ready, max]) => Ok(Self::Prefork(*ready, *max)),
            ("tasks", [shards]) => Ok(Self::Tasks(*shards)),
            ("run", []) => Ok(Self::Run),
            _ => Err(format!("`{text}` is not a model")),
        }
    }
}

fn run_here<H, K>(server: &mut Server, handler: H) -> Result<Report>
where
    H: RunsOn<Tasks, K> + Send + Sync + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(server.run(handler))?)
}

/// What a role is given: the model and the address to play it with.
#[derive(Debug)]
pub struct Cast {
    how: How,
    endpoint: String,
}

/// What a role is: it serves until it is told to stop.
pub type Role = fn(&Cast) -> Result<Report>;

const ROLE: &str = "SOCKETSERVER_TESTKIT_ROLE";
const HOW: &str = "SOCKETSERVER_TESTKIT_MODEL";
const ENDPOINT: &str = "SOCKETSERVER_TESTKIT_ENDPOINT";

/// If this process was started by a [`Stage`](crate::Stage), plays its role and gives the status to exit with.
/// Otherwise `None`, and the tests run. Call it first in `main`.
#[must_use]
pub fn play(roles: &[(&str, Role)]) -> Option<ExitCode> {
    let role = env::var(ROLE).ok()?;
    let status = roles.iter().find(|(name, _)| *name == role).map_or_else(
        || {
            Cast::tell(&format!("failed: no role `{role}`"));
            3
        },
        |(_, play)| perform(*play),
    );
    Some(ExitCode::from(status))
}

fn perform(play: Role) -> u8 {
    let how = env::var(HOW).unwrap_or_default().parse();
    let result = how.map_err(Into::into).and_then(|how| {
        let endpoint = env::var(ENDPOINT).unwrap_or_default();
        play(&Cast { how, endpoint })
    });
    match result {
        Ok(report) => {
            let cut: Vec<String> = report.cut.iter().map(|cut| format!("{}:{}", cut.id, cut.abandoned)).collect();
            let totals = report.totals;
            Cast::tell(&format!(
                "report served={} cut=[{}] read={} written={} failed={}",
                report.served,
                cut.join(","),
                totals.read,
                totals.written,
                totals.failed
            ));
            if totals.packets > 0 {
                Cast::tell(&format!(
                    "packets received={} replies={} failed={} unwelcome={} truncated={} overflowed={} unsent={}",
                    totals.packets,
                    totals.replies,
                    totals.packets_failed,
                    totals.unwelcome,
                    totals.truncated,
                    totals.overflowed,
                    totals.unsent
                ));
            }
            u8::from(!report.is_clean())
        }
        Err(failure) => {
            let kind = failure.downcast_ref().map(socketserver::Error::kind);
            Cast::tell(&format!("failed: {failure}"));
            if kind == Some(ErrorKind::Unsupported) { 2 } else { 3 }
        }
    }
}

pub(crate) fn assign(command: &mut std::process::Command, role: &str, how: How, endpoint: &str) {
    command.env(ROLE, role).env(HOW, how.to_string()).env(ENDPOINT, endpoint);
}

impl Cast {
    /// The model to play with.
    #[must_use]
    pub fn how(&self) -> How {
        self.how
    }

    /// The address to listen at; of several the first.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.endpoints().next().unwrap_or_default()
    }

    /// The addresses to listen at.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.endpoint.lines()
    }

    /// A bound server that stops on signals and tells the stage of every event.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn server(&self) -> Result<Server> {
        let endpoints: Vec<&str> = self.endpoints().collect();
        Self::server_at(&endpoints)
    }

    /// As [`server`](Self::server), at addresses of the role's own choice.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn server_at(endpoints: &[&str]) -> Result<Server> {
        Ok(Server::bind(endpoints)?.observe(Tell).stop_on_signals()?)
    }

    /// Serves with the model that the stage asks for.
    ///
    /// # Errors
    /// As [`Server::serve`].
    pub fn serve(&self, mut server: Server, part: impl Part) -> Result<Report> {
        self.serve_again(&mut server, part)
    }

    /// As [`serve`](Self::serve), on a server that is kept.
    ///
    /// # Errors
    /// As [`Server::serve`].
    pub fn serve_again(&self, server: &mut Server, part: impl Part) -> Result<Report> {
        self.serve_any(server, Played(part))
    }

    /// As [`serve_again`](Self::serve_again), with any handler that every model runs: of packets, or a [`Played`] part and
    /// one of packets in a pair.
    ///
    /// # Errors
    /// As [`Server::serve`].
    pub fn serve_any<H, B, A>(&self, server: &mut Server, handler: H) -> Result<Report>
    where
        H: RunsOn<Serial, B> + RunsOn<Threads, B> + RunsOn<Forks, B> + RunsOn<Tasks, A> + Send + Sync + 'static,
    {
        Self::listening(server);
        self.how.serve(server, handler)
    }

    /// Serves in a runtime of the role's own, as [`How::Run`] does, with a handler that no other model need run.
    ///
    /// # Errors
    /// As [`Server::run`].
    pub fn run<H, K>(&self, mut server: Server, handler: H) -> Result<Report>
    where
        H: RunsOn<Tasks, K> + Send + Sync + 'static,
    {
        Self::listening(&server);
        run_here(&mut server, handler)
    }

    /// Serves with a model of the role's own choice; a [`Part`] has to be [`Played`].
    ///
    /// # Errors
    /// As [`Server::serve`].
    pub fn serve_on<M: socketserver::Model, H, K>(&self, mut server: Server, model: M, handler: H) -> Result<Report>
    where
        socketserver::AnyEngine: socketserver::Suits<M::Engine>,
        H: RunsOn<M, K> + Send + Sync + 'static,
    {
        Self::listening(&server);
        Ok(server.serve(model, handler)?)
    }

    fn listening(server: &Server) {
        for endpoint in server.endpoints() {
            Self::tell(&format!("listening {endpoint}"));
        }
    }

    /// A line to the stage, whole, from any process of the server.
    pub fn tell(line: &str) {
        let _ = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes());
        let _ = std::io::stdout().flush();
    }
}

/// Tells the stage what happens.
struct Tell;

impl Observer for Tell {
    fn opened(&self, e: &Opened<'_>) {
        Cast::tell(&format!("opened id={} peer={}", e.id, e.peer));
    }
    fn closed(&self, e: &Closed<'_>) {
        Cast::tell(&format!(
            "closed id={} reason={} read={} written={} failure={}",
            e.id,
            e.reason.as_str(),
            e.read,
            e.written,
            e.failure.unwrap_or("-")
        ));
    }
    fn refused(&self, e: &Refused<'_>) {
        Cast::tell(&format!("refused why={} peer={}", e.why, e.peer));
    }
    fn accept_failed(&self, e: &AcceptFailed<'_>) {
        Cast::tell(&format!("accept_failed {} {:?}", e.error, e.then));
    }
    fn unsent(&self, e: &Unsent<'_>) {
        Cast::tell(&format!("unsent peer={} {}", e.peer, e.error));
    }
    fn undelivered(&self, e: &Undelivered<'_>) {
        Cast::tell(&format!("undelivered peer={} {}", e.peer, e.error));
    }
    fn spawn_failed(&self, e: &SpawnFailed<'_>) {
        Cast::tell(&format!("spawn_failed {} {}", e.what, e.error));
    }
    fn child_ended(&self, e: &ChildEnded) {
        Cast::tell(&format!("child_ended {} connection={:?}", e.how, e.connection));
    }
    fn hook_failed(&self, e: &HookFailed<'_>) {
        Cast::tell(&format!("hook_failed {} {}", e.hook, e.failure));
    }
    fn hogged(&self, e: &Hogged) {
        Cast::tell(&format!("hogged id={} shard={}", e.connection, e.shard));
    }
    fn tls_reloaded(&self, e: &TlsReloaded<'_>) {
        let fingerprints: Vec<_> = e.fingerprints.iter().map(ToString::to_string).collect();
        Cast::tell(&format!("tls_reloaded {}", fingerprints.join(",")));
    }
    fn tls_reload_failed(&self, e: &TlsReloadFailed<'_>) {
        Cast::tell(&format!("tls_reload_failed {}", e.failure));
    }
    fn draining(&self, e: &Draining) {
        Cast::tell(&format!("draining open={}", e.open));
    }
    fn cut(&self, e: &Cut) {
        Cast::tell(&format!("cut id={}", e.id));
    }
}
