//! A server in a process of its own.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::cores::Placement;
use crate::launch::{Launch, Tells, launch};
use crate::peer::Peer;
use crate::tree;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server has used so far.
#[derive(Debug)]
pub(crate) struct Usage {
    /// Of all its threads, from the process clock; of all its processes, if it has one a connection.
    pub(crate) cpu: Duration,
    /// Bytes of resident memory.
    pub(crate) resident: u64,
}

/// A running server; dropping it kills and reaps it.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    address: SocketAddr,
    /// It has a process for each connection.
    forks: bool,
    /// What it passes connections on to. Its use does not count.
    _behind: Option<Box<Self>>,
}

impl ServerProcess {
    /// Starts the peer on the server's cores and waits until it listens. Where it passes connections on, a server for that is
    /// started first, on spare cores.
    pub(crate) fn start(peer: Peer, placement: &Placement) -> io::Result<Self> {
        Self::start_with(peer, placement, None)
    }

    /// The same, with at most so many descriptors.
    pub(crate) fn start_with(peer: Peer, placement: &Placement, descriptors: Option<usize>) -> io::Result<Self> {
        let behind = if peer.how().passes_on() {
            let echo = launch(Peer::EpollEcho, None, None)?;
            Some(Box::new(placement.on_spare_cores(|| Self::run(Peer::EpollEcho, echo, None))?))
        } else {
            None
        };
        let launch = launch(peer, behind.as_ref().map(|behind| behind.address), descriptors)?;
        placement.on_server_cores(|| Self::run(peer, launch, behind))
    }

    fn run(peer: Peer, launch: Launch, behind: Option<Box<Self>>) -> io::Result<Self> {
        let Launch { mut command, tells } = launch;
        command.stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| io::Error::other(format!("{peer} did not start: {error}")))?;
        match listens(&mut child, tells) {
            Ok(address) => Ok(Self { child, address, forks: peer.forks(), _behind: behind }),
            Err(error) => {
                end(&mut child);
                Err(io::Error::other(format!("{peer} did not start: {error}")))
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it serves: it tells where it listens before that, and what it takes to begin is no connection's share. Over TCP.
    pub(crate) fn serves(&self) -> io::Result<()> {
        let mut guest = TcpStream::connect(self.address)?;
        guest.set_read_timeout(Some(PATIENCE))?;
        // Whatever it speaks, it closes when the other side has.
        guest.shutdown(Shutdown::Write)?;
        match guest.read_to_end(&mut Vec::new()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// How much it has open: descriptors, and processes beside the first.
    pub(crate) fn open(&self) -> io::Result<usize> {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count();
        Ok(descriptors + if self.forks { tree::size(self.pid())? } else { 0 })
    }

    /// Waits until it has ended, so long at most; whether it has.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> io::Result<bool> {
        let since = Instant::now();
        while self.child.try_wait()?.is_none() {
            if since.elapsed() >= limit {
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(true)
    }

    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let pid = self.child.id();
        if self.forks {
            return Ok(Usage { cpu: tree::cpu(pid)?, resident: tree::resident(pid)? });
        }
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

/// The bytes of `VmRSS` in a `/proc/PID/status`, see proc_pid_status(5).
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Where it listens, as soon as it does.
fn listens(child: &mut Child, tells: Tells) -> io::Result<SocketAddr> {
    let since = Instant::now();
    match tells {
        Tells::Listening(address) => Ok(address),
        Tells::Address => {
            let line = first_line(child)?;
            let said = || io::Error::other(format!("it said {:?} and not where it listens", line.trim_end()));
            parse_announcement(&line).ok_or_else(said)
        }
        Tells::Port => {
            let line = first_line(child)?;
            let port = line.trim_end().parse();
            let port: u16 = port.map_err(|_| io::Error::other(format!("it said {line:?}, which is no port")))?;
            Ok(SocketAddr::from(([127, 0, 0, 1], port)))
        }
        Tells::Nothing(address) => {
            // Whoever connected to find out would be a client, and counted.
            while !is_listening(address.port())? {
                if let Some(status) = child.try_wait()? {
                    return Err(io::Error::other(format!("it ended: {status}")));
                }
                if since.elapsed() > PATIENCE {
                    return Err(io::Error::other("it does not listen"));
                }
                thread::sleep(Duration::from_millis(2));
            }
            Ok(address)
        }
    }
}

fn first_line(child: &mut Child) -> io::Result<String> {
    let Some(mut output) = child.stdout.take() else {
        return Err(io::Error::other("it has no standard output"));
    };
    let until = Instant::now() + PATIENCE;
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut readable = [PollFd::new(&output, PollFlags::IN)];
        if rustix::event::poll(&mut readable, Some(&left))? == 0 {
            return Err(io::Error::other(format!("it said nothing for {PATIENCE:?}")));
        }
        let mut byte = [0];
        if output.read(&mut byte)? == 0 {
            return Err(io::Error::other("it ended, and said why on standard error"));
        }
        line.extend(byte);
    }
    String::from_utf8(line).map_err(io::Error::other)
}

/// Whether somebody listens on that port of 127.0.0.1, see proc_net(5).
fn is_listening(port: u16) -> io::Result<bool> {
    let address = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    // The number of a socket, its address, its peer's, its state: 0A is LISTEN.
    Ok(table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next() == Some(&address) && fields.nth(1) == Some("0A")
    }))
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
    fn whether_somebody_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(is_listening(address.port()).unwrap());
        let client = TcpStream::connect(address).unwrap();
        assert!(!is_listening(client.local_addr().unwrap().port()).unwrap());
    }

    #[test]
    fn a_server_starts_answers_and_is_gone() {
        let placement = Cores::choose(None).unwrap().place(1);
        let server = ServerProcess::start(Peer::PythonEcho, &placement).unwrap();
        TcpStream::connect(server.address()).unwrap();
        let pid = server.child.id();
        assert!(server.usage().unwrap().resident > 1 << 20);
        drop(server);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
