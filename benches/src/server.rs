//! A server in a process of its own.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cores::Placement;
use crate::peer::Peer;

/// What a server has used so far.
#[derive(Debug)]
pub(crate) struct Usage {
    /// Of all its threads, from the process clock.
    pub(crate) cpu: Duration,
    /// Bytes of resident memory.
    pub(crate) resident: u64,
}

/// A running server; dropping it kills and reaps it.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    /// Starts the peer on the server's cores and waits until it says where it listens.
    pub(crate) fn start(peer: Peer, placement: &Placement) -> io::Result<Self> {
        let mut command = command(peer)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = placement.on_server_cores(|| command.spawn())?;
        match announced(&mut child) {
            Ok(address) => Ok(Self { child, address }),
            Err(error) => {
                end(&mut child);
                Err(io::Error::other(format!("{peer} did not start: {error}")))
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let pid = self.child.id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = resident(&status).ok_or_else(|| io::Error::other("no VmRSS: the server is gone"))?;
        Ok(Usage { cpu: socketserver_sys::process_cpu(pid)?, resident })
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// This same program again, or Python: so a peer is never older than the runner.
fn command(peer: Peer) -> io::Result<Command> {
    if let Some(script) = peer.script() {
        let mut command = Command::new("python3");
        // It tells of every reset.
        command.arg(script).stderr(Stdio::null());
        return Ok(command);
    }
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["peer", peer.name()]);
    Ok(command)
}

/// The bytes of `VmRSS` in a `/proc/PID/status`, see proc_pid_status(5).
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// The address out of the line `listening on 127.0.0.1:PORT`.
fn announced(child: &mut Child) -> io::Result<SocketAddr> {
    let Some(output) = child.stdout.take() else {
        return Err(io::Error::other("it has no standard output"));
    };
    let mut line = String::new();
    if BufReader::new(output).read_line(&mut line)? == 0 {
        return Err(io::Error::other("it ended, and said why on standard error"));
    }
    parse_announcement(&line)
        .ok_or_else(|| io::Error::other(format!("it said {:?} and not where it listens", line.trim_end())))
}

fn parse_announcement(line: &str) -> Option<SocketAddr> {
    let address = line.trim_end().strip_prefix("listening on ")?;
    address.split_once("://").map_or(address, |(_, address)| address).parse().ok()
}

fn end(child: &mut Child) {
    // Fails only when it has ended already, which `wait` then tells.
    let _ended = child.kill();
    let _reaped = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cores::Cores;

    #[test]
    fn the_announcement() {
        let address = Some("127.0.0.1:80".parse().unwrap());
        assert_eq!(parse_announcement("listening on 127.0.0.1:80\n"), address);
        assert_eq!(parse_announcement("listening on tcp://127.0.0.1:80\n"), address);
        assert_eq!(parse_announcement("listening on tls://127.0.0.1:80\n"), address);
        assert_eq!(parse_announcement(""), None);
        assert_eq!(parse_announcement("listening on unix:/x\n"), None);
    }

    #[test]
    fn resident_memory() {
        assert_eq!(resident("VmHWM:\t    9000 kB\nVmRSS:\t    8192 kB\nThreads:\t1\n"), Some(8 << 20));
        assert_eq!(resident("State:\tZ (zombie)\nThreads:\t1\n"), None);
    }

    #[test]
    fn a_server_starts_answers_and_is_gone() {
        let placement = Cores::choose(None).unwrap().place(1);
        let server = ServerProcess::start(Peer::PythonEcho, &placement).unwrap();
        std::net::TcpStream::connect(server.address()).unwrap();
        let pid = server.child.id();
        assert!(server.usage().unwrap().resident > 1 << 20);
        drop(server);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
