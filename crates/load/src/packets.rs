//! Datagram sockets, each with a fixed number of packets in flight.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use socket2::{SockAddr, Socket, Type};
use socketserver_sys::{Inbox, Outbox, join_trains};

use crate::errors::Failure;
use crate::load::Plan;
use crate::meter::Meter;
use crate::payload::Payload;
use crate::poller::Poller;
use crate::{LoadError, Outcome};

/// Received in one call at most.
pub(crate) const AT_A_TIME: usize = 64;
/// Room for what comes back, as much as most systems give (`net.core.rmem_max`). They count it twice, see `socket(7)`.
pub(crate) const QUEUE: usize = 212_992;
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
    let mut engine =
        Engine { plan, payload, poller, meter, flows: Vec::with_capacity(plan.connections), alive: 0, in_flight: 0 };
    engine.open_all(address);
    engine.meter.begin();
    for token in 0..engine.flows.len() {
        engine.with(token, |engine, flow| engine.top_up(flow, Instant::now()));
    }
    let result = engine.rounds();
    let Engine { meter, in_flight, .. } = engine;
    let outcome = meter.finish(in_flight);
    result.map(|()| outcome)
}

struct Engine<'a> {
    plan: &'a Plan,
    payload: &'a Payload,
    poller: Poller,
    meter: Meter<'a>,
    /// By token; a lost one is `None`.
    flows: Vec<Option<Flow>>,
    alive: usize,
    in_flight: u64,
}

/// A socket that is connected to the server.
struct Flow {
    socket: Socket,
    token: usize,
    /// Packets composed so far.
    composed: u64,
    /// Those that have not come back, the oldest first.
    waiting: VecDeque<(u64, Instant)>,
    inbox: Inbox,
    outbox: Outbox,
    /// The one that is being composed.
    message: Vec<u8>,
}

impl Engine<'_> {
    fn open_all(&mut self, address: &SockAddr) {
        for token in 0..self.plan.connections {
            let opened = open(address, self.plan.source(token)).and_then(|socket| {
                if self.plan.trains.is_some() {
                    join_trains(&socket, true)?;
                }
                self.poller.add(&socket, token, true)?;
                Ok(socket)
            });
            match opened {
                Ok(socket) => {
                    self.meter.opened();
                    self.alive += 1;
                    let size = if self.plan.trains.is_some() { TRAIN } else { self.payload.len() + 1 };
                    let inbox = Inbox::new(AT_A_TIME.min(self.plan.depth), size);
                    self.flows.push(Some(Flow {
                        socket,
                        token,
                        composed: 0,
                        waiting: VecDeque::new(),
                        inbox,
                        outbox: Outbox::default(),
                        message: Vec::new(),
                    }));
                }
                Err(error) => {
                    self.meter.failed(&error);
                    self.flows.push(None);
                }
            }
        }
    }

    fn rounds(&mut self) -> Result<(), LoadError> {
        loop {
            let now = Instant::now();
            if !self.meter.turn(now, self.in_flight) || self.alive == 0 {
                return Ok(());
            }
            if self.meter.stalled(now) {
                self.give_up();
                return Ok(());
            }
            self.poller.wait(self.meter.patience(now)).map_err(LoadError::system("wait for events"))?;
            for place in 0..self.poller.len() {
                let ready = self.poller.ready(place);
                self.with(ready.token, |engine, flow| {
                    flow.send()?;
                    engine.receive_all(flow)
                });
            }
        }
    }

    /// Does something with a socket, and loses it if that fails.
    fn with(&mut self, token: usize, work: impl FnOnce(&mut Self, &mut Flow) -> Result<(), Failure>) {
        let Some(mut flow) = self.flows[token].take() else { return };
        match work(self, &mut flow) {
            Ok(()) => self.flows[token] = Some(flow),
            Err(failure) => {
                self.meter.failed(failure);
                self.alive -= 1;
                self.in_flight -= flow.waiting.len() as u64;
            }
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
            let Flow { inbox, waiting, .. } = flow;
            for at in 0..count {
                for bytes in inbox.packet(at).parts() {
                    let since = verify(waiting, bytes, self.payload).ok_or(Failure::Mismatch)?;
                    self.meter.received(now, self.payload.len());
                    self.meter.completed(now, since, 1);
                    self.in_flight -= 1;
                }
            }
            self.top_up(flow, now)?;
            if count < flow.inbox.capacity() {
                return Ok(());
            }
        }
    }

    /// Starts packets until the socket has its number in flight; in whole trains, if they go in trains.
    fn top_up(&mut self, flow: &mut Flow, now: Instant) -> Result<(), Failure> {
        let room = self.plan.depth - flow.waiting.len();
        let train = self.plan.trains.unwrap_or(1);
        for at in 0..self.meter.take((room - room % train) as u64) {
            let number = self.plan.first + flow.composed * self.plan.connections as u64 + flow.token as u64;
            flow.composed += 1;
            flow.message.clear();
            self.payload.append(number, &mut flow.message);
            flow.outbox.join(at % train as u64 > 0);
            flow.outbox.push(&flow.message, None, None);
            flow.waiting.push_back((number, now));
            self.in_flight += 1;
        }
        flow.send()
    }

    /// Nothing moves: all that wait have timed out.
    fn give_up(&mut self) {
        for _ in self.flows.iter().flatten().filter(|flow| !flow.waiting.is_empty()) {
            self.meter.failed(Failure::Timeout);
        }
    }
}

impl Flow {
    /// Sends what is composed, as much as the socket takes; it tells when it takes more.
    fn send(&mut self) -> Result<(), Failure> {
        let mut failed = None;
        self.outbox.send(&self.socket, |_, error| failed = Some(Failure::from(&error)));
        failed.map_or(Ok(()), Err)
    }
}

/// When the packet was sent that this is the echo of; `None`: it is of none.
fn verify(waiting: &mut VecDeque<(u64, Instant)>, bytes: &[u8], payload: &Payload) -> Option<Instant> {
    // In order, but for servers that handle several at a time.
    let place = waiting.iter().position(|(number, _)| payload.is(*number, bytes))?;
    waiting.remove(place).map(|(_, since)| since)
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
