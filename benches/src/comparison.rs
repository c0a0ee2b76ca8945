//! A candidate against a reference: visits in turn, ratios against the neighbours, a verdict.

use std::io;
use std::time::Instant;

use crate::args::Options;
use crate::cores::Cores;
use crate::goal::{Goal, Measure, Target};
use crate::row::{Plan, Row};
use crate::stats::Summary;
use crate::visit::{self, Visit};

/// The larger of two neighbouring references over the smaller; beyond this the visit between them does not count.
const STEADY: f64 = 1.08;

/// A median is about what it should be when it is this near, as a share.
const NEAR: f64 = 0.10;

/// All visits of one comparison.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) row: &'static Row,
    pub(crate) plan: &'static Plan,
    /// Where server and generators ran, if not where the head of the table says.
    pub(crate) note: Option<String>,
    /// How many visits are to count.
    pub(crate) wanted: usize,
    /// One more than candidates: `references[i]` came before `candidates[i]`, the next one after it.
    pub(crate) references: Vec<Visit>,
    pub(crate) candidates: Vec<Visit>,
}

/// Whether a target was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There was no target.
    Informative,
    Met,
    /// The median misses the target by less than the interquartile spread.
    MetWithinSpread,
    Missed,
    /// Too few visits count.
    Undecided,
    /// Visits to the candidate went wrong; this many.
    Failed(usize),
}

/// Visits reference, candidate, reference, … until enough count, or five times as many were made, or time is up.
pub(crate) fn run(
    row: &'static Row,
    plan: &'static Plan,
    options: &Options,
    cores: &Cores,
    until: Option<Instant>,
) -> io::Result<Comparison> {
    let mut comparison = Comparison {
        row,
        plan,
        note: cores.place(row.server_cores).note(),
        wanted: options.visits,
        references: Vec::new(),
        candidates: Vec::new(),
    };
    let visit = |peer| {
        let visit = visit::make(peer, row, options.duration, cores)?;
        tell(row, peer.name(), &visit);
        io::Result::Ok(visit)
    };
    comparison.references.push(visit(plan.reference)?);
    while !comparison.enough() && comparison.candidates.len() < 5 * options.visits {
        if !comparison.candidates.is_empty() && until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        comparison.candidates.push(visit(plan.candidate)?);
        comparison.references.push(visit(plan.reference)?);
    }
    Ok(comparison)
}

/// Progress, for whoever waits.
fn tell(row: &Row, peer: &str, visit: &Visit) {
    let failure = visit.failure.as_deref().map(|why| format!(", FAILED: {why}")).unwrap_or_default();
    eprintln!(
        "{}: {peer}: {:.0}/s, {:.2?} CPU each, generator {:.2}{failure}",
        row.name, visit.rate, visit.cpu_each, visit.generator
    );
}

impl Comparison {
    /// Candidate to the mean of its neighbours, for each visit that counts.
    pub(crate) fn ratios(&self, measure: Measure) -> Vec<f64> {
        let neighbours = self.references.windows(2).zip(&self.candidates);
        let counting = neighbours.filter_map(|(references, candidate)| match references {
            [before, after] => ratio(measure, before, candidate, after),
            _ => None,
        });
        counting.collect()
    }

    /// What the target is about: the ratios, or the candidate's own figures.
    fn judged(&self, goal: &Goal) -> Vec<f64> {
        match goal.target {
            // However steady the references were.
            Target::OwnAtMost(_) => {
                let good = self.candidates.iter().filter(|visit| visit.failure.is_none());
                good.map(|visit| goal.measure.of(visit)).collect()
            }
            _ => self.ratios(goal.measure),
        }
    }

    /// Whether as many visits count as are wanted, for every goal.
    fn enough(&self) -> bool {
        self.plan.goals.iter().all(|goal| self.judged(goal).len() >= self.wanted)
    }

    pub(crate) fn verdict(&self, goal: &Goal) -> Verdict {
        let failed = self.candidates.iter().filter(|visit| visit.failure.is_some()).count();
        if failed > 0 {
            return Verdict::Failed(failed);
        }
        if goal.target == Target::None {
            return Verdict::Informative;
        }
        let judged = self.judged(goal);
        let enough = judged.len() >= self.wanted;
        match Summary::of(judged) {
            Some(summary) if enough => judge(goal.target, &summary),
            _ => Verdict::Undecided,
        }
    }

    /// Why there is nothing to compare with, if each visit to the reference went wrong.
    pub(crate) fn reference_failed(&self) -> Option<String> {
        let failures: Option<Vec<&str>> = self.references.iter().map(|visit| visit.failure.as_deref()).collect();
        Some(format!("each visit to `{}` went wrong: {}", self.plan.reference, failures?.first()?))
    }

    /// Whether there is nothing to complain about.
    pub(crate) fn met(&self) -> bool {
        let good = |verdict| matches!(verdict, Verdict::Informative | Verdict::Met | Verdict::MetWithinSpread);
        self.plan.goals.iter().all(|goal| good(self.verdict(goal)))
    }

    /// Visits, candidate's and reference's, in which the generator was the limit.
    pub(crate) fn generator_limited(&self) -> (usize, usize) {
        let count = |visits: &[Visit]| visits.iter().filter(|visit| visit.generator_limited).count();
        (count(&self.candidates), count(&self.references))
    }
}

/// The candidate's figure to the mean of the references', if the visit counts.
fn ratio(measure: Measure, before: &Visit, candidate: &Visit, after: &Visit) -> Option<f64> {
    if [before, candidate, after].iter().any(|visit| visit.failure.is_some()) {
        return None;
    }
    let (before, candidate, after) = (measure.of(before), measure.of(candidate), measure.of(after));
    let steady = before > 0.0 && after > 0.0 && before.max(after) / before.min(after) <= STEADY;
    steady.then_some(candidate / ((before + after) / 2.0))
}

fn judge(target: Target, found: &Summary) -> Verdict {
    let missed_by = match target {
        Target::None => return Verdict::Informative,
        Target::AtLeast(least) => least - found.median,
        Target::AtMost(most) | Target::OwnAtMost(most) => found.median - most,
        Target::About(value) => (found.median - value).abs() - NEAR * value,
    };
    if missed_by <= 0.0 {
        Verdict::Met
    } else if missed_by < found.spread() {
        Verdict::MetWithinSpread
    } else {
        Verdict::Missed
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use std::time::Duration;

    use super::*;
    use crate::row::ROWS;

    /// Of that rate, and a CPU time to match.
    pub(crate) fn visit(rate: f64) -> Visit {
        Visit {
            rate,
            elapsed: Duration::from_secs(1),
            cpu_each: Duration::from_secs_f64(1.0 / rate),
            p50: Duration::ZERO,
            p99: Duration::ZERO,
            p999: Duration::ZERO,
            memory_each: 5000.0 / rate,
            generator: 0.5,
            generator_limited: false,
            failure: None,
        }
    }

    /// Of the first row, whose target is a rate of at least 1.0.
    pub(crate) fn comparison(wanted: usize, references: &[f64], candidates: &[f64]) -> Comparison {
        let row = &ROWS[0];
        Comparison {
            row,
            plan: &row.comparisons[0],
            note: None,
            wanted,
            references: references.iter().copied().map(visit).collect(),
            candidates: candidates.iter().copied().map(visit).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::comparison;
    use super::*;
    use crate::peer::Peer;

    fn goal(comparison: &Comparison) -> &'static Goal {
        &comparison.plan.goals[0]
    }

    #[test]
    fn a_ratio_is_against_the_mean_of_both_neighbours() {
        let comparison = comparison(2, &[100.0, 104.0, 100.0], &[102.0, 51.0]);
        assert_eq!(comparison.ratios(Measure::Rate), [1.0, 0.5]);
    }

    #[test]
    fn a_visit_between_unsteady_references_does_not_count() {
        let steady = comparison(1, &[100.0, 108.0], &[104.0]);
        assert_eq!(steady.ratios(Measure::Rate).len(), 1);
        let unsteady = comparison(2, &[100.0, 109.0, 109.0], &[200.0, 109.0]);
        assert_eq!(unsteady.ratios(Measure::Rate), [1.0]);
        assert_eq!(unsteady.verdict(goal(&unsteady)), Verdict::Undecided, "one of the two wanted counts");
        assert!(!unsteady.met());
    }

    #[test]
    fn a_failed_visit_does_not_count_and_a_failed_candidate_is_told() {
        let mut failed = comparison(1, &[100.0; 3], &[100.0; 2]);
        failed.references[2].failure = Some("1 reset".to_owned());
        assert_eq!(failed.ratios(Measure::Rate), [1.0]);
        assert_eq!(failed.verdict(goal(&failed)), Verdict::Met);
        failed.candidates[1].failure = Some("1 reset".to_owned());
        assert_eq!(failed.verdict(goal(&failed)), Verdict::Failed(1));
        let aimless = Goal { measure: Measure::Rate, target: Target::None };
        assert_eq!(failed.verdict(&aimless), Verdict::Failed(1), "without a target, too");
        assert!(!failed.met());
        assert_eq!(failed.reference_failed(), None);
        failed.references.iter_mut().for_each(|visit| visit.failure = Some("3 resets".to_owned()));
        assert!(failed.reference_failed().unwrap().ends_with("went wrong: 3 resets"));
    }

    #[test]
    fn an_own_figure_is_judged_and_not_its_ratio() {
        let comparison = comparison(1, &[100.0, 100.0], &[50.0]);
        let at_most = |most| comparison.verdict(&Goal { measure: Measure::Memory, target: Target::OwnAtMost(most) });
        assert_eq!(comparison.ratios(Measure::Memory), [2.0]);
        assert_eq!(at_most(100.0), Verdict::Met);
        assert_eq!(at_most(99.0), Verdict::Missed);
    }

    #[test]
    fn every_goal_is_to_be_met() {
        static BOTH: Plan = Plan {
            candidate: Peer::ThreadsEcho,
            reference: Peer::EpollEcho,
            goals: &[
                Goal { measure: Measure::Rate, target: Target::AtLeast(1.0) },
                Goal { measure: Measure::Cpu, target: Target::AtMost(0.9) },
            ],
        };
        let mut both = comparison(1, &[100.0, 100.0], &[105.0]);
        assert!(both.met());
        both.plan = &BOTH;
        assert_eq!(
            BOTH.goals.iter().map(|goal| both.verdict(goal)).collect::<Vec<_>>(),
            [Verdict::Met, Verdict::Missed]
        );
        assert!(!both.met());
    }

    #[test]
    fn verdicts() {
        let found = |q1, median, q3| Summary { q1, median, q3 };
        assert_eq!(judge(Target::AtLeast(1.0), &found(0.9, 1.0, 1.1)), Verdict::Met);
        assert_eq!(judge(Target::AtLeast(1.0), &found(0.85, 0.95, 1.0)), Verdict::MetWithinSpread);
        assert_eq!(judge(Target::AtLeast(1.0), &found(0.94, 0.95, 0.96)), Verdict::Missed);
        assert_eq!(judge(Target::AtMost(0.5), &found(0.4, 0.5, 0.6)), Verdict::Met);
        assert_eq!(judge(Target::AtMost(0.5), &found(0.45, 0.55, 0.65)), Verdict::MetWithinSpread);
        assert_eq!(judge(Target::AtMost(0.5), &found(0.7, 0.7, 0.7)), Verdict::Missed);
        assert_eq!(judge(Target::About(2.0), &found(2.19, 2.19, 2.19)), Verdict::Met);
        assert_eq!(judge(Target::About(2.0), &found(1.7, 1.7, 1.7)), Verdict::Missed);
        assert_eq!(judge(Target::None, &found(9.0, 9.0, 9.0)), Verdict::Informative);
    }
}
