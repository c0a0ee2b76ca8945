//! What was found under a fault, in Markdown.

use std::fmt::Write as _;

use super::{Found, Under, Unit, drain};
use crate::goal::Measure;
use crate::stats::Summary;
use crate::table::{digits, figure, thousands};
use crate::visit::Visit;

/// The table of one fault.
pub(crate) fn table(found: &Found) -> String {
    let mut text = String::new();
    let any = found.servers.iter().flat_map(|(_, visits)| visits).next();
    let Some(any) = any else {
        return "Nothing was found.\n".to_owned();
    };
    let honest = any.calm.is_some();
    let mut columns = vec!["server"];
    if honest {
        columns.extend(["rate in peace", "rate under the fault", "kept", "p99 in peace", "p99 under the fault"]);
    }
    columns.extend(any.facts.iter().map(|fact| fact.what));
    columns.push("visits");
    let _ = write!(text, "| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    for (peer, visits) in &found.servers {
        let mut cells = vec![if peer.is_ours() { format!("**{peer}**") } else { peer.to_string() }];
        if honest {
            cells.push(median(Measure::Rate, visits, |under| under.calm.as_ref()));
            cells.push(median(Measure::Rate, visits, |under| under.fault.as_ref()));
            cells.push(Summary::of(visits.iter().filter_map(Under::kept)).map_or("–".to_owned(), |kept| {
                format!("{} [{}–{}]", digits(kept.median), digits(kept.q1), digits(kept.q3))
            }));
            cells.push(median(Measure::P99, visits, |under| under.calm.as_ref()));
            cells.push(median(Measure::P99, visits, |under| under.fault.as_ref()));
        }
        for (place, fact) in any.facts.iter().enumerate() {
            let values = visits.iter().filter_map(|under| under.facts.get(place)?.value);
            let unit = fact.unit;
            cells.push(Summary::of(values).map_or("–".to_owned(), |found| {
                let (q1, q3) = (unit.write(found.q1), unit.write(found.q3));
                let median = unit.write(found.median);
                if q1 == q3 { median } else { format!("{median} [{q1}–{q3}]") }
            }));
        }
        let failed = visits.iter().filter_map(|under| under.fault.as_ref()?.failure.as_deref()).next();
        cells.push(match failed {
            Some(why) => format!("{}; {why}", visits.len()),
            None => visits.len().to_string(),
        });
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// Where ours keeps less than somebody else, or loses what nobody should.
pub(crate) fn losses(found: &Found) -> String {
    let mut text = String::new();
    let kept = |visits: &[Under]| Summary::of(visits.iter().filter_map(Under::kept));
    for (peer, visits) in found.servers.iter().filter(|(peer, _)| peer.is_ours()) {
        let Some(own) = kept(visits) else { continue };
        for (other, others) in found.servers.iter().filter(|(other, _)| !other.is_ours()) {
            if kept(others).is_some_and(|theirs| theirs.q1 > own.q3) {
                let _ = writeln!(
                    text,
                    "- {}: honest clients of `{peer}` keep {} [{}–{}] of their rate, those of `{other}` more.",
                    found.fault.title,
                    digits(own.median),
                    digits(own.q1),
                    digits(own.q3),
                );
            }
        }
    }
    for (peer, visits) in found.servers.iter().filter(|(peer, _)| peer.is_ours()) {
        let lost: f64 = visits
            .iter()
            .flat_map(|under| &under.facts)
            .filter(|fact| fact.what == drain::LOST)
            .filter_map(|fact| fact.value)
            .sum();
        if lost > 0.0 {
            let _ = writeln!(text, "- {}: `{peer}` lost {lost} requests; visits: {}.", found.fault.title, visits.len());
        }
    }
    text
}

fn median<'a>(measure: Measure, visits: &'a [Under], which: impl Fn(&'a Under) -> Option<&'a Visit>) -> String {
    let found = Summary::of(visits.iter().filter_map(which).map(|visit| measure.of(visit)));
    found.map_or("–".to_owned(), |found| figure(measure, found.median))
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Self::Count => thousands(value),
            Self::Seconds if value < 1e-3 => format!("{:.1} µs", value * 1e6),
            Self::Seconds => format!("{:.1} ms", value * 1e3),
            Self::Cores => format!("{value:.2}"),
            Self::Bytes => figure(Measure::Memory, value),
        }
    }
}
