//! Where this project is worse, said plainly.

use std::fmt::Write as _;

use super::Measured;
use super::document::ratio;
use crate::comparison::{Comparison, Verdict};
use crate::fault;
use crate::goal::{Measure, Target};
use crate::stats::Summary;
use crate::table;
use crate::work::Work;

/// From so many ratios on it is said that one server is worse.
const ENOUGH: usize = 2;

/// Sentences, one a line, from the figures alone: targets that are not met; then whatever is worse than a peer's by more than
/// the quartiles tell.
pub(crate) fn tell(measured: &Measured) -> String {
    let mut text = String::new();
    for comparison in &measured.comparisons {
        for goal in comparison.plan.goals.iter().filter(|goal| goal.target != Target::None) {
            if matches!(comparison.verdict(goal), Verdict::Missed | Verdict::Undecided | Verdict::Failed(_)) {
                let verdict = table::verdict(comparison, goal).replace("**", "");
                let _ = writeln!(
                    text,
                    "- **Target not met**: {}; the target is {}, {} was found: {verdict}.",
                    sentence(comparison, goal.measure),
                    table::target(goal),
                    match goal.target {
                        Target::OwnAtMost(_) => table::typical(goal.measure, &comparison.candidates),
                        _ => ratio(comparison, goal.measure),
                    },
                );
            }
        }
    }
    for comparison in &measured.comparisons {
        let plan = comparison.plan;
        if plan.goals.iter().all(|goal| goal.target == Target::None)
            && let Some(Verdict::Failed(visits)) = plan.goals.first().map(|goal| comparison.verdict(goal))
        {
            let what = table::what(comparison.row, comparison.note.as_deref());
            let _ = writeln!(text, "- {what}: {visits} visits to `{}` went wrong.", plan.candidate);
        }
        if !plan.candidate.is_ours() || plan.reference.is_ours() {
            continue;
        }
        let worse: Vec<String> = compared(comparison.row.work)
            .iter()
            .filter(|measure| is_worse(comparison, **measure))
            .map(|measure| format!("{} {}", ratio(comparison, *measure), table::name(*measure, comparison.row.work)))
            .collect();
        if !worse.is_empty() {
            let _ = writeln!(
                text,
                "- {}: `{}` has, of `{}`'s, {}.",
                table::what(comparison.row, comparison.note.as_deref()),
                plan.candidate,
                plan.reference,
                worse.join(" and "),
            );
        }
    }
    for found in &measured.faults {
        text.push_str(&fault::losses(found));
    }
    if text.is_empty() {
        text.push_str("Nowhere in this run.\n");
    }
    text
}

fn sentence(comparison: &Comparison, measure: Measure) -> String {
    let plan = comparison.plan;
    let what = table::what(comparison.row, comparison.note.as_deref());
    format!("{what}, {} of `{}` to `{}`", table::name(measure, comparison.row.work), plan.candidate, plan.reference)
}

/// In what a server can be worse than another one at that work.
fn compared(work: Work) -> &'static [Measure] {
    match work {
        Work::Echo { .. } => &[Measure::Rate, Measure::Cpu, Measure::P99, Measure::Memory],
        Work::Room { .. } | Work::ConnectEchoClose { .. } | Work::Packets { .. } => {
            &[Measure::Rate, Measure::Cpu, Measure::P99]
        }
        Work::Idle { .. } | Work::Sessions { .. } => &[Measure::Memory],
    }
}

/// Whether three quarters of the ratios are on the wrong side.
fn is_worse(comparison: &Comparison, measure: Measure) -> bool {
    let ratios = comparison.ratios(measure);
    if ratios.len() < ENOUGH {
        return false;
    }
    Summary::of(ratios).is_some_and(|found| match measure {
        Measure::Rate => found.q3 < 1.0,
        _ => found.q1 > 1.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::samples;

    fn told(references: &[f64], candidates: &[f64]) -> String {
        let measured =
            Measured { comparisons: vec![samples::comparison(1, references, candidates)], ..Measured::default() };
        tell(&measured)
    }

    #[test]
    fn what_one_visit_found_is_not_told() {
        assert!(!told(&[100.0, 100.0], &[50.0]).contains("CPU"));
    }

    #[test]
    fn what_is_better_is_no_loss() {
        assert_eq!(told(&[100.0, 100.0], &[120.0]), "Nowhere in this run.\n");
    }

    #[test]
    fn a_missed_target_and_what_is_worse_are_told_with_their_figures() {
        let text = told(&[100.0, 100.0, 100.0], &[50.0, 50.0]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            lines[0].contains("Target not met") && lines[0].contains("0.500") && lines[0].contains("missed"),
            "{text}"
        );
        assert!(lines[1].contains("0.500 [0.500–0.500] rate and 2.00 [2.00–2.00] CPU a message"), "{text}");
    }
}
