//! The report, in Markdown.

use std::fmt::Write as _;

use super::sections::{Group, SECTIONS, groups};
use super::{Measured, losses, plots};
use crate::comparison::Comparison;
use crate::fault;
use crate::goal::{Measure, Target};
use crate::peer::Peer;
use crate::stats::Summary;
use crate::table::{self, digits, figure};
use crate::visit::Visit;
use crate::work::Work;

/// The whole text. `plots` tells which pictures there are.
pub(crate) fn write(measured: &Measured, plots: &[plots::Plot]) -> String {
    let mut text = format!("# Report\n\n{}\n", measured.head);
    text.push_str(&how(measured.visits));
    targets(measured, &mut text);
    text.push_str("\n## Where we lose\n\n");
    text.push_str(&losses::tell(measured));
    for section in SECTIONS {
        let groups = groups(section, &measured.comparisons);
        if groups.is_empty() {
            continue;
        }
        let _ = write!(text, "\n## {}\n\n{}\n", section.title, section.text);
        for group in groups {
            let _ = write!(text, "\n### {}\n\n", capitalized(&group.title));
            for plot in plots.iter().filter(|plot| plot.about == group.path()) {
                let _ = write!(text, "{}\n\n", plot.link());
            }
            servers(&group, &mut text);
        }
        for plot in plots.iter().filter(|plot| plot.about == section.title) {
            let _ = write!(text, "\n{}\n", plot.link());
        }
    }
    faults(measured, plots, &mut text);
    skipped(measured, &mut text);
    who(measured, &mut text);
    text
}

fn how(visits: usize) -> String {
    format!(
        "
## How it was measured

One run. Each comparison visits the reference, then the candidate, then the reference again, and so on; each visit starts its server afresh,
pinned to a core of its own, and puts a closed loop on it from another core (one epoll thread that verifies every byte). A ratio is the
candidate's figure to the mean of its two neighbours'; a visit whose two neighbours differ by more than 8 % does not count. Figures are medians
[first quartile–third quartile]. A target is met when the median meets it, and met within spread when the median misses it by less than the
interquartile spread. CPU is the server's own, from its process clock. Where the generator used 0.97 of its core or more, the rate is the
generator's limit and not the server's, and CPU is the figure to look at: such visits are counted. A comparison ends when {visits} visits count, or when its share of the
time is used up: those with fewer are marked with *few*.

`raw.json` beside the pictures has every visit.
"
    )
}

fn targets(measured: &Measured, text: &mut String) {
    let _ = write!(text, "\n## Targets\n\n{}\n", table::head());
    for comparison in &measured.comparisons {
        for goal in comparison.plan.goals.iter().filter(|goal| goal.target != Target::None) {
            let _ = writeln!(text, "{}", table::line(comparison, goal.measure, Some(goal)));
        }
    }
    let _ = write!(text, "\n{}\n", table::LEGEND);
    if !measured.profiles.is_empty() {
        text.push_str("\n### Where the time goes in what was missed\n\nThe functions with the most samples of `perf`, in per cent, while the load runs.\n");
        for (title, profile) in &measured.profiles {
            let _ = write!(text, "\n{title}:\n\n```text\n{profile}\n```\n");
        }
    }
}

/// A table of all servers at one kind of work.
fn servers(group: &Group<'_>, text: &mut String) {
    let work = group.row.work;
    let memory = matches!(work, Work::Echo { .. } | Work::Idle { .. } | Work::Sessions { .. });
    let rates = !matches!(work, Work::Idle { .. } | Work::Sessions { .. });
    let mut columns = vec!["server".to_owned()];
    if rates {
        columns.extend(["rate", "rate: ours to it"].map(str::to_owned));
        columns.push(table::name(Measure::Cpu, work).to_owned());
        columns.extend(["CPU: ours to it", "p50", "p99", "p99.9"].map(str::to_owned));
    }
    if memory {
        columns.push(table::name(Measure::Memory, work).to_owned());
    }
    if !rates {
        columns.push("ours to it".to_owned());
        columns.push(table::name(Measure::Cpu, work).to_owned());
    }
    columns.push("visits".to_owned());
    let _ = write!(text, "| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    for candidate in group.candidates() {
        let own: Vec<&Visit> = group.of(candidate).flat_map(|comparison| &comparison.candidates).collect();
        line(text, candidate, &own, None, work, rates, memory);
        for comparison in group.of(candidate).filter(|comparison| comparison.plan.reference != candidate) {
            let visits: Vec<&Visit> = comparison.references.iter().collect();
            line(text, comparison.plan.reference, &visits, Some(comparison), work, rates, memory);
        }
    }
}

fn line(
    text: &mut String,
    peer: Peer,
    visits: &[&Visit],
    against: Option<&Comparison>,
    work: Work,
    rates: bool,
    memory: bool,
) {
    let mut cells = vec![if against.is_none() { format!("**{peer}**") } else { peer.to_string() }];
    let to_it = |measure| against.map_or("1".to_owned(), |comparison| ratio(comparison, measure));
    if rates {
        cells.push(spread(Measure::Rate, visits));
        cells.push(to_it(Measure::Rate));
        cells.push(median(Measure::Cpu, visits));
        cells.push(to_it(Measure::Cpu));
        cells.extend([Measure::P50, Measure::P99, Measure::P999].map(|measure| median(measure, visits)));
    }
    if memory {
        cells.push(median(Measure::Memory, visits));
    }
    if !rates {
        cells.push(to_it(Measure::Memory));
        cells.push(median(Measure::Cpu, visits));
    }
    let failed = visits.iter().filter(|visit| visit.failure.is_some()).count();
    let limited = visits.iter().filter(|visit| visit.generator_limited).count();
    let mut told = visits.len().to_string();
    if failed > 0 {
        let _ = write!(told, ", {failed} failed");
    }
    if limited > 0 && !matches!(work, Work::Idle { .. } | Work::Sessions { .. }) {
        let _ = write!(told, ", generator limited in {limited}");
    }
    cells.push(told);
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// With quartiles; marked when few visits count.
pub(crate) fn ratio(comparison: &Comparison, measure: Measure) -> String {
    let ratios = comparison.ratios(measure);
    let few = if ratios.len() < comparison.wanted { " *few*" } else { "" };
    Summary::of(ratios).map_or("–".to_owned(), |found| {
        format!("{} [{}–{}]{few}", digits(found.median), digits(found.q1), digits(found.q3))
    })
}

fn summary(measure: Measure, visits: &[&Visit]) -> Option<Summary> {
    Summary::of(visits.iter().filter(|visit| visit.failure.is_none()).map(|visit| measure.of(visit)))
}

fn spread(measure: Measure, visits: &[&Visit]) -> String {
    summary(measure, visits).map_or("–".to_owned(), |found| {
        let [q1, median, q3] = [found.q1, found.median, found.q3].map(|value| figure(measure, value));
        format!("{median} [{}–{}]", q1.trim_end_matches("/s"), q3.trim_end_matches("/s"))
    })
}

fn median(measure: Measure, visits: &[&Visit]) -> String {
    summary(measure, visits).map_or("–".to_owned(), |found| figure(measure, found.median))
}

fn faults(measured: &Measured, plots: &[plots::Plot], text: &mut String) {
    if measured.faults.is_empty() {
        return;
    }
    text.push_str("\n## Under faults\n\n");
    text.push_str(
        "Each visit starts a server, measures honest clients in peace, then again while the fault lasts. \"kept\" is the second rate to the \
         first, of the same process.\n",
    );
    for found in &measured.faults {
        let _ = write!(text, "\n### {}\n\n{}\n\n", found.fault.title, found.fault.text);
        for plot in plots.iter().filter(|plot| plot.about == found.fault.title) {
            let _ = write!(text, "{}\n\n", plot.link());
        }
        text.push_str(&fault::table(found));
    }
}

fn skipped(measured: &Measured, text: &mut String) {
    text.push_str("\n## Skipped\n\n");
    if measured.skipped.is_empty() {
        text.push_str("Nothing: every server was there.\n");
    }
    for (row, peers, why) in &measured.skipped {
        let _ = writeln!(text, "- {row}, {peers}: {why}");
    }
}

/// What each server is.
fn who(measured: &Measured, text: &mut String) {
    text.push_str("\n## Who is who\n\n| server | what it is |\n|---|---|\n");
    for peer in Peer::ALL.iter().filter(|peer| measured.has(**peer)) {
        let _ = writeln!(text, "| {peer} | {} |", peer.about());
    }
}

fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
