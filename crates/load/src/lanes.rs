//! Ways there and back that stay open, each with as many messages in flight as it may have, or, in an open loop, up to that.

use std::time::Instant;

use crate::errors::Failure;
use crate::meter::Meter;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::poller::{Poller, Ready};
use crate::{LoadError, Outcome};

/// How many messages that are due are sent before it is looked what has come, and whether the time is up.
const AT_A_TIME: usize = 256;

/// A way there and back: a connection, or a socket for packets. An error loses it.
pub(crate) trait Lane: Sized {
    /// What all of them use, one after the other.
    type Shared;

    /// How many of its messages are in flight.
    fn waiting(&self) -> u64;

    /// The same by since when their latency counts.
    fn since(&self) -> impl Iterator<Item = (Instant, u64)>;

    /// Starts so many messages, as far as they may be started now.
    fn start(&mut self, lanes: &mut Lanes<'_, Self>, room: u64, now: Instant) -> Result<(), Failure>;

    /// Sends and receives what is ready.
    fn serve(&mut self, lanes: &mut Lanes<'_, Self>, ready: Ready) -> Result<(), Failure>;

    /// What has left before that has taken too long.
    fn time_out(&mut self, lanes: &mut Lanes<'_, Self>, before: Instant) -> Result<(), Failure>;
}

/// All lanes of a load.
pub(crate) struct Lanes<'a, L: Lane> {
    pub(crate) plan: &'a Plan,
    pub(crate) payload: &'a Payload,
    pub(crate) poller: Poller,
    pub(crate) meter: Meter<'a>,
    pub(crate) shared: L::Shared,
    pub(crate) in_flight: u64,
    /// By token; a lost one is `None`.
    lanes: Vec<Option<L>>,
    alive: usize,
    /// Whose turn it is to send what is due next.
    turn: usize,
}

impl<'a, L: Lane> Lanes<'a, L> {
    pub(crate) fn new(
        plan: &'a Plan,
        payload: &'a Payload,
        poller: Poller,
        meter: Meter<'a>,
        shared: L::Shared,
    ) -> Self {
        let lanes = Vec::with_capacity(plan.connections);
        Self { plan, payload, poller, meter, shared, in_flight: 0, lanes, alive: 0, turn: 0 }
    }

    /// The lane of the next token, or why there is none.
    pub(crate) fn push(&mut self, opened: Result<L, Failure>) {
        match opened {
            Ok(lane) => {
                self.alive += 1;
                self.lanes.push(Some(lane));
            }
            Err(failure) => {
                self.meter.failed(failure);
                self.lanes.push(None);
            }
        }
    }

    /// Runs the load until its window closes, all lanes are lost, or nothing moves any more.
    pub(crate) fn run(mut self) -> Result<Outcome, LoadError> {
        if self.meter.goes_on(Instant::now()) {
            self.meter.begin();
            self.send_first();
        }
        let result = self.rounds();
        let Self { mut meter, in_flight, lanes, .. } = self;
        if meter.is_open_loop() {
            lanes.iter().flatten().flat_map(L::since).for_each(|(since, messages)| meter.unanswered(since, messages));
        }
        // The window closes before the lanes do.
        let outcome = meter.finish(in_flight);
        result.map(|()| outcome)
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
            if let Some(before) = self.meter.overdue(now) {
                for token in 0..self.lanes.len() {
                    self.with(token, |lanes, lane| lane.time_out(lanes, before));
                }
            }
            self.wait(now)?;
            for place in 0..self.poller.len() {
                let ready = self.poller.ready(place);
                self.with(ready.token, |lanes, lane| lane.serve(lanes, ready));
            }
            if self.meter.is_open_loop() {
                self.send_due();
            }
        }
    }

    /// As many as may be in flight, or what is due first.
    fn send_first(&mut self) {
        if self.meter.is_open_loop() {
            return self.send_due();
        }
        for token in 0..self.lanes.len() {
            self.with(token, |lanes, lane| lanes.top_up(lane, Instant::now()));
        }
    }

    /// In an open loop: sends what is due, each message by the next lane that has room. What is due beyond some at a time leaves
    /// in the next round, which waits for nothing: at a rate that cannot be kept there is always more.
    fn send_due(&mut self) {
        let mut now = Instant::now();
        for _ in 0..AT_A_TIME {
            if self.meter.due(now) == 0 || !self.has_room() {
                return;
            }
            let token = self.turn;
            self.turn = (token + 1) % self.lanes.len();
            self.with(token, |lanes, lane| {
                let room = lanes.room(lane);
                lane.start(lanes, room.min(1), now)
            });
            now = Instant::now();
        }
    }

    /// Starts messages until the lane has its number in flight.
    pub(crate) fn top_up(&mut self, lane: &mut L, now: Instant) -> Result<(), Failure> {
        let room = self.room(lane);
        lane.start(self, room, now)
    }

    fn room(&self, lane: &L) -> u64 {
        self.plan.depth as u64 - lane.waiting()
    }

    fn has_room(&self) -> bool {
        self.in_flight < self.alive as u64 * self.plan.depth as u64
    }

    /// Waits for events. What is due while there is no room for it leaves when a reply has come.
    fn wait(&mut self, now: Instant) -> Result<(), LoadError> {
        let has_room = self.has_room();
        let due = if has_room { self.meter.until_due(now) } else { None };
        let waited = self.poller.wait_until_due(self.meter.patience(now), due);
        if !has_room {
            self.meter.was_full();
        }
        waited.map_err(LoadError::system("wait for events"))
    }

    /// Does something with a lane, and loses it if that fails.
    fn with(&mut self, token: usize, work: impl FnOnce(&mut Self, &mut L) -> Result<(), Failure>) {
        let Some(mut lane) = self.lanes[token].take() else { return };
        match work(self, &mut lane) {
            Ok(()) => self.lanes[token] = Some(lane),
            Err(failure) => {
                self.meter.failed(failure);
                self.alive -= 1;
                self.in_flight -= lane.waiting();
                self.meter.lost(lane.waiting());
            }
        }
    }

    /// Nothing moves: all that wait have timed out.
    fn give_up(&mut self) {
        for _ in self.lanes.iter().flatten().filter(|lane| lane.waiting() > 0) {
            self.meter.failed(Failure::Timeout);
        }
    }
}
