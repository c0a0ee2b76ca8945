use super::Kind;

/// One of the two ends.
///
/// ```
/// use socketserver_proto::exec::Side;
/// assert_eq!(Side::Server.other(), Side::Client);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who asks.
    Client,
    /// Who runs.
    Server,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// How far a conversation has come. Both sides go through the same stages, by what they send and what they receive.
///
/// ```text
///  Opening ──version──▶ Answering ──version──▶ Greeting ──HELLO──▶ Proving ──AUTH──▶ Judging ──AUTH──▶ Ready
///   client               server                 server              client            server          │  ▲
///                                                                                                   RUN  EXIT, REFUSED
///                    REFUSED, from Greeting on: Over                                                  ▼  │
///                                                                            STDOUT, STDERR ──────▶ Running
/// ```
///
/// ```
/// use socketserver_proto::exec::{Kind, Side, Stage};
/// assert_eq!(Stage::Ready.after(Side::Client, Kind::Run), Some(Stage::Running));
/// assert_eq!(Stage::Proving.after(Side::Client, Kind::Run), None, "who asks is to be known first");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The client says its version.
    Opening,
    /// The server says which is spoken.
    Answering,
    /// The server says how one may prove who one is.
    Greeting,
    /// The client proves who it is.
    Proving,
    /// The server says whether that will do.
    Judging,
    /// The client may ask.
    Ready,
    /// A command runs, or is about to.
    Running,
    /// Nothing comes any more.
    Over,
}

impl Stage {
    /// What comes after a frame of this type from there; `None`: it may not come now.
    #[must_use]
    pub fn after(self, from: Side, kind: Kind) -> Option<Self> {
        use Side::{Client, Server};
        Some(match (self, from, kind) {
            (Self::Opening, Client, Kind::Version) => Self::Answering,
            (Self::Answering, Server, Kind::Version) => Self::Greeting,
            (Self::Greeting, Server, Kind::Hello) => Self::Proving,
            (Self::Proving, Client, Kind::Auth) => Self::Judging,
            (Self::Judging, Server, Kind::Auth) => Self::Ready,
            (Self::Ready, Client, Kind::Run) => Self::Running,
            (Self::Running, Server, Kind::Stdout | Kind::Stderr) => Self::Running,
            (Self::Running, Server, Kind::Exit | Kind::Refused) => Self::Ready,
            (Self::Greeting | Self::Proving | Self::Judging | Self::Ready, Server, Kind::Refused) => Self::Over,
            _ => return None,
        })
    }
}
