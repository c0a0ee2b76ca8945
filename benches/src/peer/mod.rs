//! The servers that are compared.

mod epoll;
mod ours;
mod threads;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;

use rustix::process::{Signal, set_parent_process_death_signal};

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
    /// Python `ThreadingTCPServer`, echoing chunks.
    PythonEcho,
    /// Python `ThreadingTCPServer` with a `StreamRequestHandler`, echoing line by line.
    PythonLine,
}

impl Peer {
    const ALL: [Self; 8] = [
        Self::EpollEcho,
        Self::ThreadsEcho,
        Self::ThreadsLineChunks,
        Self::PoolEcho,
        Self::OursEcho,
        Self::OursLine,
        Self::PythonEcho,
        Self::PythonLine,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EpollEcho => "epoll-echo",
            Self::ThreadsEcho => "threads-echo",
            Self::ThreadsLineChunks => "threads-line-chunks",
            Self::PoolEcho => "pool-echo",
            Self::OursEcho => "ours-echo",
            Self::OursLine => "ours-line",
            Self::PythonEcho => "python-echo",
            Self::PythonLine => "python-line",
        }
    }

    /// The script of those that are written in Python.
    pub(crate) fn script(self) -> Option<PathBuf> {
        let file = match self {
            Self::PythonEcho => "threading_echo.py",
            Self::PythonLine => "stream_line.py",
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
            Self::PythonEcho | Self::PythonLine => Err(io::Error::other("run its script with python3")),
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
