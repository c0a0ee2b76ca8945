//! Connections that stay open, and what comes back on them as a stream of bytes.

use std::collections::VecDeque;
use std::time::Instant;

use socket2::SockAddr;

use crate::errors::Failure;
use crate::lanes::{Lane, Lanes};
use crate::meter::Meter;
use crate::payload::Payload;
use crate::plan::{Plan, Replies};
use crate::poller::{Poller, Ready};
use crate::reader::{Reader, Told};
use crate::socket::{CHUNK, open};
use crate::tls::Tls;
use crate::wire::{Incoming, Wire};
use crate::{LoadError, Outcome, websocket};

/// Runs the load until its window closes, all connections are lost, or nothing moves any more.
pub(crate) fn run<'a>(
    plan: &'a Plan,
    payload: &'a Payload,
    address: &'a SockAddr,
    tls: Option<&Tls>,
    poller: Poller,
    meter: Meter<'a>,
) -> Result<Outcome, LoadError> {
    let buffers = Buffers { incoming: Incoming::new(tls), message: Vec::new() };
    let mut engine = Engine::new(plan, payload, poller, meter, buffers);
    engine.open_all(address, tls);
    engine.run()
}

type Engine<'a> = Lanes<'a, Connection>;

struct Buffers {
    incoming: Incoming,
    /// The one that is being composed, before it is put into a frame of WebSocket.
    message: Vec<u8>,
}

struct Connection {
    wire: Wire,
    token: usize,
    /// Messages composed so far.
    composed: u64,
    /// Bytes verified of the oldest message in flight.
    offset: usize,
    /// The messages in flight, those sent together as one, the oldest first; and how many they are.
    in_flight: VecDeque<Batch>,
    waiting: u64,
    /// What tells replies apart that are not simply the same bytes.
    reader: Option<Box<Reader>>,
    /// Every byte composed and not yet forgotten: verified up to one place, sent up to another. What comes back is
    /// compared with what lies between the two.
    outgoing: Vec<u8>,
    verified: usize,
    sent: usize,
    /// Bytes of answers to pings among these, at most.
    pongs: usize,
}

/// Messages sent together.
struct Batch {
    /// Since when their latency counts.
    since: Instant,
    sent: Instant,
    messages: u64,
}

impl Lane for Connection {
    type Shared = Buffers;

    fn waiting(&self) -> u64 {
        self.waiting
    }

    fn since(&self) -> impl Iterator<Item = (Instant, u64)> {
        self.in_flight.iter().map(|batch| (batch.since, batch.messages))
    }

    fn start(&mut self, engine: &mut Engine<'_>, room: u64, now: Instant) -> Result<(), Failure> {
        let messages = engine.meter.take(room, now);
        if messages == 0 {
            return Ok(());
        }
        self.forget_verified();
        for _ in 0..messages {
            engine.compose(self);
        }
        // In an open loop each has a time of its own.
        let (batches, each) = if engine.meter.is_open_loop() { (messages, 1) } else { (1, messages) };
        for _ in 0..batches {
            self.in_flight.push_back(Batch { since: engine.meter.leaves(now), sent: now, messages: each });
        }
        self.waiting += messages;
        engine.in_flight += messages;
        self.send()
    }

    fn serve(&mut self, engine: &mut Engine<'_>, ready: Ready) -> Result<(), Failure> {
        if ready.writable && self.backed_up() {
            self.send()?;
        }
        if ready.readable { engine.read_all(self, ready.closing) } else { Ok(()) }
    }

    /// What comes after a reply that is late cannot be told from it: the connection is lost.
    fn time_out(&mut self, _: &mut Engine<'_>, before: Instant) -> Result<(), Failure> {
        match self.in_flight.front() {
            Some(oldest) if oldest.sent < before => Err(Failure::Timeout),
            _ => Ok(()),
        }
    }
}

impl Engine<'_> {
    fn open_all(&mut self, address: &SockAddr, tls: Option<&Tls>) {
        let mut deadline = Instant::now() + self.plan.connect_within();
        for token in 0..self.plan.connections {
            let begun = Instant::now();
            if !self.meter.goes_on(begun) {
                return;
            }
            let opened = self.open(token, address, tls, deadline);
            if opened.is_ok() {
                let now = Instant::now();
                deadline = now + self.plan.connect_within();
                self.meter.opened(Some(now - begun));
            }
            self.push(opened);
        }
    }

    fn open(
        &mut self,
        token: usize,
        address: &SockAddr,
        tls: Option<&Tls>,
        deadline: Instant,
    ) -> Result<Connection, Failure> {
        let socket = open(address, self.plan.source(token), deadline).map_err(|error| Failure::from(&error))?;
        let mut wire = Wire::new(socket, tls)?;
        wire.shake_hands(deadline)?;
        let size = self.payload.size();
        let reader = match &self.plan.replies {
            Replies::Bytes => None,
            Replies::Frames(framing) => Some(Reader::of_frames(framing.clone(), size)),
            Replies::WebSocket(request) => {
                Some(Reader::of_websocket(request.agree(&mut wire, &mut self.shared.incoming, deadline)?, size))
            }
        };
        self.poller.add(wire.socket(), token, true).map_err(|error| Failure::from(&error))?;
        Ok(Connection::new(wire, token, reader.map(Box::new)))
    }

    /// Reads until a read comes back short, or to the end when there is one, or until the load is over: who never stops sending
    /// does not keep it going.
    fn read_all(&mut self, connection: &mut Connection, closing: bool) -> Result<(), Failure> {
        while !self.meter.is_done() {
            match self.read(connection)? {
                Some(received) if received == CHUNK || closing => {}
                _ => break,
            }
            if !self.meter.turn(Instant::now(), self.in_flight) {
                break;
            }
        }
        Ok(())
    }

    /// One recv; then as many new messages as were completed by it, in one send. Tells how many bytes came,
    /// `None` when there were none.
    fn read(&mut self, connection: &mut Connection) -> Result<Option<usize>, Failure> {
        let received = connection.wire.receive(&mut self.shared.incoming);
        let now = Instant::now();
        let received = match received {
            Ok(None) => return Ok(None),
            Ok(Some(0)) => return Err(Failure::EarlyClose),
            Ok(Some(received)) => received,
            Err(failure) => return Err(failure),
        };
        if connection.reader.is_some() {
            self.read_messages(connection, received, now)?;
        } else {
            let good = connection.verify(self.shared.incoming.first(received));
            self.meter.received(now, good);
            let (size, offset) = (self.payload.len(), connection.offset + good);
            connection.offset = offset % size;
            self.complete(connection, (offset / size) as u64, now);
            if good < received {
                return Err(Failure::Mismatch);
            }
        }
        if !self.meter.is_open_loop() {
            self.top_up(connection, now)?;
        }
        Ok(Some(received))
    }

    /// What was received, by the messages in it.
    fn read_messages(&mut self, connection: &mut Connection, received: usize, now: Instant) -> Result<(), Failure> {
        let Some(mut reader) = connection.reader.take() else { return Ok(()) };
        reader.push(self.shared.incoming.first(received));
        let first = connection.composed - connection.waiting;
        let (mut good, mut failure) = (0, None);
        while failure.is_none() {
            match reader.next() {
                Ok(Some(Told::Message(body))) => {
                    let number = self.number(connection, first + good);
                    if good < connection.waiting && self.payload.is_message(number, body) {
                        good += 1;
                        self.meter.received(now, body.len());
                    } else {
                        failure = Some(Failure::Mismatch);
                    }
                }
                Ok(Some(Told::Ping(body))) => connection.pong(body),
                Ok(None) => break,
                Err(broken) => failure = Some(broken),
            }
        }
        connection.reader = Some(reader);
        self.complete(connection, good, now);
        match failure {
            Some(failure) => Err(failure),
            // A pong leaves now, if nothing else does.
            None if connection.backed_up() => connection.send(),
            None => Ok(()),
        }
    }

    /// Takes so many messages out of flight.
    fn complete(&mut self, connection: &mut Connection, mut completed: u64, now: Instant) {
        self.in_flight -= completed;
        connection.waiting -= completed;
        while completed > 0 {
            let Some(batch) = connection.in_flight.front_mut() else {
                return;
            };
            let taken = completed.min(batch.messages);
            self.meter.completed(now, batch.since, taken);
            batch.messages -= taken;
            completed -= taken;
            if batch.messages == 0 {
                connection.in_flight.pop_front();
            }
        }
    }

    fn compose(&mut self, connection: &mut Connection) {
        let number = self.number(connection, connection.composed);
        if connection.reader.as_ref().is_some_and(|reader| reader.is_websocket()) {
            self.shared.message.clear();
            self.payload.append(number, &mut self.shared.message);
            websocket::message(&self.shared.message, number as u32, &mut connection.outgoing);
        } else {
            self.payload.append(number, &mut connection.outgoing);
        }
        connection.composed += 1;
    }

    /// The number of a connection's message. They are unique over all connections, so that another connection's reply is a mismatch.
    fn number(&self, connection: &Connection, place: u64) -> u64 {
        self.plan.first + place * self.plan.connections as u64 + connection.token as u64
    }
}

impl Connection {
    fn new(wire: Wire, token: usize, reader: Option<Box<Reader>>) -> Self {
        Self {
            wire,
            token,
            composed: 0,
            offset: 0,
            in_flight: VecDeque::new(),
            waiting: 0,
            reader,
            outgoing: Vec::new(),
            verified: 0,
            sent: 0,
            pongs: 0,
        }
    }

    fn backed_up(&self) -> bool {
        self.sent < self.outgoing.len() || self.wire.is_behind()
    }

    /// Answers a ping, unless many answers still wait for a peer that does not read: it need not be told each (RFC 6455,
    /// section 5.5.3), and would fill the memory.
    fn pong(&mut self, ping: &[u8]) {
        self.forget_verified();
        if self.pongs < CHUNK {
            let before = self.outgoing.len();
            websocket::pong(ping, &mut self.outgoing);
            self.pongs += self.outgoing.len() - before;
        }
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
        if self.reader.is_some() {
            // What comes back is compared with the messages themselves.
            self.verified = self.sent;
        }
        if self.verified == self.outgoing.len() || self.verified >= CHUNK {
            self.outgoing.drain(..self.verified);
            self.sent -= self.verified;
            self.verified = 0;
            self.pongs = self.pongs.min(self.outgoing.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use std::io::Read;

    #[test]
    fn who_pings_and_does_not_read_fills_no_memory_and_who_reads_is_answered() {
        let (ours, mut peer) = Socket::pair(Domain::UNIX, Type::STREAM.nonblocking(), None).unwrap();
        let reader = Reader::of_websocket(Vec::new(), 5);
        let mut connection = Connection::new(Wire::new(ours, None).unwrap(), 0, Some(Box::new(reader)));
        let ping = |connection: &mut Connection| {
            connection.pong(b"hello");
            connection.send().unwrap();
        };
        for _ in 0..100_000 {
            ping(&mut connection);
        }
        assert!(connection.outgoing.len() < 3 * CHUNK && connection.backed_up());
        let mut answers = vec![0; CHUNK];
        let mut drain = |connection: &mut Connection| {
            while peer.read(&mut answers).is_ok() {
                connection.send().unwrap();
            }
        };
        drain(&mut connection);
        assert!(!connection.backed_up());
        for _ in 0..100_000 {
            ping(&mut connection);
            drain(&mut connection);
            assert!(!connection.backed_up());
        }
    }
}
