//! What was found, for programs: an object a line.

use super::figures::{PERCENTILES, percentile};
use super::found::{Found, Server, told};
use serde_json::{Map, Value, json};
use socketserver_load::Latency;
use std::time::Duration;

pub(super) fn lines(found: &Found) -> String {
    let mut objects: Vec<Value> = found.servers.iter().map(|server| object(found, server)).collect();
    if let (Some(compared), Some(comparison)) = (found.compared(), &found.comparison) {
        let ratios = compared.map(|(name, ratio)| {
            let ratio = ratio.map(|ratio| json!({"median": ratio.median, "least": ratio.least, "most": ratio.most}));
            (name.to_owned(), ratio.unwrap_or(Value::Null))
        });
        objects.push(json!({"rounds": comparison.rounds.len(), "ratios": Map::from_iter(ratios)}));
    }
    objects.iter().map(|object| format!("{object}\n")).collect()
}

fn object(found: &Found, server: &Server) -> Value {
    let outcome = &server.outcome;
    let open_loop = outcome.open_loop.as_ref().map(
        |open| json!({"rate": open.rate.to_string(), "held": open.held, "late": open.late, "unsent": open.unsent}),
    );
    let errors = &outcome.errors;
    json!({
        "target": server.name,
        "model": if open_loop.is_some() { "open" } else { "closed" },
        "messages": outcome.messages,
        "bytes": outcome.bytes,
        "elapsed_s": outcome.elapsed.as_secs_f64(),
        "rate": outcome.rate(),
        "latency_ms": latencies(&outcome.latency),
        "opened": outcome.opened,
        "connect_ms": latencies(&outcome.connect),
        "errors": {
            "total": errors.total(),
            "refused": errors.refused,
            "reset": errors.reset,
            "timeout": errors.timeout,
            "mismatch": errors.mismatch,
            "early_close": errors.early_close,
            "tls": errors.tls,
            "websocket": errors.websocket,
            "other": errors.other,
        },
        "lost": outcome.lost,
        "in_flight": outcome.in_flight,
        "open_loop": open_loop,
        "generator": {"cpu_s": outcome.cpu.as_secs_f64(), "limited": outcome.generator_limited()},
        "ended_early": found.was_ended,
        "missed": server.missed.iter().map(|(threshold, _)| threshold.as_str()).collect::<Vec<_>>(),
    })
}

/// In milliseconds; `null` where there are none.
fn latencies(latency: &Latency) -> Value {
    let Some(latency) = told(latency) else { return Value::Null };
    let percentiles = PERCENTILES.map(|percent| (percentile(percent), latency.percentile(percent)));
    let all = [("min".to_owned(), latency.min()), ("mean".to_owned(), latency.mean())].into_iter().chain(percentiles);
    Value::Object(all.map(|(name, time)| (name, millis(time))).collect())
}

fn millis(time: Duration) -> Value {
    (time.as_nanos() as f64 / 1e6).into()
}
