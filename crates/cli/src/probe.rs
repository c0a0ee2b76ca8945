use crate::args;
use crate::complain;
use crate::values::Bytes;
use serde_json::json;
use socketserver::Endpoint;
use socketserver::probe::{Probe, State, Targets, Verdict};
use std::io::{self, Write};
use std::process::ExitCode;

pub(crate) fn run(args: args::Probe) -> ExitCode {
    let payload = args.send.map(String::into_bytes).or(args.send_hex.map(|Bytes(bytes)| bytes));
    let probe = Probe::new().payload(payload.unwrap_or_default()).until_open(args.wait);
    let mut worst = Worst::default();
    let asked = probe.all(args.targets.iter().flat_map(Targets::iter), |target, verdict| match verdict {
        Ok(verdict) => {
            worst.count(verdict.state);
            let line = if args.json { as_json(target, &verdict) } else { format!("{target} {verdict}") };
            if let Err(error) = print(&line) {
                // Nobody learns of what is still to come.
                if error.kind() != io::ErrorKind::BrokenPipe {
                    complain(format_args!("standard output: {error}"));
                }
                std::process::exit(2);
            }
        }
        Err(error) => {
            complain(error);
            worst.failed = true;
        }
    });
    if let Err(error) = asked {
        complain(error);
        worst.failed = true;
    }
    ExitCode::from(worst.status())
}

fn print(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush())
}

fn as_json(target: &Endpoint, verdict: &Verdict) -> String {
    json!({
        "target": target.to_string(),
        "proto": target.scheme(),
        "state": verdict.state.as_str(),
        "evidence": verdict.evidence.to_string(),
        "rtt_ms": verdict.rtt.map(|rtt| (rtt.as_secs_f64() * 1e6).round() / 1e3),
        "tries": verdict.tries,
    })
    .to_string()
}

/// What the exit status says.
#[derive(Debug, Default)]
struct Worst {
    failed: bool,
    undetermined: bool,
    not_open: bool,
}

impl Worst {
    fn count(&mut self, state: State) {
        match state {
            State::Open => {}
            State::Closed | State::Filtered => self.not_open = true,
            // And whatever there may be one day.
            _ => self.undetermined = true,
        }
    }

    fn status(&self) -> u8 {
        match self {
            Self { failed: true, .. } => 2,
            Self { undetermined: true, .. } => 3,
            Self { not_open: true, .. } => 1,
            _ => 0,
        }
    }
}
