#![doc = include_str!("../../docs/probe.md")]

mod credit;
mod icmp;
mod round;
mod tcp;
mod udp;
mod verdict;

pub use icmp::{Icmp, Whose};
pub use socketserver_proto::{MAX_TARGETS, Targets};
pub use verdict::{Evidence, State, Verdict};

use crate::client::Target;
use crate::endpoint::resolve;
use crate::{Error, ErrorKind};
use round::{Job, Round};
use socketserver_proto::{Endpoint, Host};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use std::{io, mem};

/// The most that a packet carries: 65,535 bytes less the headers of IPv4 and UDP.
const MOST_IN_A_PACKET: usize = 65_507;

/// How long between two tries to find the address of a name, while the probe waits for targets to open.
const NAME_AGAIN: Duration = Duration::from_secs(1);

/// Finds out whether somebody is at an address, over TCP or UDP; the [module](self) says how.
///
/// ```
/// use socketserver::probe::{Evidence, Probe, State};
/// use std::net::UdpSocket;
/// // It never answers.
/// let silent = UdpSocket::bind("127.0.0.1:0")?;
/// let wait = std::time::Duration::from_millis(20);
/// let verdict = Probe::new().waits([wait, wait]).one(format!("udp://{}", silent.local_addr()?))?;
/// assert_eq!((verdict.state, verdict.tries), (State::OpenOrFiltered, 2));
/// assert_eq!(verdict.evidence, Evidence::Silence);
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone)]
pub struct Probe {
    /// At least one.
    waits: Vec<Duration>,
    payload: Vec<u8>,
    until_open: Option<Duration>,
    /// At least 1.
    at_a_time: usize,
}

impl Default for Probe {
    fn default() -> Self {
        let waits = [500, 1000, 2000].map(Duration::from_millis);
        Self { waits: waits.into(), payload: Vec::new(), until_open: None, at_a_time: 64 }
    }
}

impl Probe {
    /// Three tries, of 500 ms, 1 s and 2 s; nothing to send; 64 targets at a time.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long each try waits for an answer, and so how many there are, for each target. At least one: of none the waits
    /// stay what they were. None is shorter than 1 ms or longer than a day.
    #[must_use]
    pub fn waits(mut self, waits: impl IntoIterator<Item = Duration>) -> Self {
        let waits: Vec<_> = waits.into_iter().map(|wait| wait.clamp(Duration::from_millis(1), A_DAY)).collect();
        if !waits.is_empty() {
            self.waits = waits;
        }
        self
    }

    /// What to send, exactly; nothing by default. Over UDP that is each packet (by default an empty one), of 65,507 bytes at
    /// most. Over TCP it is sent once the connection is there, and an answer waited for as long as the longest of the
    /// [waits](Self::waits); the target is open whether one comes or not.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = payload.into();
        self
    }

    /// Asks each target again and again until it is open or so much time has passed since the start; `None`, the default:
    /// until there is something to say. Names without an address, and errors of this machine such as a missing route, may
    /// pass too, and are waited out as well.
    ///
    /// An answer other than that it is open is followed by a rest of a second at most. When the time is up the last
    /// complete answer is the verdict; silence that lasted less than a try's time is one only if there was no other.
    #[must_use]
    pub fn until_open(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.until_open = time.into();
        self
    }

    /// How many targets may be asked at a time, at least 1; 64 by default. Each takes two descriptors at most. Where the
    /// process runs out of these it goes on with as many as it has.
    #[must_use]
    pub fn at_a_time(mut self, targets: usize) -> Self {
        self.at_a_time = targets.max(1);
        self
    }

    /// Asks one target. It blocks until there is a verdict.
    ///
    /// ```
    /// use socketserver::probe::{Evidence, Probe, State};
    /// use socketserver::{Serial, Server, blocking};
    /// let server = Server::bind("tcp://127.0.0.1:0")?
    ///     .spawn(Serial::default(), |c: &mut blocking::Stream| Ok(c.write_all(b"hello")?))?;
    /// let verdict = Probe::new().payload("hello?").one(&server.handle().endpoints()[0])?;
    /// assert_eq!((verdict.state, verdict.evidence), (State::Open, Evidence::Reply { bytes: 5 }));
    /// # server.stop()?;
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    ///
    /// # Errors
    /// An address that is not understood or cannot be probed (only `tcp` and `udp` can, and no port 0), a name without an
    /// address, a payload too large for a packet; errors of this machine, such as a missing route. What the network
    /// says is no error, but a verdict.
    pub fn one(&self, target: impl Target) -> Result<Verdict, Error> {
        let mut verdict = None;
        self.all([target.endpoint()?], |_, result| verdict = Some(result))?;
        verdict.unwrap_or_else(|| Err(Error::new(ErrorKind::Io, "there is no verdict")))
    }

    /// Asks many targets, several at a time, on the calling thread, and gives their verdicts in the order of the targets,
    /// each as soon as it and those before it are known. It blocks until all are.
    ///
    /// ```
    /// use socketserver::probe::{Probe, State, Targets};
    /// use std::net::TcpListener;
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let port = listener.local_addr()?.port();
    /// let targets: Targets = format!("127.0.0.1:{port},1-3").parse()?;
    /// let mut states = Vec::new();
    /// Probe::new().all(targets.iter(), |_target, verdict| states.push(verdict.map(|verdict| verdict.state).ok()))?;
    /// assert_eq!((states.len(), states[0]), (4, Some(State::Open)));
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    ///
    /// # Errors
    /// As [`one`](Self::one) for what was asked for, more than [`MAX_TARGETS`] among it, and then nothing was sent. What
    /// concerns one target is given with it, and the others go on.
    pub fn all(
        &self,
        targets: impl IntoIterator<Item = Endpoint>,
        mut tell: impl FnMut(&Endpoint, Result<Verdict, Error>),
    ) -> Result<(), Error> {
        let targets: Vec<_> = targets.into_iter().take(MAX_TARGETS + 1).collect();
        if targets.len() > MAX_TARGETS {
            return Err(Error::new(
                ErrorKind::Endpoint,
                format!("more than {MAX_TARGETS} targets; ask for fewer at once"),
            ));
        }
        targets.iter().try_for_each(|target| self.check(target))?;
        let started = Instant::now();
        // A time beyond all clocks is none that is ever up, but to wait is still what was asked for.
        let until = self.until_open.map(|time| started.checked_add(time).unwrap_or(started + FAR));
        let mut in_order = InOrder { ready: targets.iter().map(|_| None).collect(), next: 0 };
        let mut addresses = HashMap::new();
        let mut jobs = Vec::new();
        for (at, target) in targets.iter().enumerate() {
            let (Endpoint::Tcp { host, port } | Endpoint::Udp { host, port }) = target else { continue };
            match addresses.entry(host).or_insert_with(|| address(host, until)) {
                Ok(host) => {
                    let address = with_port(*host, *port);
                    jobs.push(Job::new(at, address, target.is_datagram()));
                }
                Err(error) => {
                    let error = io::Error::new(error.kind(), error.to_string());
                    in_order.put(&targets, at, Err(failed(target, error)), &mut tell);
                }
            }
        }
        let round = Round::new(self, jobs, until);
        let result = round.run(|at, verdict| {
            let verdict = verdict.map_err(|error| failed(&targets[at], error));
            in_order.put(&targets, at, verdict, &mut tell);
        });
        result.map_err(|error| Error::io("cannot wait for answers", error))
    }

    fn check(&self, target: &Endpoint) -> Result<(), Error> {
        match target {
            Endpoint::Tcp { port: 0, .. } | Endpoint::Udp { port: 0, .. } => {
                let what = format!("`{target}` cannot be probed: port 0 is nobody's; ports are 1 to 65535");
                Err(Error::new(ErrorKind::Endpoint, what))
            }
            Endpoint::Udp { .. } if self.payload.len() > MOST_IN_A_PACKET => {
                let what = format!(
                    "{} bytes are too many for a packet to `{target}`, which carries {MOST_IN_A_PACKET} at most",
                    self.payload.len()
                );
                Err(Error::new(ErrorKind::Unsupported, what))
            }
            Endpoint::Tcp { .. } | Endpoint::Udp { .. } => Ok(()),
            other => {
                let what =
                    format!("`{other}` cannot be probed, only `tcp` and `udp` can; for example `tcp://127.0.0.1:80`");
                Err(Error::new(ErrorKind::Unsupported, what))
            }
        }
    }

    fn longest(&self) -> Duration {
        self.waits.iter().copied().max().unwrap_or_default()
    }
}

const A_DAY: Duration = Duration::from_secs(24 * 3600);

/// As good as for ever, and a time that a clock can still show.
const FAR: Duration = Duration::from_secs(100 * 365 * A_DAY.as_secs());

fn failed(target: &Endpoint, error: io::Error) -> Error {
    Error::io(format!("cannot probe `{target}`"), error)
}

/// The address of a host, without a port; with the interface that it is meant on.
fn address(host: &Host, until: Option<Instant>) -> io::Result<SocketAddr> {
    if *host == Host::Any {
        // As for a connection: this machine.
        return Ok((Ipv4Addr::LOCALHOST, 0).into());
    }
    loop {
        match (resolve(host, 0), until) {
            (Err(_), Some(until)) if Instant::now() < until => {
                std::thread::sleep(NAME_AGAIN.min(until.saturating_duration_since(Instant::now())));
            }
            (result, _) => return result,
        }
    }
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    match address.ip().to_canonical() {
        // One that is written as an IPv6 address goes out as what it is.
        IpAddr::V4(ip) => (ip, port).into(),
        IpAddr::V6(_) => address,
    }
}

/// Verdicts that wait for those before them.
struct InOrder {
    ready: Vec<Option<Result<Verdict, Error>>>,
    next: usize,
}

impl InOrder {
    fn put(
        &mut self,
        targets: &[Endpoint],
        at: usize,
        verdict: Result<Verdict, Error>,
        tell: &mut impl FnMut(&Endpoint, Result<Verdict, Error>),
    ) {
        self.ready[at] = Some(verdict);
        while let Some(verdict) = self.ready.get_mut(self.next).and_then(mem::take) {
            tell(&targets[self.next], verdict);
            self.next += 1;
        }
    }
}
