//! What the generator does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socketserver_load::{ConnectClose, Load, Target};

/// Before the window of each visit opens.
const WARMUP: Duration = Duration::from_millis(300);

/// The clients of many connections come from 127.0.0.1 up to this one: so ports are quickly found, also while those of
/// earlier visits are still in TIME_WAIT.
const LAST_SOURCE: u8 = 64;

/// So many connections are many.
const MANY: usize = 5_000;

/// Between the message numbers of two generators.
const APART: u64 = 1 << 40;

/// How messages are told apart.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// Not at all.
    Bytes,
    /// Each ends in a newline.
    Lines,
    /// Before each is its length, 4 bytes in network byte order.
    Frames,
}

/// One kind of work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// Connections that stay, each with `depth` messages in flight.
    Echo { connections: usize, depth: usize, size: usize, form: Form },
    /// A connection for each message, reset by the client.
    ConnectEchoClose { parallel: usize },
    /// Packets over one UDP socket, so many in flight, of which so many leave as a train.
    Packets { depth: usize, size: usize, train: usize },
    /// A room of so many members, and one more that publishes, so many messages ahead of the slowest of them.
    Room { members: usize, depth: usize, size: usize },
    /// So many peers of a server over UDP, each an address of its own that has one message echoed, 64 at a time; then all are
    /// idle, for as long as other visits are measured.
    Sessions { sessions: usize },
    /// Connections that have one message echoed and then stay idle, for as long as other visits are measured.
    Idle { connections: usize },
}

impl Work {
    /// Messages of 64 bytes, one in flight on each connection.
    pub(crate) const fn echo(connections: usize) -> Self {
        Self::Echo { connections, depth: 1, size: 64, form: Form::Bytes }
    }

    /// Connections open at a time.
    pub(crate) fn connections(self) -> usize {
        match self {
            Self::Echo { connections, .. } | Self::Idle { connections } => connections,
            Self::Room { members, .. } => members,
            Self::ConnectEchoClose { parallel } => parallel,
            // Sockets.
            Self::Packets { .. } | Self::Sessions { .. } => 1,
        }
    }

    /// Over UDP, and not over TCP.
    pub(crate) fn is_datagrams(self) -> bool {
        matches!(self, Self::Packets { .. } | Self::Sessions { .. })
    }

    /// Among whom the server's memory is divided: as many as it knows of.
    pub(crate) fn clients(self) -> usize {
        match self {
            Self::Sessions { sessions } => sessions,
            _ => self.connections(),
        }
    }

    /// How long it is measured, when others are for `duration`: where there are many connections it takes a while until each has
    /// had a turn.
    fn window(self, duration: Duration) -> Duration {
        if self.connections() >= MANY { duration.max(Duration::from_secs(1)) } else { duration }
    }

    /// The load of this work on a server, shared among that many generators.
    pub(crate) fn loads(self, address: SocketAddr, duration: Duration, generators: usize) -> Vec<Load> {
        let sources = || (1..=LAST_SOURCE).map(|last| IpAddr::from([127, 0, 0, last]));
        let share = |generator| {
            let target = if self.is_datagrams() { Target::Udp(address) } else { Target::Tcp(address) };
            let load = Load::new(target).connections(self.connections() / generators);
            let load = if self.connections() >= MANY { load.sources(sources()) } else { load };
            self.load(load, duration).numbered_from(generator as u64 * APART)
        };
        (0..generators).map(share).collect()
    }

    fn load(self, load: Load, duration: Duration) -> Load {
        let duration = self.window(duration);
        match self {
            Self::Echo { depth, size, form, .. } => {
                let load = load.depth(depth).size(size).warmup(WARMUP).duration(duration);
                match form {
                    Form::Bytes => load,
                    Form::Lines => load.lines(),
                    Form::Frames => load.framed(),
                }
            }
            Self::Room { depth, size, .. } => {
                load.room().depth(depth).size(size).lines().warmup(WARMUP).duration(duration)
            }
            Self::Packets { depth, size, train } => {
                let load = load.depth(depth).size(size).warmup(WARMUP).duration(duration);
                if train > 1 { load.trains(train) } else { load }
            }
            Self::ConnectEchoClose { .. } => {
                load.warmup(WARMUP).duration(duration).connect_per_request(ConnectClose::Reset)
            }
            Self::Sessions { sessions } => load.peers(sessions).requests(sessions as u64).depth(64),
            Self::Idle { connections } => load.requests(connections as u64),
        }
    }

    /// How long the connections stay as they are before the server's clocks are read for the last time.
    pub(crate) fn rest(self, duration: Duration) -> Duration {
        match self {
            Self::Idle { .. } | Self::Sessions { .. } => duration,
            Self::Echo { .. } | Self::Room { .. } | Self::ConnectEchoClose { .. } | Self::Packets { .. } => {
                Duration::ZERO
            }
        }
    }
}
