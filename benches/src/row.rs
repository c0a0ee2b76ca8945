//! What is measured, and what is to be reached.

use crate::field::FIELD;
use crate::goal::Target::{About, AtLeast, AtMost, None, OwnAtMost};
use crate::goal::{Goal, cpu, memory, p50, p99, rate};
use crate::peer::{Peer, SESSIONS};
use crate::work::{Form, Work};

/// One kind of work, and who is compared with whom at it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) work: Work,
    /// Cores the server is pinned to; most have one.
    pub(crate) server_cores: usize,
    /// The connections are TLS.
    pub(crate) tls: bool,
    /// Measured when no row is named.
    pub(crate) by_default: bool,
    pub(crate) comparisons: &'static [Plan],
}

/// A candidate, what it is compared with, and what it is to reach.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) candidate: Peer,
    pub(crate) reference: Peer,
    /// At least one.
    pub(crate) goals: &'static [Goal],
}

pub(crate) const fn row(name: &'static str, work: Work, comparisons: &'static [Plan]) -> Row {
    Row { name, work, server_cores: 1, tls: false, by_default: true, comparisons }
}

pub(crate) const fn tls(name: &'static str, work: Work, comparisons: &'static [Plan]) -> Row {
    Row { name, work, server_cores: 1, tls: true, by_default: true, comparisons }
}

/// Measured only when it is named, or in the report.
pub(crate) const fn by_name(row: Row) -> Row {
    Row { by_default: false, ..row }
}

/// Peers among each other.
const fn peers(name: &'static str, work: Work, comparisons: &'static [Plan]) -> Row {
    by_name(row(name, work, comparisons))
}

pub(crate) const fn plan(candidate: Peer, reference: Peer, goals: &'static [Goal]) -> Plan {
    Plan { candidate, reference, goals }
}

const ECHO: Work = Work::echo(50);
pub(crate) const CONNECT: Work = Work::ConnectEchoClose { parallel: 16 };
const LINE: Work = Work::Echo { connections: 50, depth: 16, size: 64, form: Form::Lines };
pub(crate) const FRAMED: Work = Work::Echo { connections: 50, depth: 16, size: 64, form: Form::Frames };
const BULK: Work = Work::Echo { connections: 8, depth: 1, size: 64 * 1024, form: Form::Bytes };

/// All rows, in the order of the table.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().chain(FIELD)
}

/// Those with targets, and what it takes to trust them.
pub(crate) static ROWS: &[Row] = &[
    row(
        "echo",
        ECHO,
        &[
            plan(Peer::OursEcho, Peer::ThreadsEcho, &[rate(AtLeast(1.0))]),
            plan(Peer::OursEcho, Peer::PythonEcho, &[rate(None)]),
            plan(Peer::OursEcho, Peer::EpollEcho, &[rate(None)]),
        ],
    ),
    row(
        "connect",
        CONNECT,
        &[
            plan(Peer::OursEcho, Peer::ThreadsEcho, &[cpu(AtMost(0.5))]),
            plan(Peer::OursEcho, Peer::PythonEcho, &[cpu(AtMost(0.2))]),
            plan(Peer::OursEcho, Peer::EpollEcho, &[cpu(AtMost(1.0))]),
        ],
    ),
    row(
        "line",
        LINE,
        &[
            plan(Peer::OursLine, Peer::ThreadsLineChunks, &[rate(AtLeast(0.6))]),
            plan(Peer::OursLine, Peer::PythonLine, &[rate(AtLeast(10.0))]),
        ],
    ),
    row(
        "echo-tasks",
        ECHO,
        &[
            plan(Peer::OursTasksEcho, Peer::TokioEcho, &[rate(AtLeast(0.98)), cpu(AtMost(1.02))]),
            plan(Peer::OursTasksEcho, Peer::EpollEcho, &[rate(AtLeast(0.96))]),
        ],
    ),
    row(
        "echo-tasks-1000",
        Work::echo(1_000),
        &[
            plan(Peer::OursTasksEcho, Peer::TokioEcho, &[rate(AtLeast(0.98)), cpu(AtMost(1.02))]),
            plan(Peer::OursTasksEcho, Peer::EpollEcho, &[rate(AtLeast(0.96)), p99(AtMost(1.1))]),
        ],
    ),
    row("line-tasks", LINE, &[plan(Peer::OursTasksLine, Peer::TokioEcho, &[rate(AtLeast(0.9))])]),
    row(
        "framed-1",
        Work::Echo { connections: 50, depth: 1, size: 64, form: Form::Frames },
        &[plan(Peer::OursTasksFramed, Peer::EpollFramed, &[rate(AtLeast(0.95))])],
    ),
    row(
        "framed-16",
        FRAMED,
        &[
            plan(Peer::OursTasksFramed, Peer::EpollFramed, &[rate(AtLeast(0.9))]),
            plan(Peer::OursTasksFramed, Peer::TokioFramedFeed, &[rate(AtLeast(1.1))]),
            plan(Peer::OursTasksFramed, Peer::TokioFramedSend, &[rate(AtLeast(12.0))]),
        ],
    ),
    row("framed-threads", FRAMED, &[plan(Peer::OursThreadsFramed, Peer::PythonFramed, &[rate(AtLeast(10.0))])]),
    row(
        "udp",
        Work::Packets { depth: 64, size: 64, train: 1 },
        &[
            plan(Peer::OursTasksUdp, Peer::TokioUdp, &[rate(AtLeast(1.2)), cpu(AtMost(0.85))]),
            plan(Peer::OursTasksUdp, Peer::MmsgUdp, &[rate(AtLeast(0.97))]),
            plan(Peer::OursTasksUdp, Peer::PythonUdp, &[rate(AtLeast(30.0))]),
            plan(Peer::OursTasksUdp, Peer::AsyncioUdp, &[rate(AtLeast(7.0))]),
        ],
    ),
    row(
        "udp-one",
        Work::Packets { depth: 1, size: 64, train: 1 },
        &[
            plan(Peer::OursTasksUdp, Peer::RecvfromUdp, &[rate(AtLeast(1.0))]),
            plan(Peer::OursTasksUdpSpin, Peer::RecvfromUdp, &[rate(AtLeast(1.0))]),
        ],
    ),
    row(
        "udp-1200",
        Work::Packets { depth: 64, size: 1200, train: 1 },
        &[
            plan(Peer::OursTasksUdp, Peer::MmsgUdp, &[rate(AtLeast(0.97))]),
            plan(Peer::OursTasksUdp, Peer::TokioUdp, &[rate(AtLeast(1.0))]),
        ],
    ),
    row(
        "udp-gso",
        Work::Packets { depth: 160, size: 1200, train: 40 },
        &[
            plan(Peer::OursTasksUdp, Peer::TokioUdp, &[rate(AtLeast(5.0))]),
            plan(Peer::OursTasksUdp, Peer::GroUdp, &[rate(AtLeast(0.95))]),
        ],
    ),
    row(
        "sessions",
        Work::Packets { depth: 64, size: 64, train: 1 },
        &[
            plan(Peer::OursTasksSessionsCrowd, Peer::OursTasksSessions, &[rate(AtLeast(0.9))]),
            plan(Peer::OursTasksSessions, Peer::OursTasksUdp, &[rate(None)]),
        ],
    ),
    row(
        "sessions-memory",
        Work::Sessions { sessions: SESSIONS },
        // Its own figure is judged alone; it is its own reference, which tells whether it is the same each time.
        &[plan(Peer::OursTasksSessions, Peer::OursTasksSessions, &[memory(OwnAtMost(512.0))])],
    ),
    row(
        "hub",
        Work::Room { members: 1_000, depth: 16, size: 100 },
        &[plan(Peer::OursTasksHub, Peer::TokioBroadcast, &[rate(AtLeast(2.0))])],
    ),
    row(
        "hub-one",
        Work::Room { members: 1_000, depth: 1, size: 100 },
        &[plan(Peer::OursTasksHub, Peer::TokioBroadcast, &[rate(None)])],
    ),
    row("connect-tasks", CONNECT, &[plan(Peer::OursTasksEcho, Peer::TokioEcho, &[cpu(AtMost(1.1))])]),
    Row {
        name: "shards",
        work: Work::echo(100),
        server_cores: 2,
        tls: false,
        by_default: true,
        comparisons: &[plan(Peer::OursTasksShards, Peer::TokioMultiEcho, &[rate(AtLeast(1.0))])],
    },
    row(
        "bulk",
        BULK,
        &[
            plan(Peer::OursTasksBulk, Peer::EpollEcho, &[rate(AtLeast(1.0))]),
            plan(Peer::OursTasksBulk, Peer::TokioBulk, &[rate(None)]),
        ],
    ),
    tls(
        "tls-echo",
        ECHO,
        &[
            plan(Peer::OursTasksTls, Peer::TokioTls, &[rate(AtLeast(0.95))]),
            plan(Peer::OursThreadsTls, Peer::TokioTls, &[rate(None)]),
        ],
    ),
    tls(
        "tls-echo-16",
        Work::Echo { connections: 50, depth: 16, size: 64, form: Form::Bytes },
        &[
            plan(Peer::OursTasksTls, Peer::TokioTls, &[rate(AtLeast(0.95))]),
            plan(Peer::OursThreadsTls, Peer::TokioTls, &[rate(None)]),
        ],
    ),
    tls(
        "tls-bulk",
        BULK,
        &[
            plan(Peer::OursTasksTlsBulk, Peer::TokioTlsBulk, &[rate(AtLeast(0.95))]),
            plan(Peer::OursThreadsTlsBulk, Peer::TokioTlsBulk, &[rate(None)]),
        ],
    ),
    tls(
        "tls-handshakes",
        CONNECT,
        &[
            plan(Peer::OursTasksTls, Peer::TokioTls, &[rate(AtLeast(0.95))]),
            plan(Peer::OursThreadsTls, Peer::TokioTls, &[rate(None)]),
        ],
    ),
    row("spin", Work::echo(1), &[plan(Peer::OursTasksSpin, Peer::EpollEcho, &[p50(AtMost(0.5))])]),
    // One that spun on would use all of its rest, of 0.4 s and more. This is what its one message and a wake-up or two cost.
    row(
        "spin-idle",
        Work::Idle { connections: 1 },
        &[plan(Peer::OursTasksSpin, Peer::EpollEcho, &[cpu(OwnAtMost(0.001))])],
    ),
    row(
        "memory",
        Work::Idle { connections: 15_000 },
        &[plan(Peer::OursTasksIdle, Peer::TokioEcho, &[memory(OwnAtMost(1.25 * 1024.0))])],
    ),
    // Do the peers reach what their kind was measured at? The two thread-a-connection columns are compared with
    // each other, since raw epoll saturates one generator and not another: against it, ratios tell of the generator,
    // unless the candidate is nearly as fast.
    peers(
        "peers-echo",
        ECHO,
        &[
            plan(Peer::PythonEcho, Peer::ThreadsEcho, &[rate(About(0.57 / 0.67))]),
            plan(Peer::ThreadsEcho, Peer::EpollEcho, &[rate(None)]),
            plan(Peer::TokioEcho, Peer::EpollEcho, &[rate(About(0.985))]),
        ],
    ),
    peers("peers-echo-1000", Work::echo(1_000), &[plan(Peer::TokioEcho, Peer::EpollEcho, &[rate(About(1.02))])]),
    peers(
        "peers-connect",
        CONNECT,
        &[
            plan(Peer::PythonEcho, Peer::ThreadsEcho, &[cpu(About(5.5 / 2.16))]),
            plan(Peer::ThreadsEcho, Peer::EpollEcho, &[cpu(None)]),
            plan(Peer::PoolEcho, Peer::EpollEcho, &[cpu(About(0.92))]),
            plan(Peer::TokioEcho, Peer::EpollEcho, &[cpu(About(1.10))]),
        ],
    ),
    peers(
        "peers-line",
        LINE,
        &[
            // Python is told against a tokio loop there, which is 0.994 of raw epoll; threads against raw epoll.
            plan(Peer::PythonLine, Peer::ThreadsLineChunks, &[rate(About(0.057 * 0.994 / 0.63))]),
            plan(Peer::ThreadsLineChunks, Peer::EpollEcho, &[rate(None)]),
            plan(Peer::TokioEcho, Peer::EpollEcho, &[rate(About(0.994))]),
        ],
    ),
    peers(
        "peers-bulk",
        BULK,
        &[
            plan(Peer::TokioBulk, Peer::EpollEcho, &[rate(About(1.12))]),
            // How much a small buffer loses depends on how many connections there are.
            plan(Peer::TokioEcho, Peer::EpollEcho, &[rate(None)]),
        ],
    ),
];
