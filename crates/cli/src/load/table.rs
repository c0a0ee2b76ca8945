//! What was found, for people.

use super::figures::{PERCENTILES, grouped, percentile, scaled, time};
use super::found::{Found, Server, told};
use socketserver_load::Latency;
use std::fmt::Write;

/// Columns of the names, and of each latency.
const NAME: usize = 11;
const COLUMN: usize = 10;

pub(super) fn table(found: &Found) -> String {
    let mut text = String::new();
    row(&mut text, "model", &found.model);
    row(&mut text, "message", &found.message);
    for server in &found.servers {
        text.push('\n');
        one(&mut text, server);
    }
    if let (Some(compared), Some(comparison)) = (found.compared(), &found.comparison) {
        let rounds = comparison.rounds.len();
        let _ = writeln!(text, "\nthe first as a multiple of the second: median, and the ends, of {rounds} rounds");
        for (name, ratio) in compared {
            let ratio = ratio.map_or_else(
                || "cannot be told".into(),
                |ratio| format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.least, ratio.most),
            );
            row(&mut text, name, &ratio);
        }
    }
    if let Some(ending) = found.ending() {
        let _ = writeln!(text, "\n{ending}");
    }
    text
}

fn one(text: &mut String, server: &Server) {
    let outcome = &server.outcome;
    row(text, "server", &server.name);
    row(text, "messages", &format!("{} in {}", grouped(outcome.messages), time(outcome.elapsed)));
    let rate = grouped(outcome.rate().round() as u64);
    row(text, "rate", &format!("{rate}/s, {}B/s each way", scaled(outcome.throughput())));
    let names = ["min".into(), "mean".into()].into_iter().chain(PERCENTILES.map(percentile));
    row(text, "", &names.map(|name| format!("{name:>COLUMN$}")).collect::<String>());
    row(text, "latency", &latencies(&outcome.latency));
    if !outcome.connect.is_empty() {
        row(text, "connecting", &latencies(&outcome.connect));
    }
    row(text, "opened", &format!("{} connections", grouped(outcome.opened)));
    row(text, "errors", &outcome.errors.to_string());
    row(text, "lost", &format!("{} messages", grouped(outcome.lost)));
    row(text, "in flight", &format!("{} at the end", grouped(outcome.in_flight)));
    if let Some(open) = &outcome.open_loop {
        let (held, late, unsent) = (grouped(open.held), grouped(open.late), grouped(open.unsent));
        row(
            text,
            "schedule",
            &format!("{held} held for want of room, {unsent} never sent, {late} late by our own fault"),
        );
    }
    row(text, "generator", &format!("{:.0}% of a core", outcome.utilization() * 100.0));
    for remark in server.remarks() {
        row(text, "note", &remark);
    }
    for (threshold, found) in &server.missed {
        row(text, "missed", &format!("{threshold}: it was {found}"));
    }
}

fn row(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name:<NAME$}{value}");
}

fn latencies(latency: &Latency) -> String {
    let Some(latency) = told(latency) else { return "nothing came back".into() };
    let percentiles = PERCENTILES.map(|percent| latency.percentile(percent));
    let all = [latency.min(), latency.mean()].into_iter().chain(percentiles);
    all.map(|one| format!("{:>COLUMN$}", time(one))).collect()
}
