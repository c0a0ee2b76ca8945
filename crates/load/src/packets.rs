//! Datagram sockets, and packets that come back on them.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use socket2::{SockAddr, Socket, Type};
use socketserver_sys::{Inbox, Outbox, join_trains};

use crate::errors::Failure;
use crate::lanes::{Lane, Lanes};
use crate::meter::Meter;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::poller::{Poller, Ready};
use crate::{LoadError, Outcome};

/// Received in one call at most.
pub(crate) const AT_A_TIME: usize = 64;
/// Room for what comes back, as much as most systems give (`net.core.rmem_max`). They count it twice, see `socket(7)`.
pub(crate) const QUEUE: usize = 212_992;
/// Of how many packets a late reply is known as one, on each socket; of older ones it is taken for a wrong one.
const MOST_GIVEN_UP: usize = 1024;
/// How large a train is at most.
const TRAIN: usize = 65_535;

/// Runs the load until its window closes, all sockets are lost, or nothing moves any more.
pub(crate) fn run<'a>(
    plan: &'a Plan,
    payload: &'a Payload,
    address: &'a SockAddr,
    poller: Poller,
    meter: Meter<'a>,
) -> Result<Outcome, LoadError> {
    let mut engine = Engine::new(plan, payload, poller, meter, ());
    engine.open_all(address);
    engine.run()
}

type Engine<'a> = Lanes<'a, Flow>;

/// A socket that is connected to the server.
struct Flow {
    socket: Socket,
    token: usize,
    /// Packets composed so far.
    composed: u64,
    /// Those that have not come back, the oldest first.
    waiting: VecDeque<Packet>,
    /// Those whose time is up, the oldest first: what comes of them now is late, and no fault.
    given_up: VecDeque<u64>,
    inbox: Inbox,
    outbox: Outbox,
    /// The one that is being composed.
    message: Vec<u8>,
}

struct Packet {
    number: u64,
    /// Since when its latency counts.
    since: Instant,
    sent: Instant,
}

impl Lane for Flow {
    type Shared = ();

    fn waiting(&self) -> u64 {
        self.waiting.len() as u64
    }

    fn since(&self) -> impl Iterator<Item = (Instant, u64)> {
        self.waiting.iter().map(|packet| (packet.since, 1))
    }

    /// In whole trains, if they go in trains.
    fn start(&mut self, engine: &mut Engine<'_>, room: u64, now: Instant) -> Result<(), Failure> {
        let train = engine.plan.trains.unwrap_or(1) as u64;
        for at in 0..engine.meter.take(room - room % train, now) {
            let number = engine.plan.first + self.composed * engine.plan.connections as u64 + self.token as u64;
            self.composed += 1;
            self.message.clear();
            engine.payload.append(number, &mut self.message);
            self.outbox.join(at % train > 0);
            self.outbox.push(&self.message, None, None);
            self.waiting.push_back(Packet { number, since: engine.meter.leaves(now), sent: now });
            engine.in_flight += 1;
        }
        self.send()
    }

    fn serve(&mut self, engine: &mut Engine<'_>, _: Ready) -> Result<(), Failure> {
        self.send()?;
        engine.receive_all(self)
    }

    /// Gives up the packets that are late; others take their places.
    fn time_out(&mut self, engine: &mut Engine<'_>, before: Instant) -> Result<(), Failure> {
        let lost = self.give_up(before);
        engine.meter.lost(lost);
        engine.in_flight -= lost;
        if engine.meter.is_open_loop() { Ok(()) } else { engine.top_up(self, Instant::now()) }
    }
}

impl Engine<'_> {
    fn open_all(&mut self, address: &SockAddr) {
        let size = if self.plan.trains.is_some() { TRAIN } else { self.payload.len() + 1 };
        for token in 0..self.plan.connections {
            let opened = open(address, self.plan.source(token)).and_then(|socket| {
                if self.plan.trains.is_some() {
                    join_trains(&socket, true)?;
                }
                self.poller.add(&socket, token, true)?;
                Ok(Flow {
                    socket,
                    token,
                    composed: 0,
                    waiting: VecDeque::new(),
                    given_up: VecDeque::new(),
                    inbox: Inbox::new(AT_A_TIME.min(self.plan.depth), size),
                    outbox: Outbox::default(),
                    message: Vec::new(),
                })
            });
            if opened.is_ok() {
                self.meter.opened(None);
            }
            self.push(opened.map_err(|error| Failure::from(&error)));
        }
    }

    /// Receives until nothing is left; for what came as many are sent anew, in one call.
    fn receive_all(&mut self, flow: &mut Flow) -> Result<(), Failure> {
        loop {
            let count = match flow.inbox.receive(&flow.socket) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(Failure::from(&error)),
            };
            let now = Instant::now();
            let Flow { inbox, waiting, given_up, .. } = flow;
            for at in 0..count {
                for bytes in inbox.packet(at).parts() {
                    let Some(since) = verify(waiting, bytes, self.payload) else {
                        let late = given_up.iter().position(|number| self.payload.is(*number, bytes));
                        given_up.remove(late.ok_or(Failure::Mismatch)?);
                        continue;
                    };
                    self.meter.received(now, self.payload.len());
                    self.meter.completed(now, since, 1);
                    self.in_flight -= 1;
                }
            }
            if !self.meter.is_open_loop() {
                self.top_up(flow, now)?;
            }
            if count < flow.inbox.capacity() {
                return Ok(());
            }
        }
    }
}

impl Flow {
    /// Gives up what has left before that; tells how many.
    fn give_up(&mut self, before: Instant) -> u64 {
        let mut lost = 0;
        while self.waiting.front().is_some_and(|oldest| oldest.sent < before) {
            self.given_up.extend(self.waiting.pop_front().map(|oldest| oldest.number));
            lost += 1;
        }
        self.given_up.drain(..self.given_up.len().saturating_sub(MOST_GIVEN_UP));
        lost
    }

    /// Sends what is composed, as much as the socket takes; it tells when it takes more.
    fn send(&mut self) -> Result<(), Failure> {
        let mut failed = None;
        self.outbox.send(&self.socket, |_, error| failed = Some(Failure::from(&error)));
        failed.map_or(Ok(()), Err)
    }
}

/// When the packet was sent that this is the echo of; `None`: it is of none.
fn verify(waiting: &mut VecDeque<Packet>, bytes: &[u8], payload: &Payload) -> Option<Instant> {
    // In order, but for servers that handle several at a time.
    let place = waiting.iter().position(|packet| payload.is(packet.number, bytes))?;
    waiting.remove(place).map(|packet| packet.since)
}

fn open(address: &SockAddr, source: Option<&SockAddr>) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::DGRAM.nonblocking().cloexec(), None)?;
    if let Some(source) = source {
        socket.bind(source)?;
    }
    socket.set_recv_buffer_size(QUEUE)?;
    socket.connect(address)?;
    Ok(socket)
}
