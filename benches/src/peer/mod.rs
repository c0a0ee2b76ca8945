//! The servers that are compared.

mod bare_tokio;
mod chat;
mod epoll;
mod framed;
mod ours;
mod sessions;
mod tasks;
mod threads;
mod tls;
mod udp;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;

use rustix::process::{Signal, set_parent_process_death_signal};

/// What the system gives at most (`/proc/sys/net/core/somaxconn`), which this project asks for too. std asks for 128.
const BACKLOG: u32 = 4096;

/// How many sessions are many.
pub(crate) const SESSIONS: usize = 100_000;

/// A server to compare. Each binds a port of 127.0.0.1 and prints `listening on …` when it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// One thread, one epoll loop, system calls only.
    EpollEcho,
    /// std: a thread a connection, echoing chunks.
    ThreadsEcho,
    /// The same, as the reference for echoing lines.
    ThreadsLineChunks,
    /// std: a pool of threads that accept for themselves, echoing chunks; what leader/follower can reach.
    PoolEcho,
    /// This project: a stream handler on the `Threads` model, echoing chunks.
    OursEcho,
    /// This project: a stream handler on the `Threads` model, echoing line by line.
    OursLine,
    /// tokio on one thread: a task a connection with a buffer of 4 KiB, echoing chunks.
    TokioEcho,
    /// The same with 64 KiB.
    TokioBulk,
    /// tokio on two threads, echoing chunks.
    TokioMultiEcho,
    /// This project: a stream handler on one shard of the `Tasks` model, echoing chunks.
    OursTasksEcho,
    /// The same on two shards.
    OursTasksShards,
    /// The same, echoing line by line.
    OursTasksLine,
    /// The same, with a buffer of 64 KiB.
    OursTasksBulk,
    /// The same, busy-polling for 50 µs.
    OursTasksSpin,
    /// The same, with no buffer while idle.
    OursTasksIdle,
    /// The same loop as [`EpollEcho`](Self::EpollEcho), taking frames apart and making them anew.
    EpollFramed,
    /// tokio-util's `Framed`: `next().await`, `send().await`.
    TokioFramedSend,
    /// The same: all that have come in are fed, and flushed once.
    TokioFramedFeed,
    /// This project: a message handler on one shard of the `Tasks` model.
    OursTasksFramed,
    /// This project: a message handler on the `Threads` model.
    OursThreadsFramed,
    /// One thread, a packet a system call.
    RecvfromUdp,
    /// One thread, many packets a system call.
    MmsgUdp,
    /// One thread, many trains of packets a system call, sent back as they came.
    GroUdp,
    /// tokio on one thread: `UdpSocket::recv_from` and `send_to`.
    TokioUdp,
    /// This project: a datagram handler on one shard of the `Tasks` model.
    OursTasksUdp,
    OursTasksUdpSpin,
    /// This project: a datagram handler on the `Serial` model.
    OursSerialUdp,
    /// This project: a session handler on one shard of the `Tasks` model, packets of all peers over one UDP socket.
    OursTasksSessions,
    /// The same, with [`SESSIONS`] others open.
    OursTasksSessionsCrowd,
    /// tokio on one thread: a chat through its `broadcast` channel.
    TokioBroadcast,
    /// This project: a chat through a hub, a message handler on one shard of the `Tasks` model.
    OursTasksHub,
    /// tokio-rustls on one thread: a task a connection with a buffer of 4 KiB, echoing chunks.
    TokioTls,
    /// The same with 64 KiB.
    TokioTlsBulk,
    /// This project: TLS, a stream handler on one shard of the `Tasks` model, echoing chunks.
    OursTasksTls,
    /// The same, with a buffer of 64 KiB.
    OursTasksTlsBulk,
    /// This project: TLS, a stream handler on the `Threads` model, echoing chunks.
    OursThreadsTls,
    /// The same, with a buffer of 64 KiB.
    OursThreadsTlsBulk,
    /// Python `ThreadingUDPServer`.
    PythonUdp,
    /// Python `asyncio`.
    AsyncioUdp,
    /// Python `ThreadingTCPServer`, echoing chunks.
    PythonEcho,
    /// Python `ThreadingTCPServer` with a `StreamRequestHandler`, echoing line by line.
    PythonLine,
    /// The same, echoing messages with a length before each.
    PythonFramed,
}

impl Peer {
    const ALL: [Self; 42] = [
        Self::EpollEcho,
        Self::ThreadsEcho,
        Self::ThreadsLineChunks,
        Self::PoolEcho,
        Self::OursEcho,
        Self::OursLine,
        Self::TokioEcho,
        Self::TokioBulk,
        Self::TokioMultiEcho,
        Self::OursTasksEcho,
        Self::OursTasksShards,
        Self::OursTasksLine,
        Self::OursTasksBulk,
        Self::OursTasksSpin,
        Self::OursTasksIdle,
        Self::EpollFramed,
        Self::TokioFramedSend,
        Self::TokioFramedFeed,
        Self::OursTasksFramed,
        Self::OursThreadsFramed,
        Self::RecvfromUdp,
        Self::MmsgUdp,
        Self::GroUdp,
        Self::TokioUdp,
        Self::OursTasksUdp,
        Self::OursTasksUdpSpin,
        Self::OursSerialUdp,
        Self::OursTasksSessions,
        Self::OursTasksSessionsCrowd,
        Self::TokioBroadcast,
        Self::OursTasksHub,
        Self::TokioTls,
        Self::TokioTlsBulk,
        Self::OursTasksTls,
        Self::OursTasksTlsBulk,
        Self::OursThreadsTls,
        Self::OursThreadsTlsBulk,
        Self::PythonUdp,
        Self::AsyncioUdp,
        Self::PythonEcho,
        Self::PythonLine,
        Self::PythonFramed,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EpollEcho => "epoll-echo",
            Self::ThreadsEcho => "threads-echo",
            Self::ThreadsLineChunks => "threads-line-chunks",
            Self::PoolEcho => "pool-echo",
            Self::OursEcho => "ours-echo",
            Self::OursLine => "ours-line",
            Self::TokioEcho => "tokio-echo",
            Self::TokioBulk => "tokio-bulk",
            Self::TokioMultiEcho => "tokio-multi-echo",
            Self::OursTasksEcho => "ours-tasks-echo",
            Self::OursTasksShards => "ours-tasks-shards",
            Self::OursTasksLine => "ours-tasks-line",
            Self::OursTasksBulk => "ours-tasks-bulk",
            Self::OursTasksSpin => "ours-tasks-spin",
            Self::OursTasksIdle => "ours-tasks-idle",
            Self::EpollFramed => "epoll-framed",
            Self::TokioFramedSend => "tokio-framed-send",
            Self::TokioFramedFeed => "tokio-framed-feed",
            Self::OursTasksFramed => "ours-tasks-framed",
            Self::OursThreadsFramed => "ours-threads-framed",
            Self::RecvfromUdp => "recvfrom-udp",
            Self::MmsgUdp => "mmsg-udp",
            Self::GroUdp => "gro-udp",
            Self::TokioUdp => "tokio-udp",
            Self::OursTasksUdp => "ours-tasks-udp",
            Self::OursTasksUdpSpin => "ours-tasks-udp-spin",
            Self::OursSerialUdp => "ours-serial-udp",
            Self::OursTasksSessions => "ours-tasks-sessions",
            Self::OursTasksSessionsCrowd => "ours-tasks-sessions-crowd",
            Self::TokioBroadcast => "tokio-broadcast",
            Self::OursTasksHub => "ours-tasks-hub",
            Self::TokioTls => "tokio-tls",
            Self::TokioTlsBulk => "tokio-tls-bulk",
            Self::OursTasksTls => "ours-tasks-tls",
            Self::OursTasksTlsBulk => "ours-tasks-tls-bulk",
            Self::OursThreadsTls => "ours-threads-tls",
            Self::OursThreadsTlsBulk => "ours-threads-tls-bulk",
            Self::PythonUdp => "python-udp",
            Self::AsyncioUdp => "asyncio-udp",
            Self::PythonEcho => "python-echo",
            Self::PythonLine => "python-line",
            Self::PythonFramed => "python-framed",
        }
    }

    /// The script of those that are written in Python.
    pub(crate) fn script(self) -> Option<PathBuf> {
        let file = match self {
            Self::PythonEcho => "threading_echo.py",
            Self::PythonLine => "stream_line.py",
            Self::PythonFramed => "framed.py",
            Self::PythonUdp => "threading_udp.py",
            Self::AsyncioUdp => "asyncio_udp.py",
            _ => return None,
        };
        Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/peers")).join(file))
    }

    /// Serves until the process is killed; with the runner it ends too.
    pub(crate) fn run(self) -> io::Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        match self {
            Self::EpollEcho => epoll::echo(),
            Self::ThreadsEcho | Self::ThreadsLineChunks => threads::echo(),
            Self::PoolEcho => threads::pool_echo(),
            Self::OursEcho => ours::echo(),
            Self::OursLine => ours::line(),
            Self::TokioEcho => bare_tokio::echo(4096),
            Self::TokioBulk => bare_tokio::echo(64 * 1024),
            Self::TokioMultiEcho => bare_tokio::multi_echo(2),
            Self::OursTasksEcho => tasks::echo(1),
            Self::OursTasksShards => tasks::echo(2),
            Self::OursTasksLine => tasks::line(),
            Self::OursTasksBulk => tasks::bulk(),
            Self::OursTasksSpin => tasks::spin(),
            Self::OursTasksIdle => tasks::idle(),
            Self::EpollFramed => epoll::framed(),
            Self::TokioFramedSend => framed::tokio_send(),
            Self::TokioFramedFeed => framed::tokio_feed(),
            Self::OursTasksFramed => framed::ours_tasks(),
            Self::OursThreadsFramed => framed::ours_threads(),
            Self::RecvfromUdp => udp::recvfrom(),
            Self::MmsgUdp => udp::mmsg(),
            Self::GroUdp => udp::gro(),
            Self::TokioUdp => udp::tokio(),
            Self::OursTasksUdp => udp::ours_tasks(),
            Self::OursTasksUdpSpin => udp::ours_spin(),
            Self::OursSerialUdp => udp::ours_serial(),
            Self::OursTasksSessions => sessions::echo(),
            Self::OursTasksSessionsCrowd => sessions::echo_in_a_crowd(SESSIONS),
            Self::TokioBroadcast => chat::broadcast(),
            Self::OursTasksHub => chat::ours_tasks(),
            Self::TokioTls => tls::tokio(4096),
            Self::TokioTlsBulk => tls::tokio(64 * 1024),
            Self::OursTasksTls => tls::ours_tasks(4096),
            Self::OursTasksTlsBulk => tls::ours_tasks(64 * 1024),
            Self::OursThreadsTls => tls::ours_threads(4096),
            Self::OursThreadsTlsBulk => tls::ours_threads(64 * 1024),
            Self::PythonUdp | Self::AsyncioUdp | Self::PythonEcho | Self::PythonLine | Self::PythonFramed => {
                Err(io::Error::other("run its script with python3"))
            }
        }
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|peer| peer.name() == name);
        found.ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|peer| peer.name()).collect();
            format!("no peer {name:?}, they are {}", known.join(", "))
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Tells the runner where this server listens.
fn announce(address: impl fmt::Display) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "listening on {address}")?;
    output.flush()
}
