//! The other side: who asks.

mod client;
mod error;

pub use client::Client;
pub use error::CallError;

use crate::Token;
use crate::auth::{Binding, Channel, may_be_anybody};
use socketserver::blocking;
use socketserver::client::{Connector, Target};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long a server may take to let somebody in.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to ask for commands over the native protocol: with which token, and for how long.
///
/// ```standalone_crate
/// use socketserver::{Server, Threads};
/// use socketserver_exec::{Auth, CallError, Caller, Commands, Exec, Token, supervise_if_asked};
///
/// fn main() -> socketserver::Result {
///     supervise_if_asked();
///     let token = Token::new(b"c4f0b1c5fd1c4c1e8d7a64a0f7bd3a52")?;
///     let commands = Commands::parse("[no]\nargv = [\"/bin/false\"]", "commands")?;
///     let exec = Exec::native(commands, Auth::new().token(token.clone()))?;
///     let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::new(2), exec)?;
///     let at = server.handle().endpoints()[0].clone();
///
///     let mut client = Caller::new().token(token).connect(&at)?;
///     assert_eq!(client.run(&["no"], &mut |_, _| Ok(()))?.status(), 1);
///     // The connection may be used again; without the token there is none.
///     assert!(client.run(&["yes"], &mut |_, _| Ok(())).unwrap_err().to_string().contains("known: no"));
///     assert!(matches!(Caller::new().connect(&at), Err(CallError::WantsToken)));
///     drop(client);
///     server.stop()?;
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Caller {
    token: Option<Token>,
    servers: BTreeSet<u32>,
    timeout: Option<Duration>,
    connector: Connector,
}

impl Caller {
    /// Without a token, over `tls://` by the authorities of the system, for as long as the server lets a command run.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Proves that it knows this token, and that the server does; then nothing else will do.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Over a Unix socket the server may be this user's too; beside root's and our own, which it has to be unless said
    /// otherwise. Whoever may write a directory can put a socket there, and be asked for commands. It is not looked at with a
    /// [token](Self::token), which the server proves.
    ///
    /// Whose it is says the kernel (`SO_PEERCRED`, `unix(7)`): the user who began to listen, whoever accepts now.
    #[must_use]
    pub fn server_user(mut self, uid: u32) -> Self {
        self.servers.insert(uid);
        self
    }

    /// How it connects: whom it trusts over `tls://`, and which certificate it shows. For how long it tries says
    /// [`timeout`](Self::timeout).
    #[must_use]
    pub fn connector(mut self, connector: Connector) -> Self {
        self.connector = connector;
        self
    }

    /// How long everything may take together, from the connection on; `None`, as it is unless said otherwise: for ever,
    /// but 10 s each for the connection and until one is let in. A command that runs then ends with the connection. Looking
    /// up the name of a host, and what takes the output, are waited for all the same: then it is seen after them.
    #[must_use]
    pub fn timeout(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.timeout = time.into();
        self
    }

    /// Connects, and proves who asks. Beyond the loopback nothing travels without TLS.
    ///
    /// # Errors
    /// Nobody is there; the server speaks something else; it does not let us in, is not who knows the token, or is that of a
    /// user who was not [named](Self::server_user).
    pub fn connect(&self, target: impl Target) -> Result<Client, CallError> {
        let until = self.until();
        let connected = self.connector.clone().within(patience(until)).connect(target);
        let stream = connected.map_err(|error| CallError::Unreachable(error).or_timed_out(until))?;
        self.begin_until(stream, until)
    }

    /// As [`connect`](Self::connect), over a connection that is there.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn begin(&self, stream: blocking::Stream) -> Result<Client, CallError> {
        self.begin_until(stream, self.until())
    }

    fn begin_until(&self, stream: blocking::Stream, until: Option<Instant>) -> Result<Client, CallError> {
        let channel = channel(&stream);
        if !channel.is_near && channel.binding == Binding::Plain {
            return Err(CallError::WantsTls(stream.peer().to_string()));
        }
        if let Some(credentials) = channel.credentials.filter(|_| self.token.is_none())
            && !self.trusts(credentials.uid)
        {
            return Err(CallError::ForeignServer(credentials.uid));
        }
        Client::begin(stream, &channel, self.token.as_ref(), until)
    }

    fn trusts(&self, uid: u32) -> bool {
        let is_ours = uid == 0 || uid == rustix::process::geteuid().as_raw() || self.servers.contains(&uid);
        is_ours && !may_be_anybody(uid)
    }

    fn until(&self) -> Option<Instant> {
        // What is beyond the clock is never.
        self.timeout.and_then(|time| Instant::now().checked_add(time))
    }
}

/// How long one step on the way in may take.
fn patience(until: Option<Instant>) -> Duration {
    until.map_or(PATIENCE, |until| until.saturating_duration_since(Instant::now()).min(PATIENCE))
}

/// What the connection says of the server.
fn channel(stream: &blocking::Stream) -> Channel {
    let on_loopback = stream.peer().addr().is_some_and(|addr| addr.ip().to_canonical().is_loopback());
    let binding =
        Binding::of(stream.tls(), |output, label, context| stream.export_keying_material(output, label, context));
    Channel::of(stream.peer(), on_loopback, binding)
}
