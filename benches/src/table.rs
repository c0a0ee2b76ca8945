//! The table, in Markdown.

use std::time::Duration;

use crate::comparison::{Comparison, Verdict};
use crate::row::{Measure, Target, Work};
use crate::stats::Summary;
use crate::visit::Visit;

pub(crate) fn head() -> String {
    let columns = [
        "row",
        "candidate",
        "reference",
        "measure",
        "candidate to reference (medians)",
        "ratio median [q1–q3]",
        "target",
        "verdict",
        "visits kept/dropped",
        "p50/p99 of candidate",
    ];
    format!("| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()))
}

/// Explains what the cells cannot.
pub(crate) const LEGEND: &str = "\
Ratio: each visit to the candidate against the mean of the reference's visits before and after it. A visit is \
dropped when those two differ by more than 8 %, or when one of the three failed. \"met within spread\": the median \
misses the target by less than the interquartile spread. CPU: the server's own, from its process clock. \"generator \
limited\": the generator used 0.97 of its core or more, so that the rate is the generator's and not the server's; \
counted as candidate's + reference's visits.";

/// A line for each measure, the one with the target first.
pub(crate) fn lines(comparison: &Comparison) -> Vec<String> {
    let mut measures = Measure::ALL;
    measures.sort_by_key(|measure| *measure != comparison.plan.measure);
    measures.iter().map(|measure| line(comparison, *measure)).collect()
}

fn line(comparison: &Comparison, measure: Measure) -> String {
    let plan = comparison.plan;
    let ratios = comparison.ratios(measure);
    let (kept, dropped) = (ratios.len(), comparison.candidates.len() - ratios.len());
    let (target, verdict) = if measure == plan.measure {
        (target(plan.target), verdict(comparison))
    } else {
        ("–".to_owned(), "–".to_owned())
    };
    let cells = [
        format!("{} ({})", comparison.row.name, work(comparison.row.work)),
        plan.candidate.to_string(),
        plan.reference.to_string(),
        name(measure, comparison.row.work).to_owned(),
        format!("{} to {}", typical(measure, &comparison.candidates), typical(measure, &comparison.references)),
        Summary::of(ratios).map_or("–".to_owned(), |found| {
            format!("{} [{}–{}]", digits(found.median), digits(found.q1), digits(found.q3))
        }),
        target,
        verdict,
        format!("{kept}/{dropped}"),
        format!(
            "{} / {}",
            latency(&comparison.candidates, |visit| visit.p50),
            latency(&comparison.candidates, |visit| visit.p99)
        ),
    ];
    format!("| {} |", cells.join(" | "))
}

fn work(work: Work) -> String {
    match work {
        Work::Echo { connections, depth, lines } => {
            let what = if lines { "lines of " } else { "" };
            format!("{what}64 B, {connections} connections, depth {depth}")
        }
        Work::ConnectEchoClose { parallel } => format!("connect, 64 B, reset; {parallel} in parallel"),
    }
}

fn name(measure: Measure, work: Work) -> &'static str {
    match (measure, work) {
        (Measure::Rate, _) => "rate",
        (Measure::Cpu, Work::Echo { .. }) => "CPU a message",
        (Measure::Cpu, Work::ConnectEchoClose { .. }) => "CPU a connection",
    }
}

fn target(target: Target) -> String {
    match target {
        Target::AtLeast(least) => format!("≥ {least}"),
        Target::AtMost(most) => format!("≤ {most}"),
        Target::About(value) => format!("{} ± 10 %", digits(value)),
        Target::None => "–".to_owned(),
    }
}

fn verdict(comparison: &Comparison) -> String {
    let mut verdict = match comparison.verdict() {
        Verdict::Informative => "–".to_owned(),
        Verdict::Met => "met".to_owned(),
        Verdict::MetWithinSpread => "met within spread".to_owned(),
        Verdict::Missed => "**missed**".to_owned(),
        Verdict::Undecided => "**undecided**: too few steady visits".to_owned(),
        Verdict::Failed(visits) => format!("**failed**: {visits} visits went wrong"),
    };
    let (candidates, references) = comparison.generator_limited();
    if candidates + references > 0 {
        verdict.push_str(&format!("; generator limited in {candidates} + {references}"));
    }
    verdict
}

/// The median of the visits that went well, in its unit.
fn typical(measure: Measure, visits: &[Visit]) -> String {
    let good = visits.iter().filter(|visit| visit.failure.is_none());
    let Some(found) = Summary::of(good.map(|visit| measure.of(visit))) else {
        return "–".to_owned();
    };
    match measure {
        Measure::Rate => format!("{}/s", thousands(found.median)),
        Measure::Cpu => format!("{:.2} µs", found.median * 1e6),
    }
}

fn latency(visits: &[Visit], which: impl Fn(&Visit) -> Duration) -> String {
    let good = visits.iter().filter(|visit| visit.failure.is_none());
    match Summary::of(good.map(|visit| which(visit).as_secs_f64())) {
        Some(found) => format!("{:.0} µs", found.median * 1e6),
        None => "–".to_owned(),
    }
}

/// Three significant digits or so.
fn digits(ratio: f64) -> String {
    let places = match ratio.abs() {
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{ratio:.places$}")
}

fn thousands(number: f64) -> String {
    let plain = format!("{number:.0}");
    let mut grouped = String::new();
    for (place, digit) in plain.chars().enumerate() {
        if place > 0 && (plain.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(thousands(0.0), "0");
        assert_eq!(thousands(999.4), "999");
        assert_eq!(thousands(1000.0), "1,000");
        assert_eq!(thousands(2_960_000.0), "2,960,000");
        assert_eq!(digits(0.0571), "0.057");
        assert_eq!(digits(1.004), "1.00");
        assert_eq!(digits(12.34), "12.3");
    }
}
