//! Two loads by turns, and how they compare.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::{Load, LoadError, Outcome, Progress};

/// Two loads that are run by turns, round after round, so that what changes on this machine meanwhile meets both: the first and the
/// second, then the second and the first, and so on.
///
/// ```no_run
/// use std::time::Duration;
/// use socketserver_load::{Comparison, Load, Target};
///
/// let on = |port| Load::new(Target::Tcp(([127, 0, 0, 1], port).into())).connections(50).duration(Duration::from_secs(2));
/// let found = Comparison::run([&on(8080), &on(8081)], 5)?;
/// if let Some(rate) = found.ratio(|outcome| outcome.rate()) {
///     println!("{:.2} times the rate, from {:.2} to {:.2}", rate.median, rate.least, rate.most);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Comparison {
    /// What came of each round, of the first load and of the second.
    pub rounds: Vec<[Outcome; 2]>,
}

/// A figure of the first load as a multiple of that of the second, round by round.
///
/// ```
/// use socketserver_load::Ratio;
///
/// let ratio = Ratio::of([1.2, 0.9, 1.1]).unwrap();
/// assert_eq!((ratio.least, ratio.median, ratio.most), (0.9, 1.1, 1.2));
/// assert!(Ratio::of([]).is_none() && Ratio::of([f64::NAN]).is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Ratio {
    /// In the middle; of an even number of rounds between the two there.
    pub median: f64,
    /// The least of all rounds.
    pub least: f64,
    /// The most of all rounds.
    pub most: f64,
}

impl Comparison {
    /// Runs both loads so often each, on the calling thread. Their [durations](Load::duration) and their
    /// [requests](Load::requests) are of one round.
    ///
    /// # Errors
    ///
    /// As [`Load::run`].
    pub fn run(loads: [&Load; 2], rounds: usize) -> Result<Self, LoadError> {
        Self::run_observed(loads, rounds, Duration::MAX, |_, _| ControlFlow::Continue(()))
    }

    /// The same, and tells `observe` about each so long which load is running, 0 or 1, and how it comes along, as
    /// [`Load::run_observed`] does. After a [`Break`](ControlFlow::Break) only the rounds count that are whole.
    ///
    /// # Errors
    ///
    /// As [`Load::run`].
    pub fn run_observed(
        loads: [&Load; 2],
        rounds: usize,
        every: Duration,
        mut observe: impl FnMut(usize, Progress) -> ControlFlow<()>,
    ) -> Result<Self, LoadError> {
        let mut found = Self::default();
        for round in 0..rounds {
            let mut outcomes = [Outcome::default(), Outcome::default()];
            for which in [round % 2, 1 - round % 2] {
                let mut broken = false;
                outcomes[which] = loads[which].run_observed(every, |progress| {
                    let then = observe(which, progress);
                    broken |= then.is_break();
                    then
                })?;
                if broken {
                    return Ok(found);
                }
            }
            found.rounds.push(outcomes);
        }
        Ok(found)
    }

    /// What came of all rounds together, of the load of this place, 0 or 1.
    ///
    /// # Panics
    ///
    /// There is no load of that place.
    #[must_use]
    pub fn total(&self, which: usize) -> Outcome {
        self.rounds.iter().fold(Outcome::default(), |mut total, round| {
            total.merge(&round[which]);
            total
        })
    }

    /// How a figure compares; `None` where in some round it was zero of the second load, or no number, or there was no round. A
    /// percentile of nothing is zero: have it [NaN](f64::NAN), or a load that was answered nothing looks like the fastest.
    #[must_use]
    pub fn ratio(&self, figure: impl Fn(&Outcome) -> f64) -> Option<Ratio> {
        Ratio::of(self.rounds.iter().map(|[one, other]| figure(one) / figure(other)))
    }
}

impl Ratio {
    /// The median of some ratios, and their ends; `None` where there are none, or one is no finite number.
    #[must_use]
    pub fn of(ratios: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut all: Vec<f64> = ratios.into_iter().collect();
        if !all.iter().all(|ratio| ratio.is_finite()) {
            return None;
        }
        all.sort_by(f64::total_cmp);
        let (least, most) = (*all.first()?, *all.last()?);
        let median = (all[(all.len() - 1) / 2] + all[all.len() / 2]) / 2.0;
        Some(Self { median, least, most })
    }
}
