//! Measures this project against its peers, side by side in one run, and prints the table (README.md says how).
//!
//! See `benches/README.md` for how to run it and what each row is.
#![forbid(unsafe_code)]

mod args;
mod comparison;
mod cores;
mod descriptors;
mod fault;
mod field;
mod generators;
mod goal;
mod launch;
mod machine;
mod peer;
mod report;
mod row;
mod server;
mod stats;
mod table;
mod tree;
mod visit;
mod work;

use std::process::ExitCode;

use args::{Command, Options};

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let result = match args::parse(&given) {
        Ok(Command::Help) => {
            println!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Command::Peer(peer, behind)) => peer.run(behind).map(|()| Finding::Met),
        Ok(Command::Measure(options)) => measure(&options, &given),
        Ok(Command::Report(options)) => report::run(&options, &given),
        Err(why) => {
            eprintln!("{why}\n\n{}", args::HELP);
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(Finding::Met) => ExitCode::SUCCESS,
        Ok(Finding::Missed) => ExitCode::FAILURE,
        Ok(Finding::Incomplete) => ExitCode::from(2),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// What all rows come to; the worst one decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Finding {
    /// All targets are met.
    Met,
    Missed,
    /// Something could not be measured.
    Incomplete,
}

fn measure(options: &Options, given: &[String]) -> std::io::Result<Finding> {
    let cores = cores::Cores::choose(options.cores)?;
    println!("{}", machine::describe(&cores, given));
    println!("{}", table::head());
    let mut found = Finding::Met;
    for row in options.rows() {
        for plan in row.comparisons {
            let (lines, finding) = match comparison::run(row, plan, options, &cores, None) {
                Ok(comparison) => {
                    (table::lines(&comparison), if comparison.met() { Finding::Met } else { Finding::Missed })
                }
                Err(why) => (vec![table::not_measured(row, plan, &why)], Finding::Incomplete),
            };
            for line in lines {
                println!("{line}");
            }
            found = found.max(finding);
        }
    }
    println!("\n{}", table::LEGEND);
    Ok(found)
}
