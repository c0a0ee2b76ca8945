//! The servers that are compared.

mod bare_tokio;
mod chat;
mod epoll;
mod framed;
mod guarded;
mod how;
mod ours;
mod relay;
mod sessions;
mod tasks;
mod threads;
mod tls;
mod udp;

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::str::FromStr;

use rustix::process::{Signal, set_parent_process_death_signal};

use How::{Before, Go, Haproxy, Here, Python, Socat, SocatBefore, Tcpserver};
pub(crate) use how::{CERTIFICATE, How};

/// What the system gives at most (`/proc/sys/net/core/somaxconn`), which this project asks for too. std asks for 128.
pub(crate) const BACKLOG: u32 = 4096;

/// How many sessions are many.
pub(crate) const SESSIONS: usize = 100_000;

/// The most connections that a server with a cap has.
pub(crate) const CAP: usize = 100;

/// Of each server what it is, its name, and how it is run.
macro_rules! peers {
    ($($(#[doc = $about:literal])* $peer:ident $name:literal = $how:expr;)*) => {
        /// A server to compare. Each binds a port of 127.0.0.1 and prints `listening on …` when it does, unless [`How`] says
        /// otherwise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Peer {
            $($(#[doc = $about])* $peer,)*
        }

        impl Peer {
            pub(crate) const ALL: &[Self] = &[$(Self::$peer,)*];

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$peer => $name,)*
                }
            }

            /// What it is, in a few words.
            pub(crate) fn about(self) -> &'static str {
                match self {
                    $(Self::$peer => concat!($($about),*).trim_ascii(),)*
                }
            }

            pub(crate) fn how(self) -> How {
                match self {
                    $(Self::$peer => $how,)*
                }
            }
        }
    };
}

peers! {
    /// system calls only: one thread, one epoll loop
    EpollEcho "epoll-echo" = Here(epoll::echo);
    /// std: a thread a connection, echoing chunks
    ThreadsEcho "threads-echo" = Here(threads::echo);
    /// `threads-echo`, as the reference for echoing lines
    ThreadsLineChunks "threads-line-chunks" = Here(threads::echo);
    /// std: a pool of threads that accept for themselves; what leader/follower can reach
    PoolEcho "pool-echo" = Here(threads::pool_echo);
    /// this project, `Threads`: a stream handler that echoes chunks
    OursEcho "ours-echo" = Here(ours::echo);
    /// this project, `Threads`: a stream handler that echoes line by line
    OursLine "ours-line" = Here(ours::line);
    /// tokio on one thread: a task a connection with a buffer of 4 KiB, echoing chunks
    TokioEcho "tokio-echo" = Here(|| bare_tokio::echo(4096));
    /// tokio on one thread, with a buffer of 64 KiB a connection
    TokioBulk "tokio-bulk" = Here(|| bare_tokio::echo(64 * 1024));
    /// tokio's multi-thread runtime, a worker a core: a task a connection with a buffer of 4 KiB, echoing chunks
    TokioMultiEcho "tokio-multi-echo" = Here(bare_tokio::multi_echo);
    /// this project, `Tasks`, one shard: a stream handler that echoes chunks
    OursTasksEcho "ours-tasks-echo" = Here(|| tasks::echo(1));
    /// this project, `Tasks`, two shards: a stream handler that echoes chunks
    OursTasksShards "ours-tasks-shards" = Here(|| tasks::echo(2));
    /// this project, `Tasks`, one shard: a stream handler that echoes line by line
    OursTasksLine "ours-tasks-line" = Here(tasks::line);
    /// this project, `Tasks`, one shard: echoing chunks with a buffer of 64 KiB
    OursTasksBulk "ours-tasks-bulk" = Here(tasks::bulk);
    /// this project, `Tasks`, one shard that busy-polls for 50 µs: echoing chunks
    OursTasksSpin "ours-tasks-spin" = Here(tasks::spin);
    /// this project, `Tasks`, one shard: echoing chunks, with no buffer while idle
    OursTasksIdle "ours-tasks-idle" = Here(tasks::idle);
    /// `epoll-echo`, taking frames apart and making them anew
    EpollFramed "epoll-framed" = Here(epoll::framed);
    /// tokio-util's `Framed`: `next().await`, `send().await`
    TokioFramedSend "tokio-framed-send" = Here(framed::tokio_send);
    /// tokio-util's `Framed`: all that have come in are fed, and flushed once
    TokioFramedFeed "tokio-framed-feed" = Here(framed::tokio_feed);
    /// this project, `Tasks`, one shard: a message handler
    OursTasksFramed "ours-tasks-framed" = Here(framed::ours_tasks);
    /// this project, `Threads`: a message handler
    OursThreadsFramed "ours-threads-framed" = Here(framed::ours_threads);
    /// std: one thread, a packet a system call
    RecvfromUdp "recvfrom-udp" = Here(udp::recvfrom);
    /// system calls only: one thread, many packets a system call
    MmsgUdp "mmsg-udp" = Here(udp::mmsg);
    /// system calls only: one thread, many trains of packets a system call, sent back as they came
    GroUdp "gro-udp" = Here(udp::gro);
    /// tokio on one thread: `UdpSocket::recv_from` and `send_to`
    TokioUdp "tokio-udp" = Here(udp::tokio);
    /// this project, `Tasks`, one shard: a datagram handler
    OursTasksUdp "ours-tasks-udp" = Here(udp::ours_tasks);
    /// this project, `Tasks`, one shard that busy-polls for 50 µs: a datagram handler
    OursTasksUdpSpin "ours-tasks-udp-spin" = Here(udp::ours_spin);
    /// this project, `Serial`: a datagram handler
    OursSerialUdp "ours-serial-udp" = Here(udp::ours_serial);
    /// this project, `Tasks`, one shard: a session handler over UDP
    OursTasksSessions "ours-tasks-sessions" = Here(sessions::echo);
    /// `ours-tasks-sessions` with 100,000 other sessions open
    OursTasksSessionsCrowd "ours-tasks-sessions-crowd" = Here(|| sessions::echo_in_a_crowd(SESSIONS));
    /// tokio on one thread: a chat through its `broadcast` channel
    TokioBroadcast "tokio-broadcast" = Here(chat::broadcast);
    /// this project, `Tasks`, one shard: a chat through a hub
    OursTasksHub "ours-tasks-hub" = Here(chat::ours_tasks);
    /// tokio-rustls on one thread: a task a connection with a buffer of 4 KiB, echoing chunks
    TokioTls "tokio-tls" = Here(|| tls::tokio(4096));
    /// tokio-rustls on one thread, with a buffer of 64 KiB a connection
    TokioTlsBulk "tokio-tls-bulk" = Here(|| tls::tokio(64 * 1024));
    /// this project, `Tasks`, one shard, `tls://`: echoing chunks
    OursTasksTls "ours-tasks-tls" = Here(|| tls::ours_tasks(4096));
    /// `ours-tasks-tls` with a buffer of 64 KiB
    OursTasksTlsBulk "ours-tasks-tls-bulk" = Here(|| tls::ours_tasks(64 * 1024));
    /// this project, `Threads`, `tls://`: echoing chunks
    OursThreadsTls "ours-threads-tls" = Here(|| tls::ours_threads(4096));
    /// `ours-threads-tls` with a buffer of 64 KiB
    OursThreadsTlsBulk "ours-threads-tls-bulk" = Here(|| tls::ours_threads(64 * 1024));
    /// Python's `socketserver.ThreadingUDPServer`
    PythonUdp "python-udp" = Python("threading_udp.py", &[]);
    /// Python's `asyncio`: a `DatagramProtocol`
    AsyncioUdp "asyncio-udp" = Python("asyncio_udp.py", &[]);
    /// Python's `socketserver.ThreadingTCPServer`, echoing chunks
    PythonEcho "python-echo" = Python("threading_echo.py", &[]);
    /// Python's `socketserver.ThreadingTCPServer` with a `StreamRequestHandler`, echoing line by line
    PythonLine "python-line" = Python("stream_line.py", &[]);
    /// Python's `socketserver.ThreadingTCPServer` with a `StreamRequestHandler`, echoing messages with a length before each
    PythonFramed "python-framed" = Python("framed.py", &[]);
    /// Python's `asyncio`: a `Protocol`, echoing chunks
    AsyncioEcho "asyncio-echo" = Python("asyncio_echo.py", &[]);
    /// `asyncio-echo` on `uvloop`
    UvloopEcho "uvloop-echo" = Python("asyncio_echo.py", &["--uvloop"]);
    /// Python's `asyncio` streams, echoing messages with a length before each
    AsyncioFramed "asyncio-framed" = Python("asyncio_framed.py", &[]);
    /// `asyncio-framed` on `uvloop`
    UvloopFramed "uvloop-framed" = Python("asyncio_framed.py", &["--uvloop"]);
    /// `asyncio-udp` on `uvloop`
    UvloopUdp "uvloop-udp" = Python("asyncio_udp.py", &["--uvloop"]);
    /// `asyncio-echo` over TLS
    AsyncioTls "asyncio-tls" = Python("asyncio_echo.py", &["--tls", CERTIFICATE]);
    /// `uvloop-echo` over TLS
    UvloopTls "uvloop-tls" = Python("asyncio_echo.py", &["--uvloop", "--tls", CERTIFICATE]);
    /// Python's `asyncio` streams: a chat
    AsyncioChat "asyncio-chat" = Python("asyncio_chat.py", &[]);
    /// Python's `socketserver.ThreadingTCPServer`: a chat
    PythonChat "python-chat" = Python("threading_chat.py", &[]);
    /// Go's `net`: a goroutine a connection, echoing chunks
    GoEcho "go-echo" = Go(&["echo"]);
    /// Go's `net`, `bufio` and `encoding/binary`: echoing messages with a length before each
    GoFramed "go-framed" = Go(&["framed"]);
    /// Go's `net`: `ReadFromUDPAddrPort` and `WriteToUDPAddrPort`
    GoUdp "go-udp" = Go(&["udp"]);
    /// Go's `crypto/tls`, echoing chunks
    GoTls "go-tls" = Go(&["tls", CERTIFICATE]);
    /// Go's `net`: a chat, as in the language's book
    GoChat "go-chat" = Go(&["chat"]);
    /// `socat … PIPE`: a process a connection
    SocatEcho "socat-echo" = Socat;
    /// `tcpserver … cat`: a process a connection
    TcpserverEcho "tcpserver-echo" = Tcpserver { limit: 40_000 };
    /// this project, `Forks`: a process a connection, echoing chunks
    OursForksEcho "ours-forks-echo" = Here(ours::forks);
    /// this project, `Tasks`, one shard: passes connections on to `epoll-echo`
    OursTasksRelay "ours-tasks-relay" = Before(relay::ours_tasks);
    /// tokio on one thread, `copy_bidirectional`: passes connections on to `epoll-echo`
    TokioRelay "tokio-relay" = Before(relay::tokio);
    /// HAProxy, one thread, `mode tcp`: passes connections on to `epoll-echo`
    HaproxyRelay "haproxy-relay" = Haproxy { limit: 9_500, tls: false };
    /// `socat … TCP:…`, a process a connection: passes connections on to `epoll-echo`
    SocatRelay "socat-relay" = SocatBefore;
    /// HAProxy, one thread: ends TLS, and passes connections on to `epoll-echo`
    HaproxyTls "haproxy-tls" = Haproxy { limit: 9_500, tls: true };
    /// `ours-tasks-echo` with a cap of 100 connections; it closes those beyond
    OursTasksCapped "ours-tasks-capped" = Here(guarded::tasks_capped);
    /// `ours-echo` with a cap of 100 connections; it closes those beyond
    OursThreadsCapped "ours-threads-capped" = Here(guarded::threads_capped);
    /// `tokio-echo` with a semaphore of 100 connections; it closes those beyond
    TokioCapped "tokio-capped" = Here(|| bare_tokio::capped(CAP));
    /// `go-echo` with a channel of 100 places; it closes those beyond
    GoCapped "go-capped" = Go(&["capped"]);
    /// `haproxy-relay` with `maxconn 100`; those beyond wait
    HaproxyCapped "haproxy-capped" = Haproxy { limit: CAP, tls: false };
    /// `tcpserver-echo` with `-c 100`; those beyond wait
    TcpserverCapped "tcpserver-capped" = Tcpserver { limit: CAP };
    /// `tcpserver-echo` with its default of 40 connections; those beyond wait
    TcpserverDefault "tcpserver-default" = Tcpserver { limit: 40 };
    /// `ours-tasks-echo` that lets nobody stay who says nothing for 500 ms
    OursTasksPatient "ours-tasks-patient" = Here(guarded::tasks_patient);
    /// this project, `Threads` with the default of 200: it lets nobody stay who says nothing for 500 ms
    OursThreadsPatient "ours-threads-patient" = Here(guarded::threads_patient);
    /// `ours-tasks-echo` that drains on SIGTERM
    OursTasksDraining "ours-tasks-draining" = Here(guarded::tasks_draining);
    /// `ours-echo` that drains on SIGTERM
    OursThreadsDraining "ours-threads-draining" = Here(guarded::threads_draining);
    /// `ours-forks-echo` that drains on SIGTERM
    OursForksDraining "ours-forks-draining" = Here(guarded::forks_draining);
}

impl Peer {
    /// Whether it is this project's.
    pub(crate) fn is_ours(self) -> bool {
        self.name().starts_with("ours-")
    }

    /// Whether it has a process for each connection.
    pub(crate) fn forks(self) -> bool {
        matches!(self, Self::OursForksEcho | Self::OursForksDraining)
            || matches!(self.how(), Socat | SocatBefore | Tcpserver { .. })
    }

    /// How many descriptors it needs for a connection, all in one process.
    pub(crate) fn descriptors(self) -> usize {
        if self.how().passes_on() && !self.forks() { 2 } else { 1 }
    }

    /// Serves until the process is killed; with the runner it ends too. `behind`: the server that it passes connections on to.
    pub(crate) fn run(self, behind: Option<SocketAddr>) -> io::Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        match (self.how(), behind) {
            (Here(serve), None) => serve(),
            (Before(serve), Some(behind)) => serve(behind),
            (Here(_), Some(_)) => Err(io::Error::other("it passes nothing on, so it takes no address")),
            (Before(_), None) => Err(io::Error::other("say where to pass connections on: peer NAME ADDRESS")),
            _ => Err(io::Error::other("it is a program of its own: run that one")),
        }
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|peer| peer.name() == name);
        found.copied().ok_or_else(|| {
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
