//! What becomes of honest clients when something goes wrong.

mod cap;
mod client;
mod drain;
mod exhaustion;
mod scene;
mod silence;
mod stall;
mod table;

use std::io;
use std::time::Duration;

use crate::cores::Cores;
use crate::peer::Peer;
use crate::visit::Visit;

pub(crate) use table::{losses, table};

/// Something that goes wrong, and who has to live with it.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
    peers: &'static [Peer],
    visit: fn(Peer, Duration, &Cores) -> io::Result<Under>,
}

/// What one visit found.
#[derive(Debug)]
pub(crate) struct Under {
    /// Honest clients before; `None` where that is not the question.
    pub(crate) calm: Option<Visit>,
    /// Honest clients while the fault lasts.
    pub(crate) fault: Option<Visit>,
    pub(crate) facts: Vec<Fact>,
}

/// A figure that a fault has of its own; the same ones in the same order for each visit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact {
    pub(crate) what: &'static str,
    /// `None`: it did not come to that.
    pub(crate) value: Option<f64>,
    unit: Unit,
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Count,
    Seconds,
    Cores,
    Bytes,
}

/// All visits under one fault.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) fault: &'static Fault,
    pub(crate) servers: Vec<(Peer, Vec<Under>)>,
}

/// All of them.
pub(crate) static FAULTS: &[Fault] = &[
    Fault {
        name: "fault-cap",
        title: "At the cap",
        text: "100 connections are allowed, 50 honest ones are busy and 50 idle, and 16 at a time keep coming. What a refusal costs is the \
               server's CPU beyond what the honest messages cost in peace, a newcomer turned away. HAProxy and tcpserver let newcomers wait: \
               nobody is turned away.",
        peers: &[
            Peer::OursTasksCapped,
            Peer::OursThreadsCapped,
            Peer::TokioCapped,
            Peer::GoCapped,
            Peer::HaproxyCapped,
            Peer::TcpserverCapped,
        ],
        visit: cap::visit,
    },
    Fault {
        name: "fault-emfile",
        title: "Out of descriptors",
        text: "64 descriptors are allowed (`RLIMIT_NOFILE`), 30 honest connections are busy, and 200 others come and stay. Then the honest \
               ones leave, and it is seen what the server burns while nothing moves. Then the others leave, and a newcomer is to be echoed: \
               \"–\" means that it was not within 5 s.",
        peers: &[
            Peer::OursTasksEcho,
            Peer::OursEcho,
            Peer::EpollEcho,
            Peer::TokioEcho,
            Peer::PythonEcho,
            Peer::AsyncioEcho,
            Peer::UvloopEcho,
            Peer::GoEcho,
        ],
        visit: exhaustion::visit,
    },
    Fault {
        name: "fault-silence",
        title: "Silent clients (slowloris)",
        text: "1,000 clients connect and say nothing; then a newcomer is to be echoed (\"–\": it was not within 5 s), and then honest clients \
               connect, have one message echoed and close, 16 at a time. Servers with a thread or process a connection and a limit of them \
               are in the hands of their deadline.",
        peers: &[
            Peer::OursTasksPatient,
            Peer::OursThreadsPatient,
            Peer::TokioEcho,
            Peer::PythonEcho,
            Peer::UvloopEcho,
            Peer::GoEcho,
            Peer::TcpserverDefault,
        ],
        visit: silence::visit,
    },
    Fault {
        name: "fault-drain",
        title: "During a drain",
        text: "50 clients send, read, and rest for 1 to 3 ms; then the server is asked to stop (SIGTERM; HAProxy: SIGUSR1). A request is lost when \
               it was sent and not answered; a client is dismissed when its connection was closed while it had none under way. The server is \
               given 2 s to end (\"–\": it did not).",
        peers: &[
            Peer::OursTasksDraining,
            Peer::OursThreadsDraining,
            Peer::OursForksDraining,
            Peer::TokioEcho,
            Peer::PythonEcho,
            Peer::AsyncioEcho,
            Peer::GoEcho,
            Peer::HaproxyRelay,
            Peer::TcpserverEcho,
        ],
        visit: drain::visit,
    },
    Fault {
        name: "fault-stall",
        title: "A stalled member of a chat",
        text: "8 members of a chat hear lines of 8,000 bytes, 4 ahead of the slowest of them; then one more joins, and reads nothing. Where \
               nothing comes to anybody any more the rate is 0.",
        peers: &[Peer::OursTasksHub, Peer::TokioBroadcast, Peer::PythonChat, Peer::AsyncioChat, Peer::GoChat],
        visit: stall::visit,
    },
];

impl Fault {
    pub(crate) fn peers(&self) -> &'static [Peer] {
        self.peers
    }

    /// One visit.
    ///
    /// # Errors
    ///
    /// When the server cannot be started, or the machine refuses what the fault takes.
    pub(crate) fn visit(&self, peer: Peer, duration: Duration, cores: &Cores) -> io::Result<Under> {
        (self.visit)(peer, duration, cores)
    }
}

impl Under {
    /// The share of its rate that honest clients keep.
    pub(crate) fn kept(&self) -> Option<f64> {
        let (calm, fault) = (self.calm.as_ref()?, self.fault.as_ref()?);
        (calm.failure.is_none() && calm.rate > 0.0).then(|| fault.rate / calm.rate)
    }
}

impl Fact {
    fn count(what: &'static str, value: f64) -> Self {
        Self { what, value: Some(value), unit: Unit::Count }
    }

    fn time(what: &'static str, value: Option<Duration>) -> Self {
        Self { what, value: value.map(|value| value.as_secs_f64()), unit: Unit::Seconds }
    }

    /// CPU time to time.
    fn cores(what: &'static str, value: Option<f64>) -> Self {
        Self { what, value, unit: Unit::Cores }
    }

    fn bytes(what: &'static str, value: f64) -> Self {
        Self { what, value: Some(value), unit: Unit::Bytes }
    }
}
