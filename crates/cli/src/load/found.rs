//! What was found.

use super::figures::grouped;
use super::series::Point;
use socketserver_load::{Comparison, Latency, Outcome, Ratio};

/// All that a load has found.
pub(super) struct Found {
    /// Of each server.
    pub(super) servers: Vec<Server>,
    pub(super) comparison: Option<Comparison>,
    /// What each message was, and by which model they were sent.
    pub(super) message: String,
    pub(super) model: String,
    /// Somebody has ended it early.
    pub(super) was_ended: bool,
}

/// What was found of one server.
pub(super) struct Server {
    pub(super) name: String,
    pub(super) outcome: Outcome,
    pub(super) points: Vec<Point>,
    /// The thresholds that were missed, and by what.
    pub(super) missed: Vec<(String, String)>,
    /// No connection was left, in a round at least, and that was the end of it, whatever time there still was.
    pub(super) all_failed: bool,
}

/// A figure that is compared.
pub(super) type Compared = (&'static str, Option<Ratio>);

impl Found {
    /// What is to be known of a load that was ended early.
    pub(super) fn ending(&self) -> Option<&'static str> {
        let has_no_round = self.comparison.as_ref().is_some_and(|found| found.rounds.is_empty());
        self.was_ended.then_some(match has_no_round {
            true => "ended early, before both servers had a whole round: there are no figures",
            false => "ended early",
        })
    }

    /// Whether some server has echoed nothing.
    pub(super) fn is_nothing(&self) -> bool {
        self.servers.iter().any(|server| server.outcome.messages == 0)
    }

    /// Whether a threshold was missed, or no connection to some server lasted.
    pub(super) fn has_missed(&self) -> bool {
        self.servers.iter().any(|server| server.all_failed || !server.missed.is_empty())
    }

    /// How the first server's figures compare with the second one's.
    pub(super) fn compared(&self) -> Option<[Compared; 4]> {
        let found = self.comparison.as_ref()?;
        // Of nothing there is no percentile: zero would make a dead server the fastest one.
        let at = |percent: f64| {
            found.ratio(|Outcome { latency, .. }| {
                told(latency).map_or(f64::NAN, |latency| latency.percentile(percent).as_secs_f64())
            })
        };
        Some([("rate", found.ratio(Outcome::rate)), ("p50", at(50.0)), ("p99", at(99.0)), ("p99.9", at(99.9))])
    }
}

impl Server {
    /// What is to be known beside the figures.
    pub(super) fn remarks(&self) -> Vec<String> {
        let Outcome { lost, in_flight, messages, open_loop, .. } = &self.outcome;
        let mut remarks = Vec::new();
        if self.all_failed && *messages > 0 {
            remarks.push(
                "all connections have failed, and with the last one the load, or its round, has ended: the figures are of \
                 until then"
                    .into(),
            );
        }
        if self.outcome.generator_limited() {
            let busy = self.outcome.utilization() * 100.0;
            let late = open_loop.as_ref().filter(|open| open.late > 0);
            let late = late.map_or_else(String::new, |open| {
                format!(", and {} messages left late though there was room for them", grouped(open.late))
            });
            remarks.push(format!(
                "the generator itself was the limit, and the server may do better: it used {busy:.0}% of a core{late}"
            ));
        }
        if let Some(open) = open_loop.as_ref().filter(|open| open.held + open.unsent > 0) {
            let never = if open.unsent > 0 {
                format!(", and {} of them never left", grouped(open.unsent))
            } else {
                String::new()
            };
            let waited = grouped(open.held + open.unsent);
            remarks.push(format!("{waited} messages had to wait because as many as may be were in flight{never}"));
        }
        if *lost > 0 {
            remarks.push(format!("{} messages were lost, and no latency is theirs", grouped(*lost)));
        }
        if *in_flight > 0 && *messages == 0 {
            remarks.push("nothing came back: does it send back what it is sent?".into());
        } else if *in_flight > *messages {
            remarks.push("more messages were in flight at the end than came back: let it go on for longer".into());
        }
        remarks
    }
}

/// The latencies of which figures are told, if there are any.
pub(super) fn told(latency: &Latency) -> Option<&Latency> {
    (!latency.is_empty()).then_some(latency)
}
