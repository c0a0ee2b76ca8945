//! On what, and with what command, the table was made.

use std::process::Command;

use crate::cores::Cores;
use crate::launch::PYTHON;

/// Two lines for the head of the table.
pub(crate) fn describe(cores: &Cores, given: &[String]) -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut command = "cargo run --release -p socketserver-benches --".to_owned();
    for word in given {
        command.push(' ');
        command.push_str(word);
    }
    let build = if cfg!(debug_assertions) { "; UNOPTIMIZED BUILD" } else { "" };
    format!(
        "Machine: {}; {}; Linux {}; {}; {}{build}.\n\nCommand: `{}`\n",
        processor(),
        cores.describe(),
        kernel.trim(),
        version("rustc"),
        version(PYTHON),
        command.trim_end_matches(" --"),
    )
}

/// The same with the version of everything that takes part in the report.
pub(crate) fn describe_all(cores: &Cores, given: &[String]) -> String {
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or("unknown").trim().to_owned();
    let versions = [
        line("go", &["version"], 0),
        line("haproxy", &["-v"], 0),
        line("socat", &["-V"], 1),
        package("ucspi-tcp"),
        package("python3-uvloop"),
    ];
    format!("{}\nMemory: {memory}. Peers: {}.\n", describe(cores, given), versions.join("; "))
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or("unknown processor", |(_, name)| name.trim()).to_owned()
}

fn version(program: &str) -> String {
    line(program, &["--version"], 0)
}

/// What Debian says of a package whose program does not tell its version.
fn package(name: &str) -> String {
    let version = line("dpkg-query", &["-W", "-f", "${Package} ${Version}", name], 0);
    if version.is_empty() { format!("no {name}") } else { version }
}

/// A line of what that program prints.
fn line(program: &str, options: &[&str], which: usize) -> String {
    match Command::new(program).args(options).output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).lines().nth(which).unwrap_or_default().trim().to_owned(),
        Err(_) => format!("no {program}"),
    }
}
