//! Connections that stay open, each with a fixed number of messages in flight.

use std::collections::VecDeque;
use std::time::Instant;

use socket2::SockAddr;

use crate::errors::Failure;
use crate::load::Plan;
use crate::meter::Meter;
use crate::payload::Payload;
use crate::poller::Poller;
use crate::socket::{CHUNK, open};
use crate::tls::Tls;
use crate::wire::{Incoming, Wire};
use crate::{LoadError, Outcome};

/// Runs the load until its window closes, all connections are lost, or nothing moves any more.
pub(crate) fn run<'a>(
    plan: &'a Plan,
    payload: &'a Payload,
    address: &'a SockAddr,
    tls: Option<&Tls>,
    poller: Poller,
    meter: Meter<'a>,
) -> Result<Outcome, LoadError> {
    let mut engine = Engine {
        plan,
        payload,
        poller,
        meter,
        connections: Vec::with_capacity(plan.connections),
        alive: 0,
        in_flight: 0,
        incoming: Incoming::new(tls),
    };
    engine.open_all(address, tls);
    engine.meter.begin();
    engine.send_first();
    let result = engine.rounds();
    let Engine { meter, in_flight, .. } = engine;
    // The window closes before the connections do.
    let outcome = meter.finish(in_flight);
    result.map(|()| outcome)
}

struct Engine<'a> {
    plan: &'a Plan,
    payload: &'a Payload,
    poller: Poller,
    meter: Meter<'a>,
    /// By token; a lost one is `None`.
    connections: Vec<Option<Connection>>,
    alive: usize,
    in_flight: u64,
    incoming: Incoming,
}

struct Connection {
    wire: Wire,
    token: usize,
    /// Messages composed so far.
    composed: u64,
    /// Bytes verified of the oldest message in flight.
    offset: usize,
    /// The messages in flight, those sent together as one, the oldest first.
    in_flight: VecDeque<Batch>,
    /// Every byte composed and not yet forgotten: verified up to one place, sent up to another. What comes back is
    /// compared with what lies between the two.
    outgoing: Vec<u8>,
    verified: usize,
    sent: usize,
}

/// Messages sent together.
struct Batch {
    at: Instant,
    messages: u64,
}

impl Engine<'_> {
    fn open_all(&mut self, address: &SockAddr, tls: Option<&Tls>) {
        let mut deadline = Instant::now() + self.plan.stall;
        for token in 0..self.plan.connections {
            match self.open(token, address, tls, deadline) {
                Ok(wire) => {
                    deadline = Instant::now() + self.plan.stall;
                    self.meter.opened();
                    self.alive += 1;
                    self.connections.push(Some(Connection::new(wire, token)));
                }
                Err(failure) => {
                    self.meter.failed(failure);
                    self.connections.push(None);
                }
            }
        }
    }

    fn open(&self, token: usize, address: &SockAddr, tls: Option<&Tls>, deadline: Instant) -> Result<Wire, Failure> {
        let socket = open(address, self.plan.source(token), deadline).map_err(|error| Failure::from(&error))?;
        let mut wire = Wire::new(socket, tls)?;
        wire.shake_hands(deadline)?;
        self.poller.add(wire.socket(), token, true).map_err(|error| Failure::from(&error))?;
        Ok(wire)
    }

    fn send_first(&mut self) {
        for token in 0..self.connections.len() {
            self.with(token, |engine, connection| engine.top_up(connection, Instant::now()));
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
                self.with(ready.token, |engine, connection| {
                    if ready.writable && connection.backed_up() {
                        connection.send()?;
                    }
                    if ready.readable { engine.read_all(connection, ready.closing) } else { Ok(()) }
                });
            }
        }
    }

    /// Does something with a connection, and loses it if that fails.
    fn with(&mut self, token: usize, work: impl FnOnce(&mut Self, &mut Connection) -> Result<(), Failure>) {
        let Some(mut connection) = self.connections[token].take() else {
            return;
        };
        match work(self, &mut connection) {
            Ok(()) => self.connections[token] = Some(connection),
            Err(failure) => {
                self.meter.failed(failure);
                self.alive -= 1;
                self.in_flight -= connection.messages_in_flight();
            }
        }
    }

    /// Reads until a read comes back short, or to the end when there is one.
    fn read_all(&mut self, connection: &mut Connection, closing: bool) -> Result<(), Failure> {
        while let Some(received) = self.read(connection)? {
            if received < CHUNK && !closing {
                break;
            }
        }
        Ok(())
    }

    /// One recv; then as many new messages as were completed by it, in one send. Tells how many bytes came,
    /// `None` when there were none.
    fn read(&mut self, connection: &mut Connection) -> Result<Option<usize>, Failure> {
        let received = connection.wire.receive(&mut self.incoming);
        let now = Instant::now();
        let received = match received {
            Ok(None) => return Ok(None),
            Ok(Some(0)) => return Err(Failure::EarlyClose),
            Ok(Some(received)) => received,
            Err(failure) => return Err(failure),
        };
        let good = connection.verify(self.incoming.first(received));
        self.meter.received(now, good);
        self.complete(connection, good, now);
        if good < received {
            return Err(Failure::Mismatch);
        }
        self.top_up(connection, now)?;
        Ok(Some(received))
    }

    /// Takes the messages that `bytes` more bytes complete out of flight.
    fn complete(&mut self, connection: &mut Connection, bytes: usize, now: Instant) {
        let size = self.payload.len();
        let mut completed = ((connection.offset + bytes) / size) as u64;
        connection.offset = (connection.offset + bytes) % size;
        self.in_flight -= completed;
        while completed > 0 {
            let Some(batch) = connection.in_flight.front_mut() else {
                return;
            };
            let taken = completed.min(batch.messages);
            self.meter.completed(now, batch.at, taken);
            batch.messages -= taken;
            completed -= taken;
            if batch.messages == 0 {
                connection.in_flight.pop_front();
            }
        }
    }

    /// Starts messages until the connection has its number in flight.
    fn top_up(&mut self, connection: &mut Connection, now: Instant) -> Result<(), Failure> {
        let room = self.plan.depth as u64 - connection.messages_in_flight();
        let messages = self.meter.take(room);
        if messages == 0 {
            return Ok(());
        }
        connection.forget_verified();
        for _ in 0..messages {
            let number = self.number(connection);
            self.payload.append(number, &mut connection.outgoing);
            connection.composed += 1;
        }
        connection.in_flight.push_back(Batch { at: now, messages });
        self.in_flight += messages;
        connection.send()
    }

    /// Numbers are unique over all connections, so that another connection's reply is a mismatch.
    fn number(&self, connection: &Connection) -> u64 {
        self.plan.first + connection.composed * self.plan.connections as u64 + connection.token as u64
    }

    /// Nothing moves: all that wait have timed out.
    fn give_up(&mut self) {
        for connection in self.connections.iter().flatten() {
            if !connection.in_flight.is_empty() {
                self.meter.failed(Failure::Timeout);
            }
        }
    }
}

impl Connection {
    fn new(wire: Wire, token: usize) -> Self {
        Self {
            wire,
            token,
            composed: 0,
            offset: 0,
            in_flight: VecDeque::new(),
            outgoing: Vec::new(),
            verified: 0,
            sent: 0,
        }
    }

    fn messages_in_flight(&self) -> u64 {
        self.in_flight.iter().map(|batch| batch.messages).sum()
    }

    fn backed_up(&self) -> bool {
        self.sent < self.outgoing.len() || self.wire.is_behind()
    }

    /// Sends what is composed, as much as the socket takes; it tells when it takes more.
    fn send(&mut self) -> Result<(), Failure> {
        self.sent += self.wire.send(&self.outgoing[self.sent..])?;
        Ok(())
    }

    /// How many of `bytes` are what was sent, from the first on.
    fn verify(&mut self, bytes: &[u8]) -> usize {
        let expected = &self.outgoing[self.verified..self.sent];
        let good = if expected.starts_with(bytes) {
            bytes.len()
        } else {
            expected.iter().zip(bytes).take_while(|(one, other)| one == other).count()
        };
        self.verified += good;
        good
    }

    /// Drops verified bytes, when that moves little or frees much.
    fn forget_verified(&mut self) {
        if self.verified == self.outgoing.len() || self.verified >= CHUNK {
            self.outgoing.drain(..self.verified);
            self.sent -= self.verified;
            self.verified = 0;
        }
    }
}
