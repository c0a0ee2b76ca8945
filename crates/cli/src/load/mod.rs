//! Load on a server: the generator of `socketserver_load`, told what was typed, and what it has found.

mod args;
mod figures;
mod found;
mod html;
mod json;
mod live;
mod plot;
mod series;
mod table;
mod threshold;

pub(crate) use args::Args;

use crate::{complain, connect, printable};
use found::{Found, Server};
use live::{EVERY, Goal, Told, Watcher};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};
use socketserver::{Endpoint, Failure};
use socketserver_load::{Comparison, Load, Outcome};
use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// A threshold was missed, or all connections have failed.
const MISSED: u8 = 1;
/// Nothing was echoed, or it could not be tried.
const NOTHING: u8 = 2;
/// In how many rounds two servers are compared.
const ROUNDS: u32 = 5;

pub(crate) fn run(args: &Args) -> ExitCode {
    let status = load(args).unwrap_or_else(|error| {
        complain(error);
        NOTHING
    });
    ExitCode::from(status)
}

fn load(args: &Args) -> Result<u8, Failure> {
    // If there is no room for what is found, nobody wants to wait for it. An earlier page stays until there is another.
    let open = |path| File::options().write(true).create(true).truncate(false).open(path);
    let page = args.html.as_deref().map(|path| open(path).map_err(|error| unwritten(path, &error))).transpose()?;
    let found = find(args)?;
    // Where there is no room for the page the figures are told all the same.
    let written = match (page, &args.html) {
        (Some(page), Some(path)) => rewrite(page, &html::page(&found)).map_err(|error| unwritten(path, &error)),
        _ => Ok(()),
    };
    let text = if args.json { json::lines(&found) } else { table::table(&found) };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => {}
        // Whoever closed the pipe that we print to knows.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(NOTHING),
        Err(error) => return Err(format!("standard output: {error}").into()),
    }
    written?;
    explain(args, &found);
    Ok(match found.is_nothing() {
        true => NOTHING,
        false if found.has_missed() => MISSED,
        false => 0,
    })
}

/// Writes that into the file in place of all that is there.
fn rewrite(mut file: File, text: &str) -> io::Result<()> {
    // What is no file, as a pipe, has no length.
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    file.write_all(text.as_bytes())
}

fn unwritten(path: &Path, error: &io::Error) -> String {
    format!("cannot write `{}`: {error}", path.display())
}

/// What is open beside connections, at most.
const OTHERS: u64 = 32;

/// Sees to it that there may be so many connections: many systems let a process have 1024 descriptors unless it asks for more.
fn make_room(connections: usize) -> Result<(), Failure> {
    let wanted = connections as u64 + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let most = limit.maximum.unwrap_or(u64::MAX);
    if most < wanted {
        Err(format!(
            "`--connections {connections}` wants {wanted} descriptors, and this process may have {most} (`ulimit -Hn`)"
        ))?;
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum })?;
    Ok(())
}

/// Puts the load on each server, and tells what came of it.
fn find(args: &Args) -> Result<Found, Failure> {
    let is_datagram = args.addresses().any(Endpoint::is_datagram);
    args.fail_if.iter().try_for_each(|threshold| threshold.check(args.shape.rate.is_some(), is_datagram))?;
    make_room(args.shape.connections)?;
    let stop = stop_on_signals()?;
    let rounds = if args.compare.is_some() { ROUNDS } else { 1 };
    let loads = args.addresses().map(|address| args.load(address, rounds)).collect::<Result<Vec<Load>, _>>()?;
    let goal = match (args.shape.duration(), args.shape.count()) {
        (Some(duration), _) => Goal::Time(duration / rounds),
        (None, count) => Goal::Messages(count.unwrap_or(u64::MAX).div_ceil(rounds.into())),
    };
    let names: Vec<String> = args.addresses().map(|address| printable::text(&address.to_string())).collect();
    let (watcher, sender) = Watcher::start(names.clone(), goal, rounds)?;
    let observe = |which, progress| {
        // It listens to the end.
        let _ = sender.send(Told { which, progress });
        if stop.load(Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let (outcomes, comparison) = put(&loads, observe)?;
    drop(sender);
    let points = watcher.finish();
    let servers = names.into_iter().zip(outcomes).zip(points).enumerate().map(|(which, ((name, outcome), points))| {
        let missed = args.fail_if.iter();
        let missed = missed.filter_map(|threshold| Some((threshold.to_string(), threshold.missed_by(&outcome)?)));
        // One for each message goes on with the next.
        let are_kept = !args.shape.connect_per_request;
        let has_none_left = |outcome: &Outcome| outcome.errors.total() >= args.shape.connections as u64;
        // A server that died in a round may have been there for all of the one before.
        let all_failed = are_kept
            && match &comparison {
                Some(found) => found.rounds.iter().any(|round| has_none_left(&round[which])),
                None => has_none_left(&outcome),
            };
        Server { missed: missed.collect(), name, outcome, points, all_failed }
    });
    Ok(Found {
        servers: servers.collect(),
        comparison,
        message: args.shape.message(),
        model: args.shape.model(),
        was_ended: stop.load(Relaxed),
    })
}

/// Runs one load, or two by turns.
fn put(
    loads: &[Load],
    mut observe: impl FnMut(usize, socketserver_load::Progress) -> ControlFlow<()>,
) -> Result<(Vec<Outcome>, Option<Comparison>), Failure> {
    match loads {
        [one, other] => {
            let found = Comparison::run_observed([one, other], ROUNDS as usize, EVERY, observe)?;
            Ok((vec![found.total(0), found.total(1)], Some(found)))
        }
        loads => {
            let all = loads.iter().map(|load| load.run_observed(EVERY, |progress| observe(0, progress)));
            Ok((all.collect::<Result<_, _>>()?, None))
        }
    }
}

/// Set by the first INT or TERM; the second one ends the process.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}

/// Where no connection could be made, and the kind of the failure does not say why: says it, as far as one more connection shows.
fn explain(args: &Args, found: &Found) {
    let is_unexplained = |Server { outcome, .. }: &Server| {
        outcome.errors.tls + outcome.errors.other > 0 && outcome.messages == 0 && outcome.opened == 0
    };
    for (address, _) in args.addresses().zip(&found.servers).filter(|(_, server)| is_unexplained(server)) {
        if address.is_datagram() {
            continue;
        }
        // What carries WebSocket.
        let carrier = match address.tcp() {
            Some((host, port)) if address.is_tls() => Endpoint::Tls { host: host.clone(), port },
            Some((host, port)) => Endpoint::Tcp { host: host.clone(), port },
            None => address.clone(),
        };
        let connected = args.trust.connector(&carrier).map(|connector| connector.connect(&carrier));
        if let Ok(Err(error)) = connected {
            complain(connect::why_unreachable(&error));
        }
    }
}
