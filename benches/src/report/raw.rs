//! Every visit, as JSON.

use serde_json::{Value, json};

use super::Measured;
use crate::goal::{Measure, Target};
use crate::table;
use crate::visit::Visit;

/// Rates a second, times in seconds, memory in bytes.
pub(crate) fn json(measured: &Measured) -> Value {
    json!({
        "head": measured.head,
        "comparisons": measured.comparisons.iter().map(|comparison| json!({
            "row": comparison.row.name,
            "work": table::what(comparison.row, comparison.note.as_deref()),
            "candidate": comparison.plan.candidate.name(),
            "reference": comparison.plan.reference.name(),
            "goals": comparison.plan.goals.iter().filter(|goal| goal.target != Target::None).map(|goal| json!({
                "measure": table::name(goal.measure, comparison.row.work),
                "target": table::target(goal),
                "verdict": table::verdict(comparison, goal).replace("**", ""),
                "ratios": comparison.ratios(goal.measure),
            })).collect::<Vec<_>>(),
            "rate_ratios": comparison.ratios(Measure::Rate),
            "candidate_visits": comparison.candidates.iter().map(visit).collect::<Vec<_>>(),
            "reference_visits": comparison.references.iter().map(visit).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "faults": measured.faults.iter().map(|found| json!({
            "fault": found.fault.name,
            "servers": found.servers.iter().map(|(peer, visits)| json!({
                "server": peer.name(),
                "visits": visits.iter().map(|under| json!({
                    "calm": under.calm.as_ref().map(visit),
                    "fault": under.fault.as_ref().map(visit),
                    "facts": under.facts.iter().map(|fact| json!({ "what": fact.what, "value": fact.value })).collect::<Vec<_>>(),
                })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "skipped": measured.skipped.iter().map(|(row, peers, why)| json!({ "row": row, "servers": peers, "why": why })).collect::<Vec<_>>(),
    })
}

fn visit(visit: &Visit) -> Value {
    json!({
        "rate": visit.rate,
        "cpu_each": visit.cpu_each.as_secs_f64(),
        "p50": visit.p50.as_secs_f64(),
        "p99": visit.p99.as_secs_f64(),
        "p99.9": visit.p999.as_secs_f64(),
        "memory_each": visit.memory_each,
        "generator": visit.generator,
        "failure": visit.failure,
    })
}
