use super::{CAP, Exit, MAX_REFUSED, MAX_RUN, Method, Methods, PIECE, Refusal, Side, WireError, Words, open};
use std::fmt;

/// How long a nonce is.
pub const NONCE: usize = 32;
/// How long a proof is: that of HMAC-SHA-256 (RFC 2104, RFC 6234).
pub const MAC: usize = 32;

/// What sort of frame.
///
/// ```
/// use socketserver_proto::exec::Kind;
/// assert_eq!(Kind::Stdout.to_string(), "STDOUT");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The first eight bytes, which are no frame.
    Version = 0,
    /// How one may prove who one is.
    Hello = 1,
    /// A proof, and the answer to it.
    Auth = 2,
    /// A command.
    Run = 3,
    /// What it said on its standard output.
    Stdout = 4,
    /// What it said on its standard error.
    Stderr = 5,
    /// How it ended.
    Exit = 6,
    /// A sentence that says why not.
    Refused = 7,
}

impl Kind {
    const FRAMES: [Self; 7] =
        [Self::Hello, Self::Auth, Self::Run, Self::Stdout, Self::Stderr, Self::Exit, Self::Refused];

    pub(super) fn from_byte(byte: u8) -> Result<Self, WireError> {
        Self::FRAMES.into_iter().find(|kind| *kind as u8 == byte).ok_or(WireError::Kind(byte))
    }

    /// How long its payload may be, from there, where no frame may be longer than `cap`.
    pub(super) fn max(self, from: Side, cap: usize) -> usize {
        match (self, from) {
            (Self::Version, _) => 0,
            (Self::Hello, _) => 1 + NONCE,
            (Self::Auth, Side::Client) => 1 + NONCE + MAC,
            (Self::Auth, Side::Server) => MAC,
            (Self::Run, _) => cap.min(MAX_RUN),
            (Self::Stdout | Self::Stderr, _) => cap,
            (Self::Exit, _) => Exit::SIZE,
            (Self::Refused, _) => MAX_REFUSED,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "version",
            Self::Hello => "HELLO",
            Self::Auth => "AUTH",
            Self::Run => "RUN",
            Self::Stdout => "STDOUT",
            Self::Stderr => "STDERR",
            Self::Exit => "EXIT",
            Self::Refused => "REFUSED",
        })
    }
}

/// What a client says to prove who it is: a method, and what that takes.
///
/// ```
/// use socketserver_proto::exec::{Method, Proof};
/// let proof = Proof::Token { nonce: [1; 32], mac: [2; 32] };
/// assert_eq!(proof.method(), Method::Token);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// Nothing is asked for.
    None,
    /// See who I am.
    Credentials,
    /// See what I have shown.
    Certificate,
    /// I know the token.
    Token {
        /// A fresh one of the client's.
        nonce: [u8; NONCE],
        /// What nobody else could say.
        mac: [u8; MAC],
    },
}

impl Proof {
    /// By which method.
    #[must_use]
    pub fn method(&self) -> Method {
        match self {
            Self::None => Method::None,
            Self::Credentials => Method::Credentials,
            Self::Certificate => Method::Certificate,
            Self::Token { .. } => Method::Token,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.method() as u8);
        if let Self::Token { nonce, mac } = self {
            out.extend_from_slice(nonce);
            out.extend_from_slice(mac);
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let wrong = |what| WireError::Malformed(Kind::Auth, what);
        let (method, rest) = bytes.split_first().ok_or(wrong("it is empty"))?;
        let method = Method::from_byte(*method).ok_or(wrong("there is no such method"))?;
        if method == Method::Token {
            let (nonce, mac) = rest.split_first_chunk().ok_or(wrong("it is too short"))?;
            let mac = mac.try_into().map_err(|_| wrong("its proof is not 32 bytes long"))?;
            return Ok(Self::Token { nonce: *nonce, mac });
        }
        if !rest.is_empty() {
            return Err(wrong("there is something behind its method"));
        }
        Ok(match method {
            Method::Credentials => Self::Credentials,
            Method::Certificate => Self::Certificate,
            Method::None | Method::Token => Self::None,
        })
    }
}

/// Whatever one side says to the other.
///
/// ```
/// use socketserver_proto::exec::{Frame, Receiver, Side, Stage, WireError};
/// let mut sent = Vec::new();
/// Frame::Stdout(b"hello\n").encode(&mut sent);
/// assert_eq!(sent, b"\x04\x00\x00\x00\x06hello\n");
/// let mut client = Receiver::at(Side::Client, Stage::Running);
/// assert_eq!(client.next(&mut &sent[..])?, Some(Frame::Stdout(b"hello\n")));
/// # Ok::<(), WireError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame<'a> {
    /// The first that each says.
    Version(u16),
    /// What the server takes for a proof, and what has to be in it.
    Hello {
        /// How one may prove who one is.
        methods: Methods,
        /// Good once, and for this connection.
        nonce: [u8; NONCE],
    },
    /// A proof of the client's.
    Auth(Proof),
    /// It will do. Of a token the server proves that it knows it too.
    Welcome(Option<[u8; MAC]>),
    /// What is to be run.
    Run(Words<'a>),
    /// What the command said on its standard output.
    Stdout(&'a [u8]),
    /// What it said on its standard error.
    Stderr(&'a [u8]),
    /// How it ended.
    Exit(Exit),
    /// Why not.
    Refused(Refusal<'a>),
}

impl<'a> Frame<'a> {
    /// What sort of frame.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Version(_) => Kind::Version,
            Self::Hello { .. } => Kind::Hello,
            Self::Auth(_) | Self::Welcome(_) => Kind::Auth,
            Self::Run(_) => Kind::Run,
            Self::Stdout(_) => Kind::Stdout,
            Self::Stderr(_) => Kind::Stderr,
            Self::Exit(_) => Kind::Exit,
            Self::Refused(_) => Kind::Refused,
        }
    }

    /// Its bytes, behind what is in `out`. Output of more than [`PIECE`] bytes becomes several frames, and none at all
    /// becomes none.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Version(version) => open(*version, out),
            Self::Hello { methods, nonce } => {
                let mut payload = [0; 1 + NONCE];
                payload[0] = methods.0;
                payload[1..].copy_from_slice(nonce);
                put(Kind::Hello, &payload, out);
            }
            Self::Auth(proof) => {
                let mut payload = Vec::with_capacity(1 + NONCE + MAC);
                proof.encode(&mut payload);
                put(Kind::Auth, &payload, out);
            }
            Self::Welcome(mac) => put(Kind::Auth, mac.as_ref().map_or(&[], |mac| mac), out),
            // Looked at when it was made.
            Self::Run(words) => drop(super::run(&words.iter().collect::<Vec<_>>(), out)),
            Self::Stdout(bytes) | Self::Stderr(bytes) => {
                bytes.chunks(PIECE).for_each(|piece| put(self.kind(), piece, out))
            }
            Self::Exit(exit) => put(Kind::Exit, &exit.to_bytes(), out),
            Self::Refused(refusal) => {
                let mut payload = Vec::new();
                refusal.encode(&mut payload);
                put(Kind::Refused, &payload, out);
            }
        }
    }

    pub(super) fn from_bytes(kind: Kind, from: Side, bytes: &'a [u8]) -> Result<Self, WireError> {
        let wrong = |what| WireError::Malformed(kind, what);
        Ok(match kind {
            Kind::Version => return Err(wrong("it is no frame")),
            Kind::Hello => {
                let (methods, nonce) = bytes.split_first().ok_or(wrong("it is empty"))?;
                let nonce = nonce.try_into().map_err(|_| wrong("its nonce is not 32 bytes long"))?;
                Self::Hello { methods: Methods(*methods), nonce }
            }
            Kind::Auth if from == Side::Client => Self::Auth(Proof::from_bytes(bytes)?),
            Kind::Auth if bytes.is_empty() => Self::Welcome(None),
            Kind::Auth => Self::Welcome(Some(bytes.try_into().map_err(|_| wrong("its proof is not 32 bytes long"))?)),
            Kind::Run => Self::Run(Words::from_bytes(bytes)?),
            Kind::Stdout => Self::Stdout(bytes),
            Kind::Stderr => Self::Stderr(bytes),
            Kind::Exit => Self::Exit(Exit::from_bytes(bytes)?),
            Kind::Refused => Self::Refused(Refusal::from_bytes(bytes)?),
        })
    }
}

/// A frame whose payload is no longer than it may be.
pub(super) fn put(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    debug_assert!(payload.len() <= CAP, "{kind}: {} bytes", payload.len());
    out.push(kind as u8);
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(payload);
}
