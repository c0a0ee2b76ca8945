//! On what, and with what command, the table was made.

use std::process::Command;

use crate::cores::Cores;

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
        version("python3"),
        command.trim_end_matches(" --"),
    )
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or("unknown processor", |(_, name)| name.trim()).to_owned()
}

fn version(program: &str) -> String {
    match Command::new(program).arg("--version").output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(_) => format!("no {program}"),
    }
}
