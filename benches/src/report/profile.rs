//! Where a server spends its time, for targets that are missed.

use std::io;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cores::Cores;
use crate::peer::Peer;
use crate::row::Row;
use crate::{launch, visit};

/// How long each server is watched.
const WATCHED: Duration = Duration::from_secs(1);

/// How many functions are told.
const MOST: usize = 12;

/// The functions of that server in which `perf` (Debian: linux-perf) finds it most, under the load of that row; with those of
/// the kernel, if it may.
///
/// # Errors
///
/// When perf is not there, may not watch, or the server cannot be visited.
pub(crate) fn take(peer: Peer, row: &'static Row, cores: &Cores) -> io::Result<String> {
    let file = launch::scratch()?.join("perf.data");
    let mut perf = None;
    let visited = visit::watched(peer, row, WATCHED, cores, |server| {
        let mut command = Command::new("perf");
        command.args(["record", "-q", "-F", "999", "-p", &server.to_string(), "-o"]).arg(&file);
        perf = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn());
    });
    // The server is gone by now, and so perf ends by itself.
    let ended = perf.map(|perf: io::Result<Child>| perf.and_then(|mut perf| perf.wait()));
    visited?;
    let ended = match ended {
        Some(Ok(ended)) => ended,
        Some(Err(_)) => return Err(io::Error::other("perf is not installed (Debian: linux-perf)")),
        None => return Err(io::Error::other("the load never began")),
    };
    let output = Command::new("perf")
        .args(["report", "--stdio", "--no-children", "-q", "--percent-limit", "1", "--sort", "symbol", "-i"])
        .arg(&file)
        .stdin(Stdio::null())
        .output()?;
    std::fs::remove_file(&file)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> =
        text.lines().map(|line| line.trim_end_matches([' ', '-'])).filter(|line| !line.is_empty()).take(MOST).collect();
    if lines.is_empty() {
        return Err(io::Error::other(format!("perf found nothing ({ended})")));
    }
    Ok(lines.join("\n"))
}
