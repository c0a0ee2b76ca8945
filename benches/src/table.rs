//! The table, in Markdown.

use std::time::Duration;

use crate::comparison::{Comparison, Verdict};
use crate::goal::{Goal, Measure, Target};
use crate::row::{Plan, Row};
use crate::stats::Summary;
use crate::visit::Visit;
use crate::work::{Form, Work};

const COLUMNS: [&str; 10] = [
    "row",
    "candidate",
    "reference",
    "measure",
    "candidate to reference (medians)",
    "ratio median [q1–q3]",
    "target",
    "verdict",
    "visits kept/dropped",
    "p50/p99/p99.9 of candidate",
];

pub(crate) fn head() -> String {
    format!("{}\n|{}", joined(COLUMNS.map(str::to_owned)), "---|".repeat(COLUMNS.len()))
}

/// In place of the lines of a comparison that could not be made.
pub(crate) fn not_measured(row: &Row, plan: &Plan, why: &std::io::Error) -> String {
    let none = || "–".to_owned();
    joined([
        title(row, None),
        plan.candidate.to_string(),
        plan.reference.to_string(),
        none(),
        none(),
        none(),
        none(),
        format!("**not measured**: {why}"),
        none(),
        none(),
    ])
}

fn joined(cells: [String; COLUMNS.len()]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// Explains what the cells cannot.
pub(crate) const LEGEND: &str = "\
Ratio: each visit to the candidate against the mean of the reference's visits before and after it. A visit is \
dropped when those two differ by more than 8 %, or when one of the three failed. \"met within spread\": the median \
misses the target by less than the interquartile spread. CPU: the server's own, from its process clock. Memory: by \
how much the server's resident memory has grown; its target is the candidate's own figure. \"generator limited\": the generator used 0.97 of its core or more, so that the rate is the generator's and not the server's; \
counted as candidate's + reference's visits.";

/// A line for each goal, then one for each measure that is shown beside them.
pub(crate) fn lines(comparison: &Comparison) -> Vec<String> {
    let goals = comparison.plan.goals;
    let beside = match comparison.row.work {
        Work::Idle { .. } | Work::Sessions { .. } => &[],
        work => shown(work),
    };
    let beside = beside.iter().filter(|measure| goals.iter().all(|goal| goal.measure != **measure));
    let beside = beside.map(|measure| line(comparison, *measure, None));
    goals.iter().map(|goal| line(comparison, goal.measure, Some(goal))).chain(beside).collect()
}

/// What tells of a server at that work.
pub(crate) fn shown(work: Work) -> &'static [Measure] {
    match work {
        Work::Echo { .. } | Work::Room { .. } | Work::ConnectEchoClose { .. } | Work::Packets { .. } => {
            &[Measure::Rate, Measure::Cpu]
        }
        Work::Idle { .. } | Work::Sessions { .. } => &[Measure::Memory],
    }
}

/// One line of the table.
pub(crate) fn line(comparison: &Comparison, measure: Measure, goal: Option<&Goal>) -> String {
    let plan = comparison.plan;
    let ratios = comparison.ratios(measure);
    let (kept, dropped) = (ratios.len(), comparison.candidates.len() - ratios.len());
    let (target, verdict) = match goal {
        Some(goal) => (target(goal), verdict(comparison, goal)),
        None => ("–".to_owned(), "–".to_owned()),
    };
    joined([
        title(comparison.row, comparison.note.as_deref()),
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
            "{} / {} / {}",
            latency(&comparison.candidates, |visit| visit.p50),
            latency(&comparison.candidates, |visit| visit.p99),
            latency(&comparison.candidates, |visit| visit.p999)
        ),
    ])
}

fn title(row: &Row, note: Option<&str>) -> String {
    format!("{} ({})", row.name, what(row, note))
}

/// What is done in that row, and where if not where the head of the table says.
pub(crate) fn what(row: &Row, note: Option<&str>) -> String {
    let note = note.map(|note| format!("; {note}")).unwrap_or_default();
    let tls = if row.tls { "TLS, " } else { "" };
    format!("{tls}{}{note}", work(row.work))
}

fn work(work: Work) -> String {
    match work {
        Work::Echo { connections, depth, size, form } => {
            let what = match form {
                Form::Bytes => "",
                Form::Lines => "lines of ",
                Form::Frames => "frames of 4 + ",
            };
            let plural = if connections == 1 { "" } else { "s" };
            format!("{what}{}, {} connection{plural}, depth {depth}", bytes(size as f64), thousands(connections as f64))
        }
        Work::Packets { depth, size, train } => {
            let trains = if train > 1 { format!(", in trains of {train}") } else { String::new() };
            format!("UDP, {} B, {depth} in flight{trains}", thousands(size as f64))
        }
        Work::Room { members, depth, size } => {
            format!("lines of {}, {} members, depth {depth}", bytes(size as f64), thousands(members as f64))
        }
        Work::ConnectEchoClose { parallel } => format!("connect, 64 B, reset; {parallel} in parallel"),
        Work::Sessions { sessions } => {
            format!("UDP, {} sessions, idle after one packet of 64 B", thousands(sessions as f64))
        }
        Work::Idle { connections } => {
            let plural = if connections == 1 { "" } else { "s" };
            format!("{} connection{plural}, idle after one message", thousands(connections as f64))
        }
    }
}

pub(crate) fn name(measure: Measure, work: Work) -> &'static str {
    match (measure, work) {
        (Measure::Rate, _) => "rate",
        (Measure::Cpu, Work::Room { .. }) => "CPU a delivery",
        (Measure::Cpu, Work::Echo { .. }) => "CPU a message",
        (Measure::Cpu, Work::Packets { .. }) => "CPU a packet",
        (Measure::Cpu, Work::Sessions { .. }) => "CPU a session",
        (Measure::Cpu, Work::ConnectEchoClose { .. } | Work::Idle { .. }) => "CPU a connection",
        (Measure::P50, _) => "p50",
        (Measure::P99, _) => "p99",
        (Measure::P999, _) => "p99.9",
        (Measure::Memory, Work::Sessions { .. }) => "memory a session",
        (Measure::Memory, _) => "memory a connection",
    }
}

pub(crate) fn target(goal: &Goal) -> String {
    match goal.target {
        Target::AtLeast(least) => format!("≥ {least}"),
        Target::AtMost(most) => format!("≤ {most}"),
        Target::OwnAtMost(most) => format!("≤ {}", figure(goal.measure, most)),
        Target::About(value) => format!("{} ± 10 %", digits(value)),
        Target::None => "–".to_owned(),
    }
}

pub(crate) fn verdict(comparison: &Comparison, goal: &Goal) -> String {
    let mut verdict = match comparison.verdict(goal) {
        Verdict::Informative => "–".to_owned(),
        Verdict::Met => "met".to_owned(),
        Verdict::MetWithinSpread => "met within spread".to_owned(),
        Verdict::Missed => "**missed**".to_owned(),
        Verdict::Undecided => "**undecided**: too few steady visits".to_owned(),
        Verdict::Failed(visits) => format!("**failed**: {visits} visits went wrong"),
    };
    let (candidates, references) = comparison.generator_limited();
    if candidates + references > 0 && goal.measure != Measure::Memory {
        verdict.push_str(&format!("; generator limited in {candidates} + {references}"));
    }
    verdict
}

/// The median of the visits that went well, in its unit.
pub(crate) fn typical(measure: Measure, visits: &[Visit]) -> String {
    let good = visits.iter().filter(|visit| visit.failure.is_none());
    let found = Summary::of(good.map(|visit| measure.of(visit)));
    found.map_or("–".to_owned(), |found| figure(measure, found.median))
}

pub(crate) fn figure(measure: Measure, value: f64) -> String {
    match measure {
        Measure::Rate => format!("{}/s", thousands(value)),
        Measure::Cpu => format!("{:.2} µs", value * 1e6),
        Measure::P50 | Measure::P99 | Measure::P999 if value >= 0.01 => format!("{:.1} ms", value * 1e3),
        Measure::P50 | Measure::P99 | Measure::P999 => format!("{:.1} µs", value * 1e6),
        Measure::Memory => bytes(value),
    }
}

/// In KiB from 1024 on.
fn bytes(number: f64) -> String {
    if number < 1024.0 {
        return format!("{number:.0} B");
    }
    let kibibytes = format!("{:.2}", number / 1024.0);
    format!("{} KiB", kibibytes.trim_end_matches('0').trim_end_matches('.'))
}

fn latency(visits: &[Visit], which: impl Fn(&Visit) -> Duration) -> String {
    let good = visits.iter().filter(|visit| visit.failure.is_none());
    match Summary::of(good.map(|visit| which(visit).as_secs_f64())) {
        Some(found) => format!("{:.0} µs", found.median * 1e6),
        None => "–".to_owned(),
    }
}

/// Three significant digits or so.
pub(crate) fn digits(ratio: f64) -> String {
    let places = match ratio.abs() {
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{ratio:.places$}")
}

pub(crate) fn thousands(number: f64) -> String {
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
        assert_eq!(bytes(64.0), "64 B");
        assert_eq!(bytes(1280.0), "1.25 KiB");
        assert_eq!(bytes(65536.0), "64 KiB");
        assert_eq!(bytes(102_400.0), "100 KiB");
        assert_eq!(digits(0.0571), "0.057");
        assert_eq!(digits(1.004), "1.00");
        assert_eq!(digits(12.34), "12.3");
    }
}
