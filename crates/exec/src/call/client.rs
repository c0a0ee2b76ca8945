use super::{CallError, patience};
use crate::auth::{self, Channel, Transcript};
use crate::{Output, Token};
use socketserver::blocking;
use socketserver_proto::exec::{
    Exit, Frame, Kind, MAC, Method, Methods, NONCE, Proof, Receiver, Side, VERSION, WireError, run,
};
use std::fmt;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

/// A connection to a server of commands, over which one after the other is run; [`Caller`](super::Caller) makes it.
///
/// Dropping it ends the command that runs.
///
/// ```standalone_crate
/// use socketserver::{Server, Threads};
/// use socketserver_exec::{Auth, Caller, Commands, Exec, Fate, Output, supervise_if_asked};
///
/// fn main() -> socketserver::Result {
///     supervise_if_asked();
///     let commands = Commands::parse("[sh]\nargv = [\"/bin/sh\", \"-c\"]\narguments = ['.*']", "commands")?;
///     let server = Server::bind("unix:@doc-client")?.spawn(Threads::new(2), Exec::native(commands, Auth::new())?)?;
///     let mut client = Caller::new().connect("unix:@doc-client")?;
///     let (mut out, mut err) = (Vec::new(), Vec::new());
///     let exit = client.run(&["sh", "echo out; echo err >&2; kill -9 $$"], &mut |output, bytes| {
///         match output {
///             Output::Stdout => out.extend_from_slice(bytes),
///             Output::Stderr => err.extend_from_slice(bytes),
///         }
///         Ok(())
///     })?;
///     assert_eq!((exit.fate, exit.status()), (Fate::Killed(9), 137));
///     assert_eq!((&out[..], &err[..]), (&b"out\n"[..], &b"err\n"[..]));
///     drop(client);
///     server.stop()?;
///     Ok(())
/// }
/// ```
pub struct Client {
    stream: blocking::Stream,
    receiver: Receiver,
    /// What is read into.
    buffer: Box<[u8]>,
    /// What of it was read and not used yet.
    unused: Range<usize>,
    until: Option<Instant>,
}

/// As much as is read at once.
const AT_ONCE: usize = 64 << 10;

/// As much as is written at once.
const PIECE: usize = 16 << 10;

/// How long a server may take nothing of what is written to it.
const WRITE: Duration = Duration::from_secs(30);

/// What a server says, as far as it has to be kept.
enum Heard {
    Version,
    Hello(Methods, [u8; NONCE]),
    Welcome(Option<[u8; MAC]>),
    Exit(Exit),
}

type Sink<'a> = dyn FnMut(Output, &[u8]) -> io::Result<()> + 'a;

/// Before a command was asked for nothing of one is said.
fn nothing(_: Output, _: &[u8]) -> io::Result<()> {
    Ok(())
}

impl Client {
    pub(super) fn begin(
        stream: blocking::Stream,
        channel: &Channel,
        token: Option<&Token>,
        until: Option<Instant>,
    ) -> Result<Self, CallError> {
        let receiver = Receiver::new(Side::Client);
        let mut client = Self { stream, receiver, buffer: vec![0; AT_ONCE].into(), unused: 0..0, until };
        // Of a server that has gone without a word nobody else would tell.
        if client.stream.peer().addr().is_some() {
            let _ = rustix::net::sockopt::set_socket_keepalive(&client.stream, true);
        }
        match client.be_let_in(channel, token, Instant::now() + patience(until)) {
            Ok(()) => Ok(client),
            Err(CallError::TimedOut) => Err(CallError::Silent.or_timed_out(until)),
            // Whoever is there has proved nothing yet: of a command it can say nothing.
            Err(CallError::Refused { why, text }) => Err(CallError::NotLetIn { why, text }),
            Err(error) => Err(error.or_timed_out(until)),
        }
    }

    fn be_let_in(&mut self, channel: &Channel, token: Option<&Token>, until: Instant) -> Result<(), CallError> {
        let until = Some(until);
        self.say(&Frame::Version(VERSION), until)?;
        let Heard::Version = self.hear(until, &mut nothing)? else { unreachable!("the order is kept") };
        let Heard::Hello(methods, server) = self.hear(until, &mut nothing)? else { unreachable!("the order is kept") };
        let Some(token) = token else {
            self.say(&Frame::Auth(without_token(methods)?), until)?;
            return match self.hear(until, &mut nothing)? {
                Heard::Welcome(_) => Ok(()),
                _ => unreachable!("the order is kept"),
            };
        };
        if !methods.has(Method::Token) {
            return Err(CallError::TakesNoToken(methods.to_string()));
        }
        let nonce = auth::nonce().map_err(CallError::Disconnected)?;
        let transcript = Transcript { methods, server, client: nonce, binding: channel.binding };
        let mac = transcript.prove(Side::Client, token).ok_or(CallError::Unbound)?;
        self.say(&Frame::Auth(Proof::Token { nonce, mac }), until)?;
        match self.hear(until, &mut nothing)? {
            // It learns nothing of what is to be run before it has proved in turn that it knows the token.
            Heard::Welcome(Some(mac)) if transcript.is_proved(Side::Server, token, &mac) => Ok(()),
            _ => Err(CallError::FalseServer),
        }
    }

    /// Runs a command: its name, then its arguments, each as it is. What it says is given to `sink` as it comes; while that
    /// waits the command waits in its writes.
    ///
    /// # Errors
    /// [`CallError::Request`] and [`CallError::Refused`], after which the next may be run, and the ends of the connection, after
    /// which none can: [`CallError::Sink`] is one of them.
    pub fn run(
        &mut self,
        words: &[impl AsRef<str>],
        sink: &mut impl FnMut(Output, &[u8]) -> io::Result<()>,
    ) -> Result<Exit, CallError> {
        let mut request = Vec::new();
        run(words, &mut request).map_err(CallError::Request)?;
        let heard = self.send(&request, Kind::Run, self.until).and_then(|()| self.hear(self.until, sink));
        match heard.map_err(|error| error.or_timed_out(self.until))? {
            Heard::Exit(exit) => Ok(exit),
            _ => unreachable!("the order is kept"),
        }
    }

    fn say(&mut self, frame: &Frame<'_>, until: Option<Instant>) -> Result<(), CallError> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.send(&bytes, frame.kind(), until)
    }

    fn send(&mut self, bytes: &[u8], kind: Kind, until: Option<Instant>) -> Result<(), CallError> {
        self.receiver.sent(kind)?;
        // Piece by piece: the deadline of a write is that of its next byte.
        for piece in bytes.chunks(PIECE) {
            self.stream.set_write_timeout(Some(left(until)?.map_or(WRITE, |left| left.min(WRITE))));
            self.stream.write_all(piece).map_err(CallError::Disconnected)?;
        }
        Ok(())
    }

    /// What the server says next, beside what the command says.
    fn hear(&mut self, until: Option<Instant>, sink: &mut Sink<'_>) -> Result<Heard, CallError> {
        loop {
            let mut input = &self.buffer[self.unused.clone()];
            let frame = self.receiver.next(&mut input)?;
            self.unused.start = self.unused.end - input.len();
            let (output, bytes) = match frame {
                None => {
                    self.fill(until)?;
                    continue;
                }
                Some(Frame::Stdout(bytes)) => (Output::Stdout, bytes),
                Some(Frame::Stderr(bytes)) => (Output::Stderr, bytes),
                Some(Frame::Version(_)) => return Ok(Heard::Version),
                Some(Frame::Hello { methods, nonce }) => return Ok(Heard::Hello(methods, nonce)),
                Some(Frame::Welcome(mac)) => return Ok(Heard::Welcome(mac)),
                Some(Frame::Exit(exit)) => return Ok(Heard::Exit(exit)),
                Some(Frame::Refused(refusal)) => {
                    return Err(CallError::Refused { why: refusal.why, text: refusal.text.to_owned() });
                }
                Some(other) => return Err(WireError::Order(other.kind()).into()),
            };
            sink(output, bytes).map_err(CallError::Sink)?;
        }
    }

    /// Reads more; all of what was read was used.
    fn fill(&mut self, until: Option<Instant>) -> Result<(), CallError> {
        self.stream.set_idle(left(until)?);
        let count = match self.stream.read(&mut self.buffer) {
            Ok(0) => {
                self.receiver.finish()?;
                return Err(CallError::Disconnected(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the server has closed it",
                )));
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(CallError::TimedOut),
            Err(error) => return Err(CallError::Disconnected(error)),
        };
        self.unused = 0..count;
        Ok(())
    }
}

/// What is left of the time, 1 ms at least; `None`: it is not limited.
fn left(until: Option<Instant>) -> Result<Option<Duration>, CallError> {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    match left.is_some_and(|left| left.is_zero()) {
        true => Err(CallError::TimedOut),
        false => Ok(left.map(|left| left.max(Duration::from_millis(1)))),
    }
}

/// How to prove who we are with what we have shown.
fn without_token(methods: Methods) -> Result<Proof, CallError> {
    let mine = [
        (Method::Credentials, Proof::Credentials),
        (Method::Certificate, Proof::Certificate),
        (Method::None, Proof::None),
    ];
    mine.into_iter().find(|(method, _)| methods.has(*method)).map(|(_, proof)| proof).ok_or(CallError::WantsToken)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("peer", self.stream.peer()).finish_non_exhaustive()
    }
}
