//! What was found under a fault, in Markdown.

use std::fmt::Write as _;

use super::{Found, Under, Unit, drain};
use crate::goal::Measure;
use crate::peer::Peer;
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

/// Where ours keeps less than somebody else, takes more for it, or loses what nobody should.
pub(crate) fn losses(found: &Found) -> String {
    let mut text = String::new();
    for (peer, visits) in found.servers.iter().filter(|(peer, _)| peer.is_ours()) {
        text.push_str(&kept_less(found, *peer, visits));
        text.push_str(&takes_more(found, *peer, visits));
        text.push_str(&requests_lost(found, *peer, visits));
    }
    text
}

/// The others, each with what `of` finds of its visits.
fn others(found: &Found, of: impl Fn(&[Under]) -> Option<Summary>) -> Vec<(Peer, Summary)> {
    let others = found.servers.iter().filter(|(peer, _)| !peer.is_ours());
    others.filter_map(|(peer, visits)| Some((*peer, of(visits)?))).collect()
}

fn names(peers: &[(Peer, Summary)], are: impl Fn(&Summary) -> bool) -> Option<String> {
    let names: Vec<String> =
        peers.iter().filter(|(_, found)| are(found)).map(|(peer, _)| format!("`{peer}`")).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Of several, for what one visit finds says nothing about who is better.
fn summary(values: Vec<f64>) -> Option<Summary> {
    if values.len() > 1 { Summary::of(values) } else { None }
}

fn kept_less(found: &Found, peer: Peer, visits: &[Under]) -> String {
    let kept = |visits: &[Under]| summary(visits.iter().filter_map(Under::kept).collect());
    let Some(own) = kept(visits) else { return String::new() };
    let [median, q1, q3] = [own.median, own.q1, own.q3].map(digits);
    names(&others(found, kept), |theirs| theirs.q1 > own.q3).map_or(String::new(), |more| {
        let title = found.fault.title;
        format!(
            "- {title}: honest clients of `{peer}` keep {median} [{q1}–{q3}] of their rate, those of {more} more.\n"
        )
    })
}

fn takes_more(found: &Found, peer: Peer, visits: &[Under]) -> String {
    let (mut text, title) = (String::new(), found.fault.title);
    for (place, fact) in visits.first().iter().flat_map(|under| under.facts.iter().enumerate()) {
        // Of what is counted more may be as good.
        if matches!(fact.unit, Unit::Count) {
            continue;
        }
        let values = |visits: &[Under]| -> Vec<f64> {
            visits.iter().filter_map(|under| under.facts.get(place)?.value).collect()
        };
        let others = others(found, |visits| summary(values(visits)));
        let own = values(visits);
        let (what, never) = (fact.what, visits.len() - own.len());
        if never > 0 && !others.is_empty() {
            let _ = writeln!(text, "- {title}: {what}: none in {never} of {} visits to `{peer}`.", visits.len());
        }
        let Some(own) = summary(own) else { continue };
        let median = fact.unit.write(own.median);
        // What looks alike is alike.
        let is_less = |theirs: &Summary| theirs.q3 < own.q1 && fact.unit.write(theirs.median) != median;
        if let Some(less) = names(&others, is_less) {
            let _ = writeln!(text, "- {title}: {what} is {median} for `{peer}`, and less for {less}.");
        }
    }
    text
}

fn requests_lost(found: &Found, peer: Peer, visits: &[Under]) -> String {
    let facts = visits.iter().flat_map(|under| &under.facts);
    let lost: f64 = facts.filter(|fact| fact.what == drain::LOST).filter_map(|fact| fact.value).sum();
    if lost == 0.0 {
        return String::new();
    }
    format!("- {}: `{peer}` lost {lost} requests in {} visits.\n", found.fault.title, visits.len())
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
