//! How a server is run.

use std::io;
use std::net::SocketAddr;

/// Stands for the path of a file with a certificate and its key, among the arguments of a server.
pub(crate) const CERTIFICATE: &str = "{certificate}";

/// How a server is run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    /// By this program.
    Here(fn() -> io::Result<()>),
    /// By this program; it passes connections on to another server, whose address it is given.
    Before(fn(SocketAddr) -> io::Result<()>),
    /// A script in `peers/`, with arguments.
    Python(&'static str, &'static [&'static str]),
    /// The program in `peers/go`, with arguments.
    Go(&'static [&'static str]),
    /// Passes connections on; at most so many at a time, the others wait.
    Haproxy { limit: usize, tls: bool },
    /// Echoes through a pipe.
    Socat,
    /// Passes connections on.
    SocatBefore,
    /// Runs `cat`; at most so many at a time, the others wait.
    Tcpserver { limit: usize },
}

impl How {
    /// Whether it passes connections on to another server.
    pub(crate) fn passes_on(self) -> bool {
        matches!(self, Self::Before(_) | Self::Haproxy { .. } | Self::SocatBefore)
    }
}
