//! When messages leave in an open loop.

use std::time::{Duration, Instant};

use socketserver_proto::Rate;

use crate::Latency;

/// What leaves later than this after its time is late.
const TOLERANCE: Duration = Duration::from_millis(1);

/// In how many groups at most the messages are told how long they waited that never left: a server that stands still may leave
/// any number of them.
const GROUPS: u64 = 1000;

/// How well an open loop has kept its schedule; [`Load::rate`](crate::Load::rate) makes one.
///
/// ```
/// use socketserver_load::{Load, Target};
///
/// let server = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let load = Load::new(Target::Tcp(server.local_addr()?)).rate("500/s".parse()?).requests(5);
/// # std::thread::spawn(move || {
/// #     let (mut stream, _) = server.accept().unwrap();
/// #     let _ = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
/// # });
/// let outcome = load.run()?;
/// let open = outcome.open_loop.expect("it has a schedule");
/// assert_eq!(open.rate.to_string(), "500/s");
/// assert_eq!((outcome.messages, open.unsent), (5, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenLoop {
    /// How often a message was to leave.
    pub rate: Rate,
    /// Messages that had to wait because as many as may be were in flight: the server, or what lies before it, did not keep up.
    pub held: u64,
    /// Messages that left more than 1 ms after their time though there was room for them: the generator did not keep up.
    pub late: u64,
    /// Messages whose time had come and that had not left when the window closed. They are in no other figure but the next.
    pub unsent: u64,
    /// How long those had waited that had no answer when the window closed, since their time: those in flight, and those that
    /// never left. One that was lost in the window counts as two minutes, the longest that is told. What an answer would have
    /// taken is at least that, so that with the [latency](crate::Outcome::latency) of those that have one it bounds the
    /// percentiles of all from below.
    pub unanswered: Latency,
}

impl OpenLoop {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.held += other.held;
        self.late += other.late;
        self.unsent += other.unsent;
        self.unanswered.merge(&other.unanswered);
    }
}

/// Messages leave at a fixed rate, whether earlier ones have come back or not.
#[derive(Debug)]
pub(crate) struct Schedule {
    kept: OpenLoop,
    began: Instant,
    /// Messages that have left.
    left: u64,
    /// Until then nothing could leave for want of room.
    full_until: Option<Instant>,
}

impl Schedule {
    pub(crate) fn new(rate: Rate) -> Self {
        let kept = OpenLoop { rate, held: 0, late: 0, unsent: 0, unanswered: Latency::default() };
        Self { kept, began: Instant::now(), left: 0, full_until: None }
    }

    /// The first message leaves now.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.began = now;
    }

    /// The window opens: from here on it is told how the schedule is kept.
    pub(crate) fn open(&mut self) {
        (self.kept.held, self.kept.late) = (0, 0);
    }

    /// The time of the next message.
    pub(crate) fn next(&self) -> Instant {
        self.began + self.after(self.left)
    }

    /// Messages whose time has come and that have not left.
    pub(crate) fn due(&self, now: Instant) -> u64 {
        let Some(passed) = now.checked_duration_since(self.began) else { return 0 };
        let rate = self.kept.rate;
        let times = passed.as_nanos() * u128::from(rate.count().get()) / rate.period().as_nanos();
        u64::try_from(times).unwrap_or(u64::MAX).saturating_add(1).saturating_sub(self.left)
    }

    /// Until now there was no room for what was due.
    pub(crate) fn was_full(&mut self, now: Instant) {
        self.full_until = Some(now);
    }

    /// The next message leaves; tells when its time was.
    pub(crate) fn leave(&mut self, now: Instant) -> Instant {
        let time = self.next();
        self.left += 1;
        if self.full_until.is_some_and(|until| time <= until) {
            self.kept.held += 1;
        } else if now.saturating_duration_since(time) > TOLERANCE {
            self.kept.late += 1;
        }
        time
    }

    /// So many messages have left, and are not answered.
    pub(crate) fn unanswered(&mut self, waited: Duration, messages: u64) {
        self.kept.unanswered.record_many(waited, messages);
    }

    /// How it was kept, up to now, when so many have not left whose time had come.
    pub(crate) fn kept(mut self, now: Instant, unsent: u64) -> OpenLoop {
        let group = unsent.div_ceil(GROUPS).max(1);
        for first in (0..unsent).step_by(usize::try_from(group).unwrap_or(usize::MAX)) {
            // Of a group no more is said than that each has waited for as long as its last one.
            let end = unsent.min(first + group);
            let time = self.began + self.after(self.left + end - 1);
            self.unanswered(now.saturating_duration_since(time), end - first);
        }
        OpenLoop { unsent, ..self.kept }
    }

    /// How long after the first one message `number` leaves.
    fn after(&self, number: u64) -> Duration {
        let rate = self.kept.rate;
        let nanos = (u128::from(number) * rate.period().as_nanos()).div_ceil(u128::from(rate.count().get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn schedule(rate: &str) -> (Schedule, Instant) {
        let mut schedule = Schedule::new(rate.parse().unwrap());
        let now = Instant::now();
        schedule.begin(now);
        (schedule, now)
    }

    #[test]
    fn a_message_is_due_when_its_time_has_come_and_not_before() {
        for rate in ["1000/s", "3/s", "7/250ms", "1000000000/s", "1/m"] {
            let (mut schedule, begin) = schedule(rate);
            assert_eq!((schedule.due(begin), schedule.next()), (1, begin), "{rate}");
            for left in 0..100 {
                let time = schedule.next();
                assert_eq!(schedule.due(time), 1, "{rate} {left}");
                if time > begin {
                    assert_eq!(schedule.due(time - Duration::from_nanos(1)), 0, "{rate} {left}");
                }
                assert_eq!(schedule.leave(time), time);
            }
        }
    }

    #[test]
    fn what_piles_up_is_due_and_keeps_its_time() {
        let (mut schedule, begin) = schedule("1000/s");
        let now = begin + 10 * MILLI;
        assert_eq!(schedule.due(now), 11);
        for left in 0..11 {
            assert_eq!(schedule.leave(now), begin + left * MILLI);
        }
        assert_eq!((schedule.due(now), schedule.next()), (0, begin + 11 * MILLI));
    }

    #[test]
    fn late_is_whose_room_was_there_and_held_whose_was_not() {
        let (mut schedule, begin) = schedule("1000/s");
        schedule.was_full(begin + 4 * MILLI);
        for _ in 0..=10 {
            schedule.leave(begin + 10 * MILLI);
        }
        // Those of 0 to 4 ms; those of 5 to 8; those of 9 and 10 within what is tolerated.
        assert_eq!((schedule.kept.held, schedule.kept.late), (5, 4));
        schedule.open();
        assert_eq!((schedule.kept.held, schedule.kept.late), (0, 0));
    }

    #[test]
    fn who_never_left_has_waited_since_its_time() {
        for (rate, unsent) in [("1000/s", 100), ("1000000/s", 100_000), ("1000000000/s", 100_000_000)] {
            let (mut schedule, begin) = schedule(rate);
            // One was answered, another is in flight.
            for _ in 0..2 {
                schedule.leave(begin);
            }
            let now = schedule.began + schedule.after(1 + unsent);
            schedule.unanswered(now - begin, 1);
            let kept = schedule.kept(now, unsent);
            let waited = |percent| kept.unanswered.percentile(percent).as_millis();
            assert_eq!((kept.unsent, kept.unanswered.len()), (unsent, 1 + unsent), "{rate}");
            assert!((49..=51).contains(&waited(50.0)) && (99..=101).contains(&waited(100.0)), "{rate} {kept:?}");
        }
    }
}
