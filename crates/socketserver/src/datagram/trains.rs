use super::packet::{AT_A_TIME, TRAINS_AT_A_TIME};
use socketserver_sys::{Inbox, join_trains};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Whether a socket is given the packets of a train one by one or together (`UDP_GRO`, `udp(7)`), and whether it sends trains:
/// by what is seen.
///
/// Together a train costs about as much as one packet, but packets that come alone cost some per cent more. And unless it is
/// asked for trains a socket does not tell of them: a train looks like packets that one peer sends one after the other. So
/// when many wait that look like that it is tried; if no train comes it is ended, and tried again ever more rarely.
#[derive(Debug)]
pub(super) struct Trains {
    /// What `state` says: read for every batch.
    joins: AtomicU8,
    state: Mutex<State>,
    /// For so many batches none is sent any more.
    rest: AtomicU32,
    /// What is received goes into queues.
    queued: AtomicBool,
}

/// So many packets in a batch that a train may be among them: with fewer there is little to be saved.
const MANY: usize = 16;
/// How long the runs of packets are on average that look like trains.
const LONG: usize = 8;
/// So many batches without any end a trial: packets that waited when it began come one by one, and may be some thousand.
const TRIAL: u32 = 128;
/// So many batches of many are let pass after a trial, at first and in the end.
const PAUSES: (u32, u32) = (8_192, 65_536);
/// So many batches are answered packet by packet when a train was refused. Asking is a call in vain.
const REST: u32 = 1024;

const ALONE: u8 = 0;
const TOGETHER: u8 = 1;
const NEVER: u8 = 2;

#[derive(Debug)]
struct State {
    joins: bool,
    /// Since it joins: whether a train came, and how many batches since then had none.
    came: bool,
    without: u32,
    /// So many batches of many are let pass now, and after the next trial.
    wait: u32,
    pause: u32,
}

impl Trains {
    /// For a new socket, or one that somebody may have asked for trains before.
    pub(super) fn new(socket: impl AsFd, udp: bool) -> Self {
        let known = udp && join_trains(socket, false).is_ok();
        Self {
            joins: AtomicU8::new(if known { ALONE } else { NEVER }),
            state: Mutex::new(State::new()),
            // Whoever does not know the one does not know the other, and might send a train as one packet.
            rest: AtomicU32::new(if known { 0 } else { u32::MAX }),
            queued: AtomicBool::new(false),
        }
    }

    /// How many packets, or trains, are to be received in one call.
    pub(super) fn at_a_time(&self) -> usize {
        match self.joins.load(Relaxed) {
            // A queue holds about a train.
            TOGETHER if self.queued.load(Relaxed) => 1,
            TOGETHER => TRAINS_AT_A_TIME,
            _ => AT_A_TIME,
        }
    }

    /// Whether what is received goes into queues, from which it is taken before more is received.
    pub(super) fn queued(&self, queued: bool) {
        self.queued.store(queued, Relaxed);
    }

    /// Takes note of what was received, and switches if that tells to.
    #[inline]
    pub(super) fn saw(&self, inbox: &Inbox, count: usize, socket: impl AsFd) {
        match self.joins.load(Relaxed) {
            TOGETHER => self.turn(|state| state.saw_together(inbox.has_train()), socket),
            ALONE if count >= MANY => self.turn(|state| state.saw_alone(|| inbox.has_runs_of(LONG)), socket),
            _ => {}
        }
    }

    fn turn(&self, saw: impl FnOnce(&mut State) -> bool, socket: impl AsFd) {
        // Held for the call too: so what the socket does is what is written here.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let joined = state.joins;
        let joins = saw(&mut state);
        if joins != joined {
            let done = join_trains(socket, joins);
            self.joins.store(if done.is_err() { NEVER } else { u8::from(joins) }, Relaxed);
        }
    }

    /// Whether replies to what was received just now may leave in trains.
    #[inline]
    pub(super) fn may_leave(&self) -> bool {
        let rest = self.rest.load(Relaxed);
        if rest > 0 && rest < u32::MAX {
            // That two threads count as one does not matter.
            self.rest.store(rest - 1, Relaxed);
        }
        rest == 0
    }

    /// A train could not be sent.
    pub(super) fn refused(&self) {
        self.rest.store(REST, Relaxed);
    }

    /// The socket is as it was.
    pub(super) fn end(&self, socket: impl AsFd) {
        if self.joins.load(Relaxed) == TOGETHER {
            // It may be closed to us already, in a child.
            let _ = join_trains(socket, false);
        }
    }
}

impl State {
    fn new() -> Self {
        Self { joins: false, came: false, without: 0, wait: 0, pause: PAUSES.0 }
    }

    /// A batch with trains joined; gives whether it goes on.
    fn saw_together(&mut self, train: bool) -> bool {
        if train {
            (self.came, self.without) = (true, 0);
        } else {
            self.without += 1;
        }
        if self.joins && self.without == TRIAL {
            (self.joins, self.wait) = (false, if self.came { PAUSES.0 } else { self.pause });
            self.pause = PAUSES.1.min(self.wait * 2);
        }
        self.joins
    }

    /// A batch of many, one by one; gives whether to join trains.
    fn saw_alone(&mut self, looks_like_trains: impl FnOnce() -> bool) -> bool {
        if self.wait > 0 {
            self.wait -= 1;
        } else if !self.joins && looks_like_trains() {
            (self.joins, self.came, self.without) = (true, false, 0);
        }
        self.joins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many batches that look like trains pass until it is tried.
    fn until_tried(state: &mut State) -> u32 {
        (0..).find(|_| state.saw_alone(|| true)).unwrap()
    }

    fn batches_without(state: &mut State) -> u32 {
        (1..).find(|_| !state.saw_together(false)).unwrap()
    }

    #[test]
    fn it_is_tried_when_packets_look_like_trains() {
        let mut state = State::new();
        assert!((0..10_000).all(|_| !state.saw_alone(|| false)));
        assert!(state.saw_alone(|| true));
    }

    #[test]
    fn in_vain_it_is_tried_ever_more_rarely() {
        let mut state = State::new();
        let mut waits = vec![until_tried(&mut state)];
        for _ in 0..6 {
            assert_eq!(batches_without(&mut state), TRIAL);
            waits.push(until_tried(&mut state));
        }
        let (first, last) = PAUSES;
        assert_eq!(waits, [0, first, 2 * first, 4 * first, last, last, last]);
        // Nobody looks meanwhile.
        batches_without(&mut state);
        assert!(!state.saw_alone(|| panic!("it looks")));
    }

    #[test]
    fn trains_keep_it_on() {
        let mut state = State::new();
        for _ in 0..3 {
            until_tried(&mut state);
            batches_without(&mut state);
        }
        until_tried(&mut state);
        for _ in 0..10 {
            assert!((1..TRIAL).all(|_| state.saw_together(false)) && state.saw_together(true));
        }
        // And when they end, they may come again soon.
        assert_eq!(batches_without(&mut state), TRIAL);
        assert_eq!(until_tried(&mut state), PAUSES.0);
    }

    #[test]
    fn a_batch_that_was_received_before_the_switch_changes_nothing() {
        // Another thread had it in hand.
        let mut state = State::new();
        assert!(!state.saw_together(true) && !state.saw_together(false));
        until_tried(&mut state);
        assert!(state.saw_alone(|| panic!("it looks")));
    }

    #[test]
    fn trains_leave_again_some_time_after_one_was_refused() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let trains = Trains::new(&socket, true);
        assert!(trains.may_leave() && trains.may_leave());
        trains.refused();
        assert_eq!((0..).find(|_| trains.may_leave()), Some(REST));
        // Of other sockets none leave.
        let (unix, _other) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let never = Trains::new(unix, false);
        assert!((0..10_000).all(|_| !never.may_leave()));
    }
}
