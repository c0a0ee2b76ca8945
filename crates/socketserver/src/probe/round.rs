//! Many targets at a time, by one loop on the calling thread.

use super::credit::Credit;
use super::tcp::{Dial, Parting};
use super::udp::Question;
use super::{Evidence, Probe, State, Verdict, Whose};
use crate::endpoint::{is_ready, poll_until};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The longest time between two turns while the probe waits for a target to open, after it was answered.
const REST: Duration = Duration::from_secs(1);

/// A target, and what is known of it.
#[derive(Debug)]
pub(super) struct Job {
    /// Its place among all targets.
    at: usize,
    address: SocketAddr,
    datagram: bool,
    tries: u32,
    /// How often it was asked until there was something to say.
    turns: usize,
    /// It was silent, which may be the fault of a limit on what the host says.
    again: bool,
    /// What its last turn came to.
    last: Option<io::Result<(Evidence, Option<Duration>)>>,
}

impl Job {
    pub(super) fn new(at: usize, address: SocketAddr, datagram: bool) -> Self {
        Self { at, address, datagram, tries: 0, turns: 0, again: false, last: None }
    }

    fn verdict(self) -> io::Result<Verdict> {
        let nothing = if self.tries == 0 { Evidence::Unasked } else { Evidence::Silence };
        let (evidence, rtt) = self.last.unwrap_or(Ok((nothing, None)))?;
        let state = evidence.state(self.datagram);
        Ok(Verdict { state, evidence, address: self.address, rtt, tries: self.tries })
    }
}

/// A target in its turn.
#[derive(Debug)]
struct Asked<'p> {
    job: Job,
    line: Line<'p>,
    /// How many tries of this turn there were.
    tried: usize,
    sent: Instant,
    /// When this try has had its time.
    due: Instant,
}

#[derive(Debug)]
enum Line<'p> {
    Tcp(Dial<'p>),
    Udp(Question),
}

impl Line<'_> {
    fn look(&mut self) -> Option<Evidence> {
        match self {
            Self::Tcp(dial) => dial.look(),
            Self::Udp(question) => question.look(),
        }
    }

    fn silence(&self) -> Evidence {
        match self {
            Self::Tcp(dial) => dial.silence(),
            Self::Udp(question) => question.silence(),
        }
    }

    /// How long it took to connect.
    fn connected(&self) -> Option<Duration> {
        match self {
            Self::Tcp(dial) => dial.took,
            Self::Udp(_) => None,
        }
    }

    fn push_fds<'s>(&'s self, fds: &mut Vec<PollFd<'s>>) {
        match self {
            Self::Tcp(dial) => fds.push(PollFd::from_borrowed_fd(dial.as_fd(), dial.interest())),
            Self::Udp(question) => fds.extend(question.ears().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))),
        }
    }
}

/// A host of which several ports may be asked over UDP.
#[derive(Debug, Default)]
struct Host {
    /// How many of its targets have not yet had their first turn.
    first: usize,
    /// From its first message of ICMP on.
    credit: Option<Credit>,
    /// Silent ones, which may be closed all the same.
    doubtful: VecDeque<Job>,
    /// How many of these are being asked again.
    out: u32,
}

#[derive(Debug)]
pub(super) struct Round<'p> {
    probe: &'p Probe,
    /// When the probe no longer waits for targets to open, if it does at all.
    until: Option<Instant>,
    /// By when they are to be asked, then by their place.
    queue: BTreeMap<(Instant, usize), Job>,
    asked: Vec<Asked<'p>>,
    parting: Vec<Parting>,
    hosts: HashMap<IpAddr, Host>,
    /// Those that have doubtful ones.
    in_doubt: Vec<IpAddr>,
    /// How many may be asked at a time.
    places: usize,
    done: Vec<(usize, io::Result<Verdict>)>,
}

impl<'p> Round<'p> {
    pub(super) fn new(probe: &'p Probe, jobs: impl IntoIterator<Item = Job>, until: Option<Instant>) -> Self {
        let now = Instant::now();
        let queue: BTreeMap<_, _> = jobs.into_iter().map(|job| ((now, job.at), job)).collect();
        let mut hosts = HashMap::<_, Host>::new();
        for job in queue.values() {
            hosts.entry(job.address.ip()).or_default().first += 1;
        }
        let (asked, parting, in_doubt, done) = Default::default();
        Self { probe, until, queue, asked, parting, hosts, in_doubt, places: probe.at_a_time, done }
    }

    /// Asks them all, and gives each verdict when it is known.
    pub(super) fn run(mut self, mut tell: impl FnMut(usize, io::Result<Verdict>)) -> io::Result<()> {
        loop {
            let now = Instant::now();
            self.parting.retain_mut(|parting| !parting.is_over(now));
            // When the time is up no more tries are begun.
            if self.until.is_some_and(|until| until <= now) {
                self.give_up(now);
            }
            self.go_on(now);
            self.begin(now);
            for (at, verdict) in self.done.drain(..) {
                tell(at, verdict);
            }
            let is_over = self.asked.is_empty() && self.parting.is_empty() && self.queue.is_empty();
            if is_over && self.in_doubt.is_empty() {
                return Ok(());
            }
            self.wait(now)?;
        }
    }

    /// The time is up: what is known is what is said.
    fn give_up(&mut self, now: Instant) {
        for mut asked in std::mem::take(&mut self.asked) {
            let evidence = asked.line.look().unwrap_or_else(|| asked.line.silence());
            // A try that was cut short says less than one that had its time.
            if asked.job.last.is_none() || evidence.is_answer() {
                asked.job.last = Some(Ok((evidence.clone(), asked.line.connected())));
            }
            self.part(asked.line, &evidence, now);
            self.finish(asked.job);
        }
        for job in std::mem::take(&mut self.queue).into_values() {
            self.finish(job);
        }
    }

    /// Gives free places to those whose turn it is; to no more of them than there are places, for some are answered at
    /// once, and meanwhile others wait.
    fn begin(&mut self, now: Instant) {
        for _ in 0..self.places {
            if self.asked.len() + self.parting.len() >= self.places {
                return;
            }
            let Some(job) = self.next_doubtful(now).or_else(|| self.next_in_queue(now)) else { return };
            if !self.start(job, now) {
                return;
            }
        }
    }

    fn next_in_queue(&mut self, now: Instant) -> Option<Job> {
        let first = self.queue.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    /// A silent one that can be asked again, with an answer for certain if its port is closed.
    fn next_doubtful(&mut self, now: Instant) -> Option<Job> {
        for at in 0..self.in_doubt.len() {
            let Some(host) = self.hosts.get_mut(&self.in_doubt[at]) else { continue };
            if host.next_doubtful().is_some_and(|when| when <= now) {
                let job = host.doubtful.pop_front();
                host.out += 1;
                if host.doubtful.is_empty() {
                    self.in_doubt.swap_remove(at);
                }
                return job;
            }
        }
        None
    }

    /// Asks for the first time in a turn. `false`: there is no room for it at the moment.
    fn start(&mut self, mut job: Job, now: Instant) -> bool {
        let line = match job.datagram {
            true => Question::start(job.address).map(Line::Udp),
            false => Dial::start(job.address, &self.probe.payload).map(Line::Tcp),
        };
        let mut line = match line {
            Ok(line) => line,
            // Fewer at a time, then.
            Err(error) if is_full(&error) && self.asked.len() + self.parting.len() > 0 => {
                self.places = self.asked.len() + self.parting.len();
                if job.again {
                    let host = self.hosts.entry(job.address.ip()).or_default();
                    host.out = host.out.saturating_sub(1);
                    self.doubt(job);
                } else {
                    self.queue.insert((now, job.at), job);
                }
                return false;
            }
            Err(error) => {
                self.end(job, None, Err(error), now);
                return true;
            }
        };
        job.tries += 1;
        let now = Instant::now();
        self.sent(job.address.ip(), now);
        let answer = match &mut line {
            Line::Tcp(dial) => Ok(dial.look()),
            Line::Udp(question) => question.ask(&self.probe.payload),
        };
        let wait = if job.again { self.probe.longest() } else { self.probe.waits[0] };
        let mut asked = Asked { job, line, tried: 1, sent: now, due: now + wait };
        match answer {
            Ok(None) => {
                asked.give_time_to_reply(self.probe, now);
                self.asked.push(asked);
            }
            Ok(Some(evidence)) => self.answered(asked, evidence, now),
            Err(error) => self.end(asked.job, Some(asked.line), Err(error), now),
        }
        true
    }

    fn sent(&mut self, ip: IpAddr, now: Instant) {
        if let Some(credit) = self.hosts.get_mut(&ip).and_then(|host| host.credit.as_mut()) {
            credit.sent(now);
        }
    }

    /// Waits until something has come or is due.
    fn wait(&mut self, now: Instant) -> io::Result<()> {
        let mut next: Vec<Instant> = self.asked.iter().map(|asked| asked.due).collect();
        next.extend(self.parting.iter().map(|parting| parting.until));
        next.extend(self.until.filter(|until| *until > now));
        if self.asked.len() + self.parting.len() < self.places {
            next.extend(self.queue.first_key_value().map(|((when, _), _)| *when));
            let in_doubt = self.in_doubt.iter().filter_map(|ip| self.hosts.get(ip));
            next.extend(in_doubt.filter_map(Host::next_doubtful));
        }
        let mut fds = Vec::new();
        let mut whose = Vec::new();
        for (at, asked) in self.asked.iter().enumerate() {
            asked.line.push_fds(&mut fds);
            whose.resize(fds.len(), at);
        }
        fds.extend(self.parting.iter().map(|parting| PollFd::from_borrowed_fd(parting.as_fd(), PollFlags::IN)));
        poll_until(&mut fds, next.into_iter().min())?;
        let mut ready: Vec<_> = fds.iter().zip(whose).filter(|(fd, _)| is_ready(fd)).map(|(_, at)| at).collect();
        drop(fds);
        ready.dedup();
        let now = Instant::now();
        // From the end: none changes its place before it was looked at.
        for at in ready.into_iter().rev() {
            match self.asked[at].line.look() {
                Some(evidence) => {
                    let asked = self.asked.swap_remove(at);
                    self.answered(asked, evidence, now);
                }
                None => self.asked[at].give_time_to_reply(self.probe, now),
            }
        }
        Ok(())
    }

    /// Tries once more, or ends the turn, of whom has had the time of a try.
    fn go_on(&mut self, now: Instant) {
        for at in (0..self.asked.len()).rev() {
            if self.asked[at].due > now {
                continue;
            }
            let mut asked = self.asked.swap_remove(at);
            let is_last = asked.job.again || asked.tried >= self.probe.waits.len() || asked.line.connected().is_some();
            if is_last {
                let silence = asked.line.silence();
                self.answered(asked, silence, now);
                continue;
            }
            self.sent(asked.job.address.ip(), now);
            let answer = match &mut asked.line {
                Line::Tcp(dial) => Dial::start(asked.job.address, &self.probe.payload).map(|fresh| {
                    *dial = fresh;
                    dial.look()
                }),
                Line::Udp(question) => question.ask(&self.probe.payload),
            };
            match answer {
                Ok(Some(evidence)) => self.answered(asked, evidence, now),
                Ok(None) => {
                    asked.job.tries += 1;
                    asked.sent = now;
                    asked.due = now + self.probe.waits[asked.tried];
                    asked.tried += 1;
                    asked.give_time_to_reply(self.probe, now);
                    self.asked.push(asked);
                }
                Err(error) => self.end(asked.job, Some(asked.line), Err(error), now),
            }
        }
    }

    fn answered(&mut self, asked: Asked<'p>, evidence: Evidence, now: Instant) {
        let rtt = asked.line.connected().or_else(|| evidence.is_answer().then(|| now - asked.sent));
        self.end(asked.job, Some(asked.line), Ok((evidence, rtt)), now);
    }

    /// Ends a turn: the target is done with, or will be asked again.
    fn end(
        &mut self,
        mut job: Job,
        line: Option<Line<'p>>,
        result: io::Result<(Evidence, Option<Duration>)>,
        now: Instant,
    ) {
        let evidence = result.as_ref().ok().map(|(evidence, _)| evidence.clone());
        let at_home = matches!(&line, Some(Line::Udp(question)) if question.is_at_home());
        if let (Some(line), Some(evidence)) = (line, &evidence) {
            self.part(line, evidence, now);
        }
        job.last = Some(result);
        let waits = self.until.is_some_and(|until| until > now);
        let is_open = evidence.as_ref().is_some_and(|evidence| evidence.state(job.datagram) == State::Open);
        if waits && !is_open {
            let is_silence = matches!(evidence, Some(Evidence::Silence | Evidence::Elsewhere { .. }));
            let rest = self.probe.waits[job.turns.min(self.probe.waits.len() - 1)].min(REST);
            job.turns += 1;
            self.queue.insert((if is_silence { now } else { now + rest }, job.at), job);
        } else if !at_home && !self.is_waiting() && self.is_doubtful(&job, evidence.as_ref(), now) {
            job.again = true;
            self.doubt(job);
        } else {
            self.finish(job);
        }
    }

    /// Reckons with what came about its host. Whether it may be closed though it is silent.
    fn is_doubtful(&mut self, job: &Job, evidence: Option<&Evidence>, now: Instant) -> bool {
        let host = self.hosts.entry(job.address.ip()).or_default();
        if job.again {
            host.out = host.out.saturating_sub(1);
        } else {
            host.first = host.first.saturating_sub(1);
        }
        match evidence {
            Some(Evidence::Icmp { whose, .. }) => {
                let on_the_way = *whose == Whose::Another;
                match &mut host.credit {
                    Some(credit) if job.again => credit.spend(now, on_the_way),
                    credit => {
                        let on_the_way = on_the_way || credit.is_some_and(|credit| credit.is_on_the_way());
                        *credit = Some(Credit::none(now, on_the_way));
                    }
                }
                false
            }
            Some(Evidence::Silence | Evidence::Elsewhere { .. }) => job.datagram && !job.again && host.credit.is_some(),
            _ => false,
        }
    }

    /// Whether it is to wait for targets to open.
    fn is_waiting(&self) -> bool {
        self.until.is_some()
    }

    fn doubt(&mut self, job: Job) {
        let ip = job.address.ip();
        let host = self.hosts.entry(ip).or_default();
        host.doubtful.push_back(job);
        if !self.in_doubt.contains(&ip) {
            self.in_doubt.push(ip);
        }
    }

    fn part(&mut self, line: Line<'p>, evidence: &Evidence, now: Instant) {
        if let Line::Tcp(dial) = line {
            self.parting.extend(dial.part(evidence, now));
        }
    }

    fn finish(&mut self, job: Job) {
        self.done.push((job.at, job.verdict()));
    }
}

impl Asked<'_> {
    /// Who is connected has as long to reply as the longest try takes.
    fn give_time_to_reply(&mut self, probe: &Probe, now: Instant) {
        if let Line::Tcp(dial) = &mut self.line
            && dial.took.is_some()
            && !dial.listens
        {
            dial.listens = true;
            self.due = now + probe.longest();
        }
    }
}

impl Host {
    /// When one of the silent ones can be asked again; not while others have their first turn, which spend credit too.
    fn next_doubtful(&self) -> Option<Instant> {
        self.credit.filter(|_| self.first == 0 && !self.doubtful.is_empty())?.next(self.out)
    }
}

/// Whether the system or the process has no descriptor or memory left.
fn is_full(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}
