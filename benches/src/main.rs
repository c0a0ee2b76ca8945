//! Measures this project against its peers, side by side in one run, and prints the table (README.md says how).
//!
//! See `benches/README.md` for how to run it and what each row is.
#![forbid(unsafe_code)]

mod args;
mod comparison;
mod cores;
mod machine;
mod peer;
mod row;
mod server;
mod stats;
mod table;
mod visit;

use std::process::ExitCode;

use args::{Command, Options};

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let result = match args::parse(&given) {
        Ok(Command::Help) => {
            println!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Command::Peer(peer)) => peer.run().map(|()| true),
        Ok(Command::Measure(options)) => measure(&options, &given),
        Err(why) => {
            eprintln!("{why}\n\n{}", args::HELP);
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all targets are met.
fn measure(options: &Options, given: &[String]) -> std::io::Result<bool> {
    let cores = cores::Cores::choose(options.cores)?;
    println!("{}", machine::describe(&cores, given));
    println!("{}", table::head());
    let mut met = true;
    for row in options.rows() {
        for plan in row.comparisons {
            let comparison = comparison::run(row, plan, options, &cores)?;
            for line in table::lines(&comparison) {
                println!("{line}");
            }
            met &= comparison.met();
        }
    }
    println!("\n{}", table::LEGEND);
    Ok(met)
}
