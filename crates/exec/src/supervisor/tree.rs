//! All processes that come from this one. It is their subreaper, so whatever loses its parent is its child.

use rustix::process::{Pid, PidfdFlags, Signal};
use std::collections::HashSet;
use std::fs;

/// The children of a process, of all its threads (`proc(5)`).
fn children(process: Pid) -> Vec<Pid> {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let of_thread = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).unwrap_or_default();
    let all: String = threads.flatten().map(of_thread).collect();
    all.split_whitespace().filter_map(|number| Pid::from_raw(number.parse().ok()?)).collect()
}

/// The parent of a process; `None`: it is gone.
fn parent(process: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before it is in parentheses, and may have some of its own.
    let number = stat.rsplit_once(") ")?.1.split(' ').nth(1)?;
    Pid::from_raw(number.parse().ok()?)
}

/// Sends these signals to all descendants that there are at the moment, and tells how many children of our own we have.
///
/// A number is used again only after its process was waited for. Children are waited for by nobody but us, and not now. Any
/// other is held by its pidfd first; that it is one of ours, and not somebody else who has got the number since, is
/// seen after that.
pub(super) fn signal(signals: &[Signal]) -> usize {
    let us = rustix::process::getpid();
    let own = children(us);
    // All of them first: once a parent has ended, its children are to be found elsewhere.
    let mut found: HashSet<Pid> = own.iter().copied().collect();
    let mut next = own.clone();
    while let Some(process) = next.pop() {
        next.extend(children(process).into_iter().filter(|child| found.insert(*child)));
    }
    for child in &own {
        for signal in signals {
            let _ = rustix::process::kill_process(*child, *signal);
        }
    }
    for process in found.iter().filter(|process| !own.contains(process)) {
        let Ok(held) = rustix::process::pidfd_open(*process, PidfdFlags::empty()) else { continue };
        if parent(*process).is_some_and(|parent| parent == us || found.contains(&parent)) {
            for signal in signals {
                let _ = rustix::process::pidfd_send_signal(&held, *signal);
            }
        }
    }
    own.len()
}
