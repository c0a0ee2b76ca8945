//! A room: what one connection sends comes to all others.

use std::collections::VecDeque;
use std::time::Instant;

use socket2::{SockAddr, Socket};

use crate::errors::Failure;
use crate::meter::Meter;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::poller::Poller;
use crate::socket::{CHUNK, open, receive, send};
use crate::{LoadError, Outcome, Target};

/// Whether there can be such a load.
pub(crate) fn check(plan: &Plan, target: &Target) -> Result<(), LoadError> {
    if matches!(target, Target::Udp(_)) || plan.connect.is_some() {
        return Err(LoadError::invalid("members of a room have connections that stay"));
    }
    if plan.requests.is_some_and(|messages| !messages.is_multiple_of(plan.connections as u64)) {
        return Err(LoadError::invalid("a message in a room counts once for each member"));
    }
    Ok(())
}

/// Runs the load until its window closes, a connection is lost, or nothing moves any more.
pub(crate) fn run<'a>(
    plan: &'a Plan,
    payload: &'a Payload,
    address: &SockAddr,
    poller: Poller,
    meter: Meter<'a>,
) -> Result<Outcome, LoadError> {
    let mut engine = Engine {
        plan,
        payload,
        poller,
        meter,
        sockets: Vec::with_capacity(plan.connections + 1),
        heard: vec![None; plan.connections + 1],
        outside: plan.connections + 1,
        in_flight: VecDeque::with_capacity(plan.depth),
        first: 0,
        bytes: Vec::new(),
        sent: 0,
        incoming: vec![0; CHUNK],
    };
    let result = engine.open_all(address).map_or_else(|failure| Ok(Err(failure)), |()| engine.rounds());
    if let Ok(Err(failure)) = &result {
        engine.meter.failed(*failure);
    }
    let waiting = engine.waiting();
    let Engine { meter, sockets, .. } = engine;
    // The window closes before the connections do.
    let outcome = meter.finish(waiting);
    drop(sockets);
    result.map(|_| outcome)
}

struct Engine<'a> {
    plan: &'a Plan,
    payload: &'a Payload,
    poller: Poller,
    meter: Meter<'a>,
    /// By token: the members', and behind them the publisher's.
    sockets: Vec<Socket>,
    /// How many bytes of what was published each has heard; `None` before its greeting.
    heard: Vec<Option<u64>>,
    /// How many were not greeted.
    outside: usize,
    /// Messages that not all have heard, the oldest first, and how many were before them.
    in_flight: VecDeque<Message>,
    first: u64,
    /// Theirs, and up to where the publisher's socket has taken them.
    bytes: Vec<u8>,
    sent: usize,
    incoming: Vec<u8>,
}

struct Message {
    at: Instant,
    /// How many have not heard it.
    left: usize,
}

impl Engine<'_> {
    fn open_all(&mut self, address: &SockAddr) -> Result<(), Failure> {
        for token in 0..=self.plan.connections {
            let deadline = Instant::now() + self.plan.stall;
            let opened = open(address, self.plan.source(token), deadline).and_then(|socket| {
                self.poller.add(&socket, token, true)?;
                Ok(socket)
            });
            self.sockets.push(opened.map_err(|error| Failure::from(&error))?);
            self.meter.opened(None);
        }
        Ok(())
    }

    fn rounds(&mut self) -> Result<Result<(), Failure>, LoadError> {
        loop {
            let now = Instant::now();
            if self.outside == 0 && !self.meter.turn(now, self.waiting()) {
                return Ok(Ok(()));
            }
            if self.meter.stalled(now) {
                return Ok(Err(Failure::Timeout));
            }
            self.poller.wait(self.meter.patience(now)).map_err(LoadError::system("wait for events"))?;
            if let Err(failure) = self.round() {
                return Ok(Err(failure));
            }
        }
    }

    fn round(&mut self) -> Result<(), Failure> {
        for place in 0..self.poller.len() {
            let ready = self.poller.ready(place);
            // Until a read comes back short, or to the end when there is one, or until all has come that was asked for.
            while ready.readable
                && !self.meter.is_done()
                && self.read(ready.token)?.is_some_and(|read| read == CHUNK || ready.closing)
            {}
        }
        self.forget();
        if self.outside == 0 {
            self.top_up(Instant::now());
            self.sent += send(self.publisher(), &self.bytes[self.sent..]).map_err(|error| Failure::from(&error))?;
        }
        Ok(())
    }

    fn publisher(&self) -> &Socket {
        &self.sockets[self.plan.connections]
    }

    /// One recv. Tells how many bytes came, `None` when there were none.
    fn read(&mut self, token: usize) -> Result<Option<usize>, Failure> {
        let received = receive(&self.sockets[token], &mut self.incoming);
        let now = Instant::now();
        let received = match received {
            Ok(Some(0)) => return Err(Failure::EarlyClose),
            Ok(received) => received,
            Err(error) => return Err(Failure::from(&error)),
        };
        if let Some(received) = received {
            match self.heard[token] {
                Some(before) => self.verify(token, before, received, now)?,
                None => self.greet(token, received, now)?,
            }
        }
        Ok(received)
    }

    /// What comes first is a line, of whatever: nothing was published yet.
    fn greet(&mut self, token: usize, received: usize, now: Instant) -> Result<(), Failure> {
        self.meter.received(now, 0);
        match self.incoming[..received].iter().position(|byte| *byte == b'\n') {
            None => return Ok(()),
            Some(end) if end + 1 < received => return Err(Failure::Mismatch),
            Some(_) => {}
        }
        self.heard[token] = Some(0);
        self.outside -= 1;
        if self.outside == 0 {
            self.meter.begin();
        }
        Ok(())
    }

    /// What came is what comes next of what was published.
    fn verify(&mut self, token: usize, before: u64, received: usize, now: Instant) -> Result<(), Failure> {
        let size = self.payload.len() as u64;
        let start = (before - self.first * size) as usize;
        let is_member = token < self.plan.connections;
        if !is_member || !self.bytes[start..self.sent].starts_with(&self.incoming[..received]) {
            return Err(Failure::Mismatch);
        }
        let after = before + received as u64;
        self.heard[token] = Some(after);
        self.meter.received(now, received);
        for number in before / size..after / size {
            let message = &mut self.in_flight[(number - self.first) as usize];
            message.left -= 1;
            self.meter.completed(now, message.at, 1);
        }
        Ok(())
    }

    /// Messages that all have heard are in flight no more.
    fn forget(&mut self) {
        let over = self.in_flight.iter().take_while(|message| message.left == 0).count();
        self.in_flight.drain(..over);
        self.first += over as u64;
        let bytes = over * self.payload.len();
        self.bytes.drain(..bytes);
        self.sent -= bytes;
    }

    /// Starts messages until as many are in flight as may be.
    fn top_up(&mut self, now: Instant) {
        let members = self.plan.connections as u64;
        let room = (self.plan.depth - self.in_flight.len()) as u64;
        for _ in 0..self.meter.take(room * members, now).div_ceil(members) {
            let number = self.plan.first + self.first + self.in_flight.len() as u64;
            self.payload.append(number, &mut self.bytes);
            self.in_flight.push_back(Message { at: now, left: self.plan.connections });
        }
    }

    /// How many deliveries are still to come.
    fn waiting(&self) -> u64 {
        self.in_flight.iter().map(|message| message.left as u64).sum()
    }
}
