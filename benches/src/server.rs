//! A server in a process of its own.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cores::Cores;
use crate::peer::Peer;

/// A running server; dropping it kills and reaps it.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    /// Starts the peer on the server's core and waits until it says where it listens.
    pub(crate) fn start(peer: Peer, cores: &Cores) -> io::Result<Self> {
        let mut command = command(peer)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = cores.on_server_core(|| command.spawn())?;
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

    /// The process clock: what all its threads have used so far.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        socketserver_sys::process_cpu(self.child.id())
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
        command.arg(script);
        return Ok(command);
    }
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["peer", peer.name()]);
    Ok(command)
}

/// The address out of the line `listening on 127.0.0.1:PORT`.
fn announced(child: &mut Child) -> io::Result<SocketAddr> {
    let Some(output) = child.stdout.take() else {
        return Err(io::Error::other("it has no standard output"));
    };
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    parse_announcement(&line)
        .ok_or_else(|| io::Error::other(format!("it said {:?} and not where it listens", line.trim_end())))
}

fn parse_announcement(line: &str) -> Option<SocketAddr> {
    let address = line.trim_end().strip_prefix("listening on ")?;
    address.strip_prefix("tcp://").unwrap_or(address).parse().ok()
}

fn end(child: &mut Child) {
    // Fails only when it has ended already, which `wait` then tells.
    let _ended = child.kill();
    let _reaped = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announcement() {
        let address = Some("127.0.0.1:80".parse().unwrap());
        assert_eq!(parse_announcement("listening on 127.0.0.1:80\n"), address);
        assert_eq!(parse_announcement("listening on tcp://127.0.0.1:80\n"), address);
        assert_eq!(parse_announcement(""), None);
        assert_eq!(parse_announcement("listening on unix:/x\n"), None);
    }

    #[test]
    fn a_server_starts_answers_and_is_gone() {
        let cores = Cores::choose(None).unwrap();
        let server = ServerProcess::start(Peer::PythonEcho, &cores).unwrap();
        std::net::TcpStream::connect(server.address()).unwrap();
        let pid = server.child.id();
        assert!(socketserver_sys::process_cpu(pid).is_ok());
        drop(server);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
