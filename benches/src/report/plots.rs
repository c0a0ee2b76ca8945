//! Which pictures the report has.

use super::Measured;
use super::sections::{Group, SECTIONS, groups};
use super::svg::{self, Bar};
use crate::fault;
use crate::goal::Measure;
use crate::peer::Peer;
use crate::row::Row;
use crate::stats::Summary;
use crate::table::{figure, thousands};
use crate::visit::Visit;
use crate::work::{Form, Work};

/// From this many servers on a table has a picture.
const WORTH_IT: usize = 3;

/// A picture.
#[derive(Debug)]
pub(crate) struct Plot {
    /// What it belongs to: a section, or a group by its [path](Group::path).
    pub(crate) about: String,
    pub(crate) file: String,
    pub(crate) title: String,
    pub(crate) svg: String,
}

impl Plot {
    fn new(about: &str, title: String, svg: String) -> Self {
        let plain = title.to_lowercase().replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        let words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
        Self { about: about.to_owned(), file: format!("{}.svg", words.join("-")), title, svg }
    }

    /// As the report shows it.
    pub(crate) fn link(&self) -> String {
        format!("![{}](report/{})", self.title, self.file)
    }
}

/// All of them.
pub(crate) fn draw(measured: &Measured) -> Vec<Plot> {
    let mut plots = Vec::new();
    for section in SECTIONS {
        let groups = groups(section, &measured.comparisons);
        for group in groups.iter().filter(|group| group.servers().len() >= WORTH_IT) {
            match group.row.work {
                Work::Idle { .. } | Work::Sessions { .. } => plots.push(bars(group, "memory", Measure::Memory)),
                work => {
                    plots.push(bars(group, "rate", Measure::Rate));
                    if matches!(work, Work::Echo { connections: 1_000.., .. }) {
                        plots.push(latency(group));
                    }
                }
            }
        }
        plots.extend(by_connections(section.title, &groups));
    }
    plots.extend(measured.faults.iter().filter_map(kept));
    plots
}

fn bars(group: &Group<'_>, what: &str, measure: Measure) -> Plot {
    let title = format!("{}: {what}", group.path());
    let bar = |(peer, visits): (Peer, Vec<&Visit>)| {
        let value = Summary::of(visits.into_iter().map(|visit| measure.of(visit)))?;
        Some(Bar { label: peer.to_string(), value, ours: peer.is_ours() })
    };
    let bars: Vec<Bar> = group.servers().into_iter().filter_map(bar).collect();
    let svg = svg::bars(&title, &bars, |value| figure(measure, value));
    Plot::new(&group.path(), title, svg)
}

fn latency(group: &Group<'_>) -> Plot {
    let title = format!("{}: latency", group.path());
    let measures = [Measure::P50, Measure::P99, Measure::P999];
    let lines: Vec<_> = group
        .servers()
        .into_iter()
        .map(|(peer, visits)| (peer.to_string(), measures.iter().map(|measure| median(*measure, &visits)).collect()))
        .collect();
    let svg = svg::marks(&title, &["p50", "p99", "p99.9"], &lines, milliseconds);
    Plot::new(&group.path(), title, svg)
}

/// The rate of each server by the number of connections, where a section has several numbers.
fn by_connections(about: &str, groups: &[Group<'_>]) -> Option<Plot> {
    let alike: Vec<(usize, &Group<'_>)> =
        groups.iter().filter_map(|group| Some((capacity(group.row)?, group))).collect();
    let mut counts: Vec<usize> = alike.iter().map(|(count, _)| *count).collect();
    counts.dedup();
    if counts.len() < WORTH_IT {
        return None;
    }
    let mut lines: Vec<(Peer, Vec<Option<f64>>)> = Vec::new();
    for (place, (_, group)) in alike.iter().enumerate() {
        for (peer, visits) in group.servers() {
            let at = lines.iter().position(|(known, _)| *known == peer).unwrap_or_else(|| {
                lines.push((peer, vec![None; counts.len()]));
                lines.len() - 1
            });
            lines[at].1[place] = median(Measure::Rate, &visits);
        }
    }
    lines.retain(|(_, rates)| rates.iter().flatten().count() >= 2);
    lines.sort_by_key(|(peer, _)| !peer.is_ours());
    let lines: Vec<_> = lines.into_iter().map(|(peer, rates)| (peer.to_string(), rates)).collect();
    let title = format!("{about}: rate by the number of connections");
    let names: Vec<String> = counts.iter().map(|count| thousands(*count as f64)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let svg = svg::marks(&title, &names, &lines, |rate| figure(Measure::Rate, rate));
    Some(Plot::new(about, title, svg))
}

/// How much of their rate honest clients keep under a fault.
fn kept(found: &fault::Found) -> Option<Plot> {
    let bars: Vec<Bar> = found
        .servers
        .iter()
        .filter_map(|(peer, visits)| {
            let value = Summary::of(visits.iter().filter_map(fault::Under::kept))?;
            Some(Bar { label: peer.to_string(), value, ours: peer.is_ours() })
        })
        .collect();
    let title = format!("{}: rate kept", found.fault.title);
    let svg = svg::bars(&title, &bars, |share| format!("{:.0} %", share * 100.0));
    (!bars.is_empty()).then(|| Plot::new(found.fault.title, title, svg))
}

/// How many connections a row has, if it is an echo that can be compared with those of other numbers.
fn capacity(row: &Row) -> Option<usize> {
    match row.work {
        Work::Echo { connections, depth: 1, size: 64, form: Form::Bytes } if !row.tls && row.server_cores == 1 => {
            Some(connections)
        }
        _ => None,
    }
}

fn median(measure: Measure, visits: &[&Visit]) -> Option<f64> {
    Summary::of(visits.iter().map(|visit| measure.of(visit))).map(|found| found.median)
}

fn milliseconds(seconds: f64) -> String {
    match seconds * 1e3 {
        millis @ 1.0.. => format!("{millis:.0} ms"),
        millis => format!("{:.0} µs", millis * 1e3),
    }
}
