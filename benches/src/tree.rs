//! What a process and all that descend from it use together.

use std::fs;
use std::io;
use std::time::Duration;

use socketserver_sys::process_cpu;

/// CPU time: from the process clock of each, and that of descendants that have ended and were waited for in steps of the
/// system's clock tick (10 ms) for each parent.
pub(crate) fn cpu(root: u32) -> io::Result<Duration> {
    let tick = 1.0 / rustix::param::clock_ticks_per_second() as f64;
    // One that has ended meanwhile has none of its own.
    let of = |member: &Member| {
        process_cpu(member.pid).unwrap_or_default() + Duration::from_secs_f64(member.ended as f64 * tick)
    };
    Ok(members(root)?.iter().map(of).sum())
}

/// Bytes of memory, of which what several share is shared out among them (`Pss` of proc_pid_smaps(5)).
pub(crate) fn resident(root: u32) -> io::Result<u64> {
    let of = |member: &Member| {
        // One that has ended meanwhile has none.
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", member.pid)).unwrap_or_default();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kibibytes: Option<u64> = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        kibibytes.unwrap_or(0) * 1024
    };
    Ok(members(root)?.iter().map(of).sum())
}

/// How many processes there are.
pub(crate) fn size(root: u32) -> io::Result<usize> {
    members(root).map(|members| members.len())
}

/// One process of the tree.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Member {
    pid: u32,
    parent: u32,
    /// Clock ticks of children that have ended.
    ended: u64,
}

/// The process and its descendants.
fn members(root: u32) -> io::Result<Vec<Member>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have ended between the two.
        all.extend(fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|stat| member(pid, &stat)));
    }
    let mut found: Vec<Member> = all.iter().copied().filter(|member| member.pid == root).collect();
    let mut from = 0;
    while let Some(parent) = found.get(from).map(|member| member.pid) {
        found.extend(all.iter().copied().filter(|member| member.parent == parent));
        from += 1;
    }
    Ok(found)
}

/// Out of a line of proc_pid_stat(5). The second field is the program's name in parentheses, which may itself have some.
fn member(pid: u32, stat: &str) -> Option<Member> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // cutime, cstime.
    let ended = fields.get(13..15)?.iter().map(|ticks| ticks.parse::<u64>()).sum::<Result<u64, _>>().ok()?;
    Some(Member { pid, parent: fields.get(1)?.parse().ok()?, ended })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_line_of_the_system() {
        let line = "7 (a) b) S 3 7 7 0 -1 4194560 168 0 0 0 1 2 30 40 20 0 1 0 42 7593984 1024\n";
        assert_eq!(member(7, line), Some(Member { pid: 7, parent: 3, ended: 70 }));
        assert_eq!(member(7, "7 (a"), None);
    }

    #[test]
    fn children_count_with_their_parent() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(resident(child.id()).unwrap() > 0);
        assert!(members(std::process::id()).unwrap().iter().any(|member| member.pid == child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!members(std::process::id()).unwrap().iter().any(|member| member.pid == child.id()));
    }
}
