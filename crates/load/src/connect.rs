//! A connection for each message.

use std::time::{Duration, Instant};

use socket2::SockAddr;

use crate::ConnectClose;
use crate::errors::Failure;
use crate::meter::Meter;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::poller::{Poller, Ready};
use crate::socket::{self, Begun, CHUNK, RETRY};
use crate::tls::Tls;
use crate::wire::{Incoming, Wire};
use crate::{LoadError, Outcome};

/// Runs the load until its window closes or nothing moves any more.
pub(crate) fn run<'a>(
    plan: &'a Plan,
    close: ConnectClose,
    payload: &'a Payload,
    address: &'a SockAddr,
    tls: Option<&'a Tls>,
    poller: Poller,
    meter: Meter<'a>,
) -> Result<Outcome, LoadError> {
    let mut engine = Engine {
        plan,
        close,
        payload,
        address,
        tls,
        poller,
        meter,
        slots: (0..plan.connections).map(|_| Slot::Idle).collect(),
        active: 0,
        vacant: plan.connections,
        started: plan.first,
        message: Vec::with_capacity(payload.len()),
        composed: None,
        incoming: Incoming::new(tls),
    };
    engine.meter.begin();
    let result = engine.rounds();
    let Engine { mut meter, active, slots, .. } = engine;
    for slot in &slots {
        match slot {
            Slot::Waiting(begin) | Slot::Busy(Request { begin, .. }) => meter.unanswered(begin.since, 1),
            Slot::Idle => {}
        }
    }
    let outcome = meter.finish(active);
    result.map(|()| outcome)
}

struct Engine<'a> {
    plan: &'a Plan,
    close: ConnectClose,
    payload: &'a Payload,
    address: &'a SockAddr,
    tls: Option<&'a Tls>,
    poller: Poller,
    meter: Meter<'a>,
    /// By token.
    slots: Vec<Slot>,
    /// Requests taken from the budget and not over.
    active: u64,
    /// Slots without a socket.
    vacant: usize,
    /// The number of the next message.
    started: u64,
    /// The message of the number beside it, if any.
    message: Vec<u8>,
    composed: Option<u64>,
    incoming: Incoming,
}

/// One of the requests made in parallel.
enum Slot {
    /// To be started as soon as the load allows.
    Idle,
    /// Taken from the budget, but the listener's backlog was full.
    Waiting(Begin),
    Busy(Request),
}

/// When a request has begun.
#[derive(Clone, Copy)]
struct Begin {
    /// Since when its latency counts.
    since: Instant,
    /// When it was first tried.
    tried: Instant,
}

struct Request {
    wire: Wire,
    number: u64,
    begin: Begin,
    established: bool,
    sent: usize,
    verified: usize,
}

/// How far a request has come.
enum Step {
    Waiting,
    Over,
}

impl Engine<'_> {
    fn rounds(&mut self) -> Result<(), LoadError> {
        loop {
            let now = Instant::now();
            if !self.meter.turn(now, self.active) {
                return Ok(());
            }
            if self.meter.stalled(now) {
                for _ in 0..self.active {
                    self.meter.failed(Failure::Timeout);
                }
                return Ok(());
            }
            if let Some(before) = self.meter.overdue(now) {
                self.time_out(before);
            }
            let waits = self.start_vacant();
            self.wait(waits)?;
            for place in 0..self.poller.len() {
                self.serve(self.poller.ready(place));
            }
        }
    }

    /// Waits for events. `waits`: some slots wait for something of which there are none.
    fn wait(&mut self, waits: bool) -> Result<(), LoadError> {
        let now = Instant::now();
        let mut patience = self.meter.patience(now);
        if waits {
            patience = patience.min(RETRY);
        }
        // What is due while no slot is vacant starts when one is.
        let has_room = self.vacant > 0;
        let due = if has_room { self.meter.until_due(now) } else { None };
        let waited = self.poller.wait_until_due(patience, due);
        if !has_room {
            self.meter.was_full();
        }
        waited.map_err(LoadError::system("wait for events"))
    }

    /// Starts what may be started in vacant slots. Whether some stay vacant that are to be tried again soon: after something went
    /// wrong a tick is soon enough.
    fn start_vacant(&mut self) -> bool {
        if self.vacant == 0 {
            return false;
        }
        let mut waits = false;
        for token in 0..self.slots.len() {
            if !matches!(self.slots[token], Slot::Busy(_)) {
                self.start(token);
                waits |= matches!(self.slots[token], Slot::Waiting(_));
            }
        }
        waits || (self.vacant > 0 && !self.meter.is_open_loop())
    }

    /// Begins the next request in a vacant slot.
    fn start(&mut self, token: usize) {
        let now = Instant::now();
        let begin = match self.slots[token] {
            Slot::Waiting(begin) => begin,
            _ if self.meter.take(1, now) == 0 => return,
            _ => {
                self.active += 1;
                Begin { since: self.meter.leaves(now), tried: now }
            }
        };
        self.slots[token] = match self.connect(token, begin) {
            Ok(Some(request)) => {
                self.vacant -= 1;
                Slot::Busy(request)
            }
            Ok(None) => Slot::Waiting(begin),
            Err(failure) => {
                self.lose(failure);
                Slot::Idle
            }
        };
    }

    /// Gives up the requests that were first tried before that.
    fn time_out(&mut self, before: Instant) {
        for token in 0..self.slots.len() {
            let has_socket = match &self.slots[token] {
                Slot::Busy(request) if request.begin.tried < before => true,
                Slot::Waiting(begin) if begin.tried < before => false,
                _ => continue,
            };
            self.slots[token] = Slot::Idle;
            self.vacant += usize::from(has_socket);
            self.lose(Failure::Timeout);
        }
    }

    /// A request has failed: nobody answers it any more.
    fn lose(&mut self, failure: Failure) {
        self.active -= 1;
        self.meter.failed(failure);
        self.meter.lost(1);
    }

    /// Connects and sends at once: over loopback the handshake is done when connect(2) returns.
    fn connect(&mut self, token: usize, begin: Begin) -> Result<Option<Request>, Failure> {
        let socket = match socket::begin(self.address, self.plan.source(token)) {
            Ok(Begun::Socket(socket)) => socket,
            Ok(Begun::BacklogFull) => return Ok(None),
            Err(error) => return Err(Failure::from(&error)),
        };
        let wire = Wire::new(socket, self.tls)?;
        let mut request = Request { wire, number: self.started, begin, established: false, sent: 0, verified: 0 };
        self.started += 1;
        self.send(&mut request)?;
        let unsent = request.sent < self.payload.len() || request.wire.is_tls();
        self.poller.add(request.wire.socket(), token, unsent).map_err(|error| Failure::from(&error))?;
        Ok(Some(request))
    }

    fn send(&mut self, request: &mut Request) -> Result<(), Failure> {
        self.compose(request.number);
        let sent = request.wire.send(&self.message[request.sent..])?;
        request.sent += sent;
        self.establish(request, sent > 0);
        Ok(())
    }

    /// Counts the connection once it is of use: something left, and with TLS hands were shaken.
    fn establish(&mut self, request: &mut Request, has_moved: bool) {
        if has_moved && !request.established && !request.wire.is_shaking_hands() {
            request.established = true;
            self.meter.opened(Some(request.begin.tried.elapsed()));
        }
    }

    fn serve(&mut self, ready: Ready) {
        let slot = std::mem::replace(&mut self.slots[ready.token], Slot::Idle);
        let Slot::Busy(mut request) = slot else {
            return;
        };
        let ended = match self.step(&mut request, ready) {
            Ok(Step::Waiting) => {
                self.slots[ready.token] = Slot::Busy(request);
                return;
            }
            Ok(Step::Over) => self.end(&request),
            Err(failure) => Err(failure),
        };
        let Begin { since, .. } = request.begin;
        drop(request);
        self.vacant += 1;
        match ended {
            Ok(()) => {
                self.active -= 1;
                self.meter.completed(Instant::now(), since, 1);
                self.start(ready.token);
            }
            Err(failure) => self.lose(failure),
        }
    }

    fn step(&mut self, request: &mut Request, ready: Ready) -> Result<Step, Failure> {
        if ready.writable && (request.sent < self.payload.len() || request.wire.is_behind()) {
            self.send(request)?;
        }
        if !ready.readable {
            return Ok(Step::Waiting);
        }
        loop {
            let received = match request.wire.receive(&mut self.incoming) {
                Ok(None) => {
                    self.establish(request, request.sent > 0);
                    return Ok(Step::Waiting);
                }
                // Only a half-closed request reads on when it has everything.
                Ok(Some(0)) if request.verified == self.payload.len() => return Ok(Step::Over),
                Ok(Some(0)) => return Err(Failure::EarlyClose),
                Ok(Some(received)) => received,
                Err(failure) => return Err(failure),
            };
            self.establish(request, true);
            if let Step::Over = self.take(request, received)? {
                return Ok(Step::Over);
            }
            if received < CHUNK && !ready.closing {
                return Ok(Step::Waiting);
            }
        }
    }

    /// Verifies what was received.
    fn take(&mut self, request: &mut Request, received: usize) -> Result<Step, Failure> {
        self.compose(request.number);
        // What was not sent yet cannot have come back.
        let expected = &self.message[request.verified..request.sent];
        let is_right = expected.starts_with(self.incoming.first(received));
        self.meter.received(Instant::now(), if is_right { received } else { 0 });
        if !is_right {
            return Err(Failure::Mismatch);
        }
        request.verified += received;
        if request.verified < self.payload.len() {
            return Ok(Step::Waiting);
        }
        if self.close == ConnectClose::Reset {
            return Ok(Step::Over);
        }
        request.wire.shutdown()?;
        Ok(Step::Waiting)
    }

    /// Makes `self.message` the one of this number.
    fn compose(&mut self, number: u64) {
        if self.composed != Some(number) {
            self.message.clear();
            self.payload.append(number, &mut self.message);
            self.composed = Some(number);
        }
    }

    fn end(&self, request: &Request) -> Result<(), Failure> {
        if self.close == ConnectClose::Reset && !self.address.is_unix() {
            request.wire.socket().set_linger(Some(Duration::ZERO)).map_err(|error| Failure::from(&error))?;
        }
        Ok(())
    }
}
