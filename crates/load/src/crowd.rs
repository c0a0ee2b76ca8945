//! One datagram socket that speaks as many peers, each with an address of its own, each message being another's.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use rustix::net::SocketAddrAny;
use socket2::{Domain, SockAddr, Socket, Type};
use socketserver_sys::{Inbox, Local, Outbox, tell_errors, tell_local};

use crate::errors::Failure;
use crate::meter::Meter;
use crate::packets::{AT_A_TIME, QUEUE};
use crate::payload::Payload;
use crate::plan::Plan;
use crate::poller::Poller;
use crate::{LoadError, Outcome, Target};

/// The first peer; the others follow it.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);
/// Up to 127.254.255.255: what lies beyond ends in the broadcast address.
const MOST: usize = 254 << 16;
/// A message that was not answered for so long is sent again: it may be lost.
const PATIENCE: Duration = Duration::from_millis(200);

/// Where the server is, if so many peers can speak to it.
pub(crate) fn check(plan: &Plan, peers: usize, target: &Target) -> Result<SocketAddrV4, LoadError> {
    let Target::Udp(SocketAddr::V4(server)) = target else {
        return Err(LoadError::invalid("peers of many addresses need a server on UDP over IPv4"));
    };
    if !server.ip().is_loopback() {
        return Err(LoadError::invalid("peers of many addresses are on this machine: the server is in 127.0.0.0/8"));
    }
    if !(1..=MOST).contains(&peers) {
        return Err(LoadError::invalid("there are 1 to 16,646,144 peers"));
    }
    if plan.connections != 1 || plan.trains.is_some() || !plan.sources.is_empty() {
        return Err(LoadError::invalid("peers of many addresses have one socket, no trains, and no other sources"));
    }
    Ok(*server)
}

/// Runs the load until its window closes, its socket is lost, or nothing moves any more.
pub(crate) fn run<'a>(
    plan: &'a Plan,
    peers: usize,
    payload: &'a Payload,
    server: SocketAddrV4,
    mut poller: Poller,
    mut meter: Meter<'a>,
) -> Result<Outcome, LoadError> {
    let socket = open().map_err(LoadError::system("open a socket that speaks from many addresses"))?;
    poller.add(&socket, 0, true).map_err(LoadError::system("watch a socket"))?;
    meter.opened(None);
    meter.begin();
    let mut engine = Engine {
        plan,
        peers: peers as u64,
        payload,
        meter,
        socket,
        server: SocketAddr::from(server).into(),
        composed: 0,
        asked: Asked::default(),
        inbox: Inbox::new(AT_A_TIME.min(plan.depth), payload.len() + 1),
        outbox: Outbox::default(),
        message: Vec::new(),
    };
    let result = engine.rounds(&mut poller);
    let in_flight = engine.asked.waiting.len() as u64;
    let outcome = engine.meter.finish(in_flight);
    result.map(|()| outcome)
}

struct Engine<'a> {
    plan: &'a Plan,
    peers: u64,
    payload: &'a Payload,
    meter: Meter<'a>,
    socket: Socket,
    server: SocketAddrAny,
    /// Messages composed so far, but for those that were sent again.
    composed: u64,
    asked: Asked,
    inbox: Inbox,
    outbox: Outbox,
    /// The one that is being composed.
    message: Vec<u8>,
}

/// A message that was sent.
#[derive(Debug)]
struct Sent {
    number: u64,
    peer: IpAddr,
    /// When it was sent first.
    since: Instant,
    /// When it is to be sent again.
    due: Instant,
    /// How many replies to it may come.
    replies: u32,
}

/// What the server was asked.
#[derive(Debug, Default)]
struct Asked {
    /// Those that were not answered, in the order in which they are due.
    waiting: VecDeque<Sent>,
    /// Those that were answered, and sent more often than that: what was taken for lost may only have been late. There is no
    /// bound but how many are sent again: as many as are in flight, each time that patience is at its end.
    late: Vec<Sent>,
}

impl Engine<'_> {
    fn rounds(&mut self, poller: &mut Poller) -> Result<(), LoadError> {
        let mut step = self.top_up(Instant::now());
        loop {
            if let Err(failure) = step {
                self.meter.failed(failure);
                self.asked.waiting.clear();
                return Ok(());
            }
            let now = Instant::now();
            if !self.meter.turn(now, self.asked.waiting.len() as u64) {
                return Ok(());
            }
            if self.meter.stalled(now) {
                self.meter.failed(Failure::Timeout);
                return Ok(());
            }
            poller.wait(self.patience(now)).map_err(LoadError::system("wait for events"))?;
            step = self.receive_all().and_then(|()| self.send_again(Instant::now()));
        }
    }

    /// How long there is nothing to do unless the socket becomes ready.
    fn patience(&self, now: Instant) -> Duration {
        let patience = self.meter.patience(now);
        match self.asked.waiting.front() {
            // What waits for room in the socket's queue was not sent at all.
            Some(next) if self.outbox.is_empty() => patience.min(next.due.saturating_duration_since(now)),
            _ => patience,
        }
    }

    /// Receives until nothing is left; for what came as many are sent anew, in one call.
    fn receive_all(&mut self) -> Result<(), Failure> {
        loop {
            let count = match self.inbox.receive(&self.socket) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.send(),
                Err(error) => return Err(Failure::from(&error)),
            };
            let now = Instant::now();
            for at in 0..count {
                let packet = self.inbox.packet(at);
                // The socket is connected to nobody: anybody may send it something.
                if packet.from.as_ref() != Some(&self.server) {
                    continue;
                }
                let peer = packet.local.ok_or(Failure::Mismatch)?.to;
                if let Some(since) = self.asked.answer(peer, packet.bytes, self.payload)? {
                    self.meter.received(now, self.payload.len());
                    self.meter.completed(now, since, 1);
                }
            }
            self.top_up(now)?;
            if count < self.inbox.capacity() {
                return Ok(());
            }
        }
    }

    /// Starts messages until as many are in flight as may be, each from the next peer.
    fn top_up(&mut self, now: Instant) -> Result<(), Failure> {
        let room = self.plan.depth - self.asked.waiting.len();
        for _ in 0..self.meter.take(room as u64, now) {
            let number = self.plan.first + self.composed;
            let peer = peer(self.composed % self.peers);
            self.composed += 1;
            self.compose(number, peer);
            self.asked.waiting.push_back(Sent { number, peer, since: now, due: now + PATIENCE, replies: 1 });
        }
        self.send()
    }

    /// Sends again what was not answered for too long.
    fn send_again(&mut self, now: Instant) -> Result<(), Failure> {
        if !self.outbox.is_empty() {
            return Ok(());
        }
        while self.asked.waiting.front().is_some_and(|next| next.due <= now) {
            let Some(mut sent) = self.asked.waiting.pop_front() else { break };
            sent.due = now + PATIENCE;
            sent.replies += 1;
            self.compose(sent.number, sent.peer);
            self.asked.waiting.push_back(sent);
        }
        self.send()
    }

    fn compose(&mut self, number: u64, peer: IpAddr) {
        self.message.clear();
        self.payload.append(number, &mut self.message);
        let local = Local { to: peer, from: Some(peer), interface: 0 };
        self.outbox.push(&self.message, Some(&self.server), Some(local));
    }

    /// Sends what is composed, as much as the socket takes; it tells when it takes more.
    fn send(&mut self) -> Result<(), Failure> {
        let mut failed = None;
        self.outbox.send(&self.socket, |_, error| failed = Some(Failure::from(&error)));
        failed.map_or(Ok(()), Err)
    }
}

impl Asked {
    /// When the message was sent first that this is the echo of, to the peer that sent it. `None`: it was answered before,
    /// and sent more than once.
    fn answer(&mut self, peer: IpAddr, bytes: &[u8], payload: &Payload) -> Result<Option<Instant>, Failure> {
        let is_echo = |sent: &Sent| sent.peer == peer && payload.is(sent.number, bytes);
        // In order, but for servers that handle several at a time, and for those that were sent again.
        let place = self.waiting.iter().position(is_echo);
        if let Some(mut sent) = place.and_then(|place| self.waiting.remove(place)) {
            let since = sent.since;
            sent.replies -= 1;
            if sent.replies > 0 {
                self.late.push(sent);
            }
            return Ok(Some(since));
        }
        let place = self.late.iter().position(is_echo).ok_or(Failure::Mismatch)?;
        self.late[place].replies -= 1;
        if self.late[place].replies == 0 {
            self.late.swap_remove(place);
        }
        Ok(None)
    }
}

/// The address of a peer by its place among them, which is less than [`MOST`].
fn peer(place: u64) -> IpAddr {
    Ipv4Addr::from_bits(FIRST.to_bits() + place as u32).into()
}

/// A socket of all addresses, which tells to which of them a packet came, and whether nobody listens at the other end.
fn open() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking().cloexec(), None)?;
    socket.bind(&SockAddr::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)))?;
    socket.set_recv_buffer_size(QUEUE)?;
    tell_local(&socket, false)?;
    tell_errors(&socket, false)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Form;

    #[test]
    fn peers_follow_each_other_and_none_is_a_broadcast() {
        assert_eq!(peer(0), IpAddr::from([127, 1, 0, 0]));
        assert_eq!(peer(0x1_0203), IpAddr::from([127, 2, 2, 3]));
        assert_eq!(peer(MOST as u64 - 1), IpAddr::from([127, 254, 255, 255]));
    }

    #[test]
    fn a_reply_is_of_one_peer_and_as_often_as_it_was_asked() {
        let (payload, now) = (Payload::distinct(20, Form::Bytes), Instant::now());
        let sent = |number, replies| Sent { number, peer: peer(number), since: now, due: now, replies };
        let mut asked = Asked { waiting: [sent(0, 1), sent(1, 2), sent(2, 1)].into(), late: Vec::new() };
        let mut answer = |from: u64, number| {
            let mut bytes = Vec::new();
            payload.append(number, &mut bytes);
            asked.answer(peer(from), &bytes, &payload)
        };
        assert_eq!(answer(1, 1), Ok(Some(now)));
        assert_eq!(answer(2, 0), Err(Failure::Mismatch), "another's");
        assert_eq!(answer(2, 2), Ok(Some(now)));
        assert_eq!(answer(2, 2), Err(Failure::Mismatch), "asked once alone");
        assert_eq!(answer(1, 1), Ok(None));
        assert_eq!(answer(1, 1), Err(Failure::Mismatch), "asked twice alone");
        assert_eq!(answer(0, 0), Ok(Some(now)));
        assert!(asked.waiting.is_empty() && asked.late.is_empty());
    }
}
