//! The report: every comparison and every fault in one run, as Markdown with pictures and raw JSON.

mod document;
mod losses;
mod plots;
mod profile;
mod raw;
mod sections;
mod svg;

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use crate::args::Options;
use crate::comparison::{self, Comparison, Verdict};
use crate::cores::Cores;
use crate::fault::{FAULTS, Fault, Found};
use crate::goal::Target;
use crate::peer::Peer;
use crate::row::{Plan, Row};
use crate::work::Work;
use crate::{Finding, launch, machine};

/// For profiles, and for faults that take longer than thought, so much is kept as a share of what the faults take.
const RESERVE: f64 = 0.2;

/// A comparison with a target may take so many times as long as one without.
const AIMED: u32 = 3;

/// So many connections take a while to open, and so many times as long as others may a comparison take that has them.
const MANY: usize = 9_000;
const CROWDED: u32 = 4;

/// Everything that was found.
#[derive(Debug, Default)]
struct Measured {
    /// How many visits of each comparison are to count.
    visits: usize,
    /// On what it was measured, and with what command.
    head: String,
    comparisons: Vec<Comparison>,
    faults: Vec<Found>,
    /// What could not be measured: where, who, why.
    skipped: Vec<(String, String, String)>,
    /// Of targets that were missed: what was profiled, and what was found.
    profiles: Vec<(String, String)>,
}

/// Measures all there is, or the rows and faults chosen, and writes the report.
///
/// # Errors
///
/// When the report cannot be written. What cannot be measured is told in it.
pub(crate) fn run(options: &Options, given: &[String]) -> io::Result<Finding> {
    let started = Instant::now();
    let cores = Cores::choose(options.cores)?;
    let plans: Vec<(&'static Row, &'static Plan)> =
        options.report_rows().flat_map(|row| row.comparisons.iter().map(move |plan| (row, plan))).collect();
    let faults: Vec<&'static Fault> = FAULTS.iter().filter(|fault| options.chosen(fault.name)).collect();
    // A visit under a fault is two: in peace, and then.
    let rounds = (options.visits / 2).max(1);
    let exposed = exposure(&faults, rounds, options);
    let comparisons = options.limit.saturating_sub(exposed.mul_f64(1.0 + RESERVE));
    let usual = estimate(&plans, options).min(comparisons) + exposed;
    eprintln!(
        "{} comparisons and {} faults: about {} minutes, {} at most",
        plans.len(),
        faults.len(),
        usual.as_secs().div_ceil(60),
        options.limit.as_secs() / 60
    );
    let mut measured = Measured { visits: options.visits, ..Measured::default() };
    measured.compare(&plans, options, &cores, started + comparisons);
    for fault in faults {
        measured.expose(fault, rounds, options, &cores, started + options.limit);
    }
    measured.profile(&cores, started + options.limit);
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    measured.head = format!("{}\nIt took {minutes:.0} minutes.\n", machine::describe_all(&cores, given));
    measured.save(options)?;
    Ok(measured.finding())
}

impl Measured {
    fn compare(&mut self, plans: &[(&'static Row, &'static Plan)], options: &Options, cores: &Cores, end: Instant) {
        let mut left: u32 = plans.iter().map(|(row, plan)| weight(row, plan)).sum();
        for (row, plan) in plans {
            let share = end.saturating_duration_since(Instant::now()) / left.max(1) * weight(row, plan);
            left -= weight(row, plan);
            let absent: Vec<String> =
                [plan.candidate, plan.reference].into_iter().filter_map(launch::missing).collect();
            let found = match absent.first() {
                Some(why) => Err(io::Error::other(why.clone())),
                None => comparison::run(row, plan, options, cores, Some(Instant::now() + share)),
            };
            let who = format!("`{}` against `{}`", plan.candidate, plan.reference);
            match found {
                Ok(comparison) => {
                    if let Some(why) = comparison.reference_failed() {
                        self.skip(row.name, &who, &io::Error::other(why));
                    }
                    self.comparisons.push(comparison);
                }
                Err(why) => self.skip(row.name, &who, &why),
            }
        }
    }

    fn expose(&mut self, fault: &'static Fault, rounds: usize, options: &Options, cores: &Cores, until: Instant) {
        let mut servers: Vec<(Peer, Vec<_>)> = Vec::new();
        for peer in fault.peers() {
            match launch::missing(*peer) {
                Some(why) => self.skip(fault.name, &format!("`{peer}`"), &io::Error::other(why)),
                None => servers.push((*peer, Vec::new())),
            }
        }
        // In turns, so that a slow minute of the machine is everybody's.
        for round in 0..rounds {
            if round > 0 && Instant::now() >= until {
                break;
            }
            for (peer, visits) in &mut servers {
                eprintln!("{}: {peer}: visit {} of {rounds}", fault.name, round + 1);
                match fault.visit(*peer, options.duration, cores) {
                    Ok(under) => visits.push(under),
                    Err(why) => self.skip(fault.name, &format!("`{peer}`, a visit"), &why),
                }
            }
        }
        self.faults.push(Found { fault, servers });
    }

    /// Profiles both servers of each target that was missed, once, while there is time.
    fn profile(&mut self, cores: &Cores, until: Instant) {
        let missed: Vec<(&'static Row, &'static Plan)> = self
            .comparisons
            .iter()
            .filter(|comparison| comparison.plan.goals.iter().any(|goal| comparison.verdict(goal) == Verdict::Missed))
            .map(|comparison| (comparison.row, comparison.plan))
            .collect();
        for (row, plan) in missed {
            for peer in [plan.candidate, plan.reference] {
                let title = format!("{}, `{peer}`", row.name);
                if Instant::now() >= until || self.profiles.iter().any(|(known, _)| *known == title) {
                    continue;
                }
                let profile = profile::take(peer, row, cores).unwrap_or_else(|why| why.to_string());
                self.profiles.push((title, profile));
            }
        }
    }

    fn skip(&mut self, row: &str, who: &str, why: &io::Error) {
        eprintln!("{row}: {who}: skipped: {why}");
        // It is a line of a list there.
        let why = why.to_string().lines().collect::<Vec<_>>().join("; ");
        self.skipped.push((row.to_owned(), who.to_owned(), why));
    }

    /// Whether that server was measured.
    fn has(&self, peer: Peer) -> bool {
        let compared = |comparison: &Comparison| [comparison.plan.candidate, comparison.plan.reference].contains(&peer);
        self.comparisons.iter().any(compared)
            || self.faults.iter().any(|found| found.servers.iter().any(|(server, _)| *server == peer))
    }

    fn save(&self, options: &Options) -> io::Result<()> {
        let pictures = options.out.join("report");
        fs::create_dir_all(&pictures)?;
        // Those of an earlier report may have other names.
        for entry in fs::read_dir(&pictures)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "svg") {
                fs::remove_file(path)?;
            }
        }
        let plots = plots::draw(self);
        for plot in &plots {
            fs::write(pictures.join(&plot.file), &plot.svg)?;
        }
        fs::write(pictures.join("raw.json"), format!("{:#}\n", raw::json(self)))?;
        let report = options.out.join("REPORT.md");
        fs::write(&report, document::write(self, &plots))?;
        println!("{}", report.display());
        Ok(())
    }

    fn finding(&self) -> Finding {
        if !self.skipped.is_empty() {
            Finding::Incomplete
        } else if self.comparisons.iter().all(Comparison::met) {
            Finding::Met
        } else {
            Finding::Missed
        }
    }
}

/// In what proportion the time is shared out.
fn weight(row: &Row, plan: &Plan) -> u32 {
    let aims = plan.goals.iter().any(|goal| goal.target != Target::None);
    (if aims { AIMED } else { 1 }) * (if is_crowded(row) { CROWDED } else { 1 })
}

fn is_crowded(row: &Row) -> bool {
    row.work.connections().max(row.work.clients()) >= MANY
}

/// How long the comparisons take when a third of the visits do not count.
fn estimate(plans: &[(&Row, &Plan)], options: &Options) -> Duration {
    let visit = |row: &Row| {
        let seconds = options.duration.as_secs_f64() + if is_crowded(row) { 2.6 } else { 0.45 };
        seconds + if matches!(row.work, Work::Idle { .. }) { -0.3 } else { 0.0 }
    };
    let visits = (options.visits as f64 * 1.5).ceil() * 2.0 + 1.0;
    Duration::from_secs_f64(plans.iter().map(|(row, _)| visit(row) * visits).sum())
}

/// How long the faults take.
fn exposure(faults: &[&Fault], rounds: usize, options: &Options) -> Duration {
    let visits = faults.iter().map(|fault| fault.peers().len() as f64).sum::<f64>() * rounds as f64;
    Duration::from_secs_f64(visits * (2.0 * options.duration.as_secs_f64() + 1.5))
}
