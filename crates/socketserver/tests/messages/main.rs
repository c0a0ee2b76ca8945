//! One echo of messages, over each carrier, on each model: a cell of that table passes, or is refused with its sentence. Each
//! server is in a process of its own, each peer a plain socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "tls")]
mod bridge;
mod cell;
mod passes;
mod peer;
mod roles;
mod web;

use cell::{Cell, Row, Speaks, at};
use libtest_mimic::{Arguments, Trial};
use socketserver_testkit::{How, play};
use std::process::ExitCode;

/// To add a carrier is to add its rows, and, if it speaks in a way of its own, that to [`Speaks`] and to `Peer`. A column
/// `framed` says whether the handler is given a framing.
const CARRIERS: [Row; 22] = [
    Row::new("tcp", at::TCP, Speaks::Frames),
    Row::new("tcp_bare", at::TCP, Speaks::Frames).bare(),
    Row::new("unix", at::UNIX, Speaks::Frames),
    Row::new("unix_bare", at::UNIX, Speaks::Frames).bare(),
    Row::new("unix_abstract", at::UNIX_ABSTRACT, Speaks::Frames),
    Row::new("unix_abstract_bare", at::UNIX_ABSTRACT, Speaks::Frames).bare(),
    Row::new("seqpacket", at::SEQPACKET, Speaks::Records),
    Row::new("seqpacket_bare", at::SEQPACKET, Speaks::Records).bare(),
    Row::new("seqpacket_abstract", at::SEQPACKET_ABSTRACT, Speaks::Records),
    Row::new("seqpacket_abstract_bare", at::SEQPACKET_ABSTRACT, Speaks::Records).bare(),
    Row::new("unixgram", at::UNIXGRAM, Speaks::Packets),
    Row::new("unixgram_bare", at::UNIXGRAM, Speaks::Packets).bare(),
    Row::new("udp", at::UDP, Speaks::Packets),
    Row::new("udp_bare", at::UDP, Speaks::Packets).bare(),
    Row::new("udp_ipv6", at::UDP_IPV6, Speaks::Packets),
    Row::new("udp_ipv6_bare", at::UDP_IPV6, Speaks::Packets).bare(),
    Row::new("ws", at::WS, Speaks::WebSocket),
    Row::new("ws_bare", at::WS, Speaks::WebSocket).bare(),
    Row::new("tls", at::TLS, Speaks::Frames),
    Row::new("tls_bare", at::TLS, Speaks::Frames).bare(),
    Row::new("wss", at::WSS, Speaks::WebSocket),
    Row::new("wss_bare", at::WSS, Speaks::WebSocket).bare(),
];

const MODELS: [(&str, How); 7] = [
    ("serial", How::Serial),
    ("threads", How::Threads(8)),
    ("forks", How::Forks(8)),
    ("prefork", How::Prefork(2, 8)),
    ("tasks_1", How::Tasks(1)),
    ("tasks_2", How::Tasks(2)),
    ("run", How::Run),
];

fn main() -> ExitCode {
    if let Some(status) = play(roles::ALL) {
        return status;
    }
    // Those that this build has.
    let carriers = CARRIERS.into_iter().filter(|row| cfg!(feature = "websocket") || row.speaks != Speaks::WebSocket);
    let carriers = carriers.filter(|row| cfg!(feature = "tls") || !row.is_tls());
    let cells = carriers.flat_map(|row| MODELS.map(|(name, how)| (name, Cell { row, how })));
    let trials = cells.map(|(model, cell)| {
        Trial::test(format!("{}::{model}", cell.row.name), move || {
            cell.holds();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
