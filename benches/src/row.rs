//! What is measured: the rows of the issue "Speed and memory".

use std::time::Duration;

use socketserver_load::{ConnectClose, Load, Target as Address};

use crate::peer::Peer;
use crate::visit::Visit;

/// Bytes of every message.
const SIZE: usize = 64;

/// Before the window of each visit opens.
const WARMUP: Duration = Duration::from_millis(300);

/// One kind of work, and who is compared with whom at it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) work: Work,
    /// Measured when no row is named.
    pub(crate) by_default: bool,
    pub(crate) comparisons: &'static [Plan],
}

/// What the generator does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    Echo { connections: usize, depth: usize, lines: bool },
    ConnectEchoClose { parallel: usize },
}

/// A candidate, what it is compared with, and what it is to reach.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) candidate: Peer,
    pub(crate) reference: Peer,
    /// What the target is about, and which visits count is judged by; the other measure is shown beside it.
    pub(crate) measure: Measure,
    pub(crate) target: Target,
}

/// What of a visit is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Messages a second.
    Rate,
    /// The server's CPU time a message, or a connection.
    Cpu,
}

/// What a ratio, candidate to reference, is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// What was measured of peers of this kind elsewhere, within 10 %.
    About(f64),
    /// Only to be known.
    None,
}

impl Work {
    /// The load of this work on a server.
    pub(crate) fn load(self, address: Address, duration: Duration) -> Load {
        let load = Load::new(address).size(SIZE).warmup(WARMUP).duration(duration);
        match self {
            Self::Echo { connections, depth, lines: false } => load.connections(connections).depth(depth),
            Self::Echo { connections, depth, lines: true } => load.connections(connections).depth(depth).lines(),
            Self::ConnectEchoClose { parallel } => load.connections(parallel).connect_per_request(ConnectClose::Reset),
        }
    }
}

impl Measure {
    pub(crate) const ALL: [Self; 2] = [Self::Rate, Self::Cpu];

    pub(crate) fn of(self, visit: &Visit) -> f64 {
        match self {
            Self::Rate => visit.rate,
            Self::Cpu => visit.cpu_each.as_secs_f64(),
        }
    }
}

const fn plan(candidate: Peer, reference: Peer, measure: Measure, target: Target) -> Plan {
    Plan { candidate, reference, measure, target }
}

const ECHO: Work = Work::Echo { connections: 50, depth: 1, lines: false };
const CONNECT: Work = Work::ConnectEchoClose { parallel: 16 };
const LINE: Work = Work::Echo { connections: 50, depth: 16, lines: true };

/// All rows, in the order of the table.
pub(crate) static ROWS: &[Row] = &[
    Row {
        name: "echo",
        work: ECHO,
        by_default: true,
        comparisons: &[
            plan(Peer::OursEcho, Peer::ThreadsEcho, Measure::Rate, Target::AtLeast(1.0)),
            plan(Peer::OursEcho, Peer::PythonEcho, Measure::Rate, Target::None),
            plan(Peer::OursEcho, Peer::EpollEcho, Measure::Rate, Target::None),
        ],
    },
    Row {
        name: "connect",
        work: CONNECT,
        by_default: true,
        comparisons: &[
            plan(Peer::OursEcho, Peer::ThreadsEcho, Measure::Cpu, Target::AtMost(0.5)),
            plan(Peer::OursEcho, Peer::PythonEcho, Measure::Cpu, Target::AtMost(0.2)),
            plan(Peer::OursEcho, Peer::EpollEcho, Measure::Cpu, Target::AtMost(1.0)),
        ],
    },
    Row {
        name: "line",
        work: LINE,
        by_default: true,
        comparisons: &[
            plan(Peer::OursLine, Peer::ThreadsLineChunks, Measure::Rate, Target::AtLeast(0.6)),
            plan(Peer::OursLine, Peer::PythonLine, Measure::Rate, Target::AtLeast(10.0)),
        ],
    },
    // Do the peers reach what their kind was measured at? The two thread-a-connection columns are compared with
    // each other, since raw epoll saturates one generator and not another: against it, ratios tell of the generator.
    Row {
        name: "peers-echo",
        work: ECHO,
        by_default: false,
        comparisons: &[
            plan(Peer::PythonEcho, Peer::ThreadsEcho, Measure::Rate, Target::About(0.57 / 0.67)),
            plan(Peer::ThreadsEcho, Peer::EpollEcho, Measure::Rate, Target::None),
        ],
    },
    Row {
        name: "peers-connect",
        work: CONNECT,
        by_default: false,
        comparisons: &[
            plan(Peer::PythonEcho, Peer::ThreadsEcho, Measure::Cpu, Target::About(5.5 / 2.16)),
            plan(Peer::ThreadsEcho, Peer::EpollEcho, Measure::Cpu, Target::None),
            plan(Peer::PoolEcho, Peer::EpollEcho, Measure::Cpu, Target::About(0.92)),
        ],
    },
    Row {
        name: "peers-line",
        work: LINE,
        by_default: false,
        comparisons: &[
            // Python is told against a tokio loop there, which is 0.994 of raw epoll; threads against raw epoll.
            plan(Peer::PythonLine, Peer::ThreadsLineChunks, Measure::Rate, Target::About(0.057 * 0.994 / 0.63)),
            plan(Peer::ThreadsLineChunks, Peer::EpollEcho, Measure::Rate, Target::None),
        ],
    },
];
