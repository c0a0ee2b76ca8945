//! Rows against what other languages and systems bring. They have no targets: the report shows them.

use crate::goal::Target::None;
use crate::goal::{Goal, memory, rate};
use crate::peer::Peer;
use crate::row::{CONNECT, FRAMED, Plan, Row, by_name, plan, row, tls};
use crate::work::{Form, Work};

/// Rates to be known.
const RATE: &[Goal] = &[rate(None)];

/// Memory to be known.
const MEMORY: &[Goal] = &[memory(None)];

/// `Tasks` on one shard against that one.
const fn tasks(reference: Peer) -> Plan {
    plan(Peer::OursTasksEcho, reference, RATE)
}

/// What holds nothing while it is idle against that one.
const fn idle(reference: Peer) -> Plan {
    plan(Peer::OursTasksIdle, reference, MEMORY)
}

const fn relay(reference: Peer) -> Plan {
    plan(Peer::OursTasksRelay, reference, RATE)
}

const fn framed(reference: Peer) -> Plan {
    plan(Peer::OursTasksFramed, reference, RATE)
}

const fn over_tls(reference: Peer) -> Plan {
    plan(Peer::OursTasksTls, reference, RATE)
}

const fn hub(reference: Peer) -> Plan {
    plan(Peer::OursTasksHub, reference, RATE)
}

/// All of them. What a row with a target has is not measured again.
pub(crate) static FIELD: &[Row] = &[
    by_name(row(
        "field-1",
        Work::echo(1),
        &[
            tasks(Peer::EpollEcho),
            tasks(Peer::TokioEcho),
            tasks(Peer::TokioMultiEcho),
            tasks(Peer::OursEcho),
            tasks(Peer::PythonEcho),
            tasks(Peer::AsyncioEcho),
            tasks(Peer::UvloopEcho),
            tasks(Peer::GoEcho),
            tasks(Peer::SocatEcho),
            tasks(Peer::TcpserverEcho),
        ],
    )),
    by_name(row(
        "field-50",
        Work::echo(50),
        &[
            tasks(Peer::TokioMultiEcho),
            tasks(Peer::PythonEcho),
            tasks(Peer::AsyncioEcho),
            tasks(Peer::UvloopEcho),
            tasks(Peer::GoEcho),
            tasks(Peer::SocatEcho),
            tasks(Peer::TcpserverEcho),
        ],
    )),
    by_name(row(
        "field-1000",
        Work::echo(1_000),
        &[
            tasks(Peer::TokioMultiEcho),
            tasks(Peer::PythonEcho),
            tasks(Peer::AsyncioEcho),
            tasks(Peer::UvloopEcho),
            tasks(Peer::GoEcho),
        ],
    )),
    by_name(row(
        "field-connect",
        CONNECT,
        &[
            tasks(Peer::EpollEcho),
            tasks(Peer::TokioMultiEcho),
            tasks(Peer::AsyncioEcho),
            tasks(Peer::UvloopEcho),
            tasks(Peer::GoEcho),
            tasks(Peer::TcpserverEcho),
            plan(Peer::OursForksEcho, Peer::TcpserverEcho, RATE),
            plan(Peer::OursForksEcho, Peer::SocatEcho, RATE),
        ],
    )),
    by_name(row(
        "field-relay",
        Work::echo(50),
        &[relay(Peer::TokioRelay), relay(Peer::HaproxyRelay), relay(Peer::SocatRelay)],
    )),
    by_name(row("field-relay-connect", CONNECT, &[relay(Peer::TokioRelay), relay(Peer::HaproxyRelay)])),
    by_name(row(
        "field-framed-1",
        Work::Echo { connections: 50, depth: 1, size: 64, form: Form::Frames },
        &[
            framed(Peer::TokioFramedSend),
            framed(Peer::PythonFramed),
            framed(Peer::AsyncioFramed),
            framed(Peer::UvloopFramed),
            framed(Peer::GoFramed),
        ],
    )),
    by_name(row(
        "field-framed-16",
        FRAMED,
        &[framed(Peer::AsyncioFramed), framed(Peer::UvloopFramed), framed(Peer::GoFramed)],
    )),
    by_name(row(
        "field-udp",
        Work::Packets { depth: 64, size: 64, train: 1 },
        &[
            plan(Peer::OursTasksUdp, Peer::RecvfromUdp, RATE),
            plan(Peer::OursTasksUdp, Peer::UvloopUdp, RATE),
            plan(Peer::OursTasksUdp, Peer::GoUdp, RATE),
        ],
    )),
    by_name(tls(
        "field-tls",
        Work::echo(50),
        &[over_tls(Peer::AsyncioTls), over_tls(Peer::UvloopTls), over_tls(Peer::GoTls), over_tls(Peer::HaproxyTls)],
    )),
    by_name(tls(
        "field-tls-handshakes",
        CONNECT,
        &[over_tls(Peer::UvloopTls), over_tls(Peer::GoTls), over_tls(Peer::HaproxyTls)],
    )),
    by_name(row(
        "field-hub",
        Work::Room { members: 100, depth: 16, size: 100 },
        &[hub(Peer::TokioBroadcast), hub(Peer::PythonChat), hub(Peer::AsyncioChat), hub(Peer::GoChat)],
    )),
    by_name(row(
        "field-15000",
        Work::echo(15_000),
        &[
            tasks(Peer::EpollEcho),
            tasks(Peer::TokioEcho),
            tasks(Peer::TokioMultiEcho),
            tasks(Peer::PythonEcho),
            tasks(Peer::AsyncioEcho),
            tasks(Peer::UvloopEcho),
            tasks(Peer::GoEcho),
        ],
    )),
    by_name(row(
        "field-idle",
        Work::Idle { connections: 15_000 },
        &[
            idle(Peer::EpollEcho),
            idle(Peer::TokioMultiEcho),
            idle(Peer::PythonEcho),
            idle(Peer::AsyncioEcho),
            idle(Peer::UvloopEcho),
            idle(Peer::GoEcho),
        ],
    )),
    // Two descriptors a connection.
    by_name(row("field-relay-9000", Work::echo(9_000), &[relay(Peer::TokioRelay), relay(Peer::HaproxyRelay)])),
    by_name(row(
        "field-relay-idle",
        Work::Idle { connections: 9_000 },
        &[plan(Peer::OursTasksRelay, Peer::TokioRelay, MEMORY), plan(Peer::OursTasksRelay, Peer::HaproxyRelay, MEMORY)],
    )),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socketserver_load::Load;

    use super::*;
    use crate::cores::Cores;
    use crate::launch;
    use crate::peer::How;
    use crate::server::ServerProcess;

    /// As many messages as every connection has once or more.
    const MESSAGES: u64 = 200;

    #[test]
    fn every_program_that_is_there_does_its_work() {
        let placement = Cores::choose(Option::None).unwrap().place(1);
        for row in FIELD.iter().filter(|row| row.work.connections() <= 100) {
            let mut done = Vec::new();
            for peer in row.comparisons.iter().flat_map(|plan| [plan.candidate, plan.reference]) {
                // Those of this program are started by its executable, which this one is not.
                let own = matches!(peer.how(), How::Here(_)) || peer.how().passes_on();
                if own || done.contains(&peer) {
                    continue;
                }
                done.push(peer);
                if let Some(why) = launch::missing(peer) {
                    eprintln!("skipped: {peer}: {why}");
                    continue;
                }
                let server = ServerProcess::start(peer, &placement).unwrap();
                for load in row.work.loads(server.address(), Duration::from_secs(30), 1) {
                    let load = load.warmup(Duration::ZERO).requests(MESSAGES);
                    let load = if row.tls { Load::tls(load) } else { load };
                    let outcome = load.run().unwrap();
                    assert!(outcome.errors.is_empty(), "{}, {peer}: {}", row.name, outcome.errors);
                    assert!(outcome.messages >= MESSAGES, "{}, {peer}: {}", row.name, outcome.messages);
                }
            }
        }
    }
}
