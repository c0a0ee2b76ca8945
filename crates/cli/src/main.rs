//! The `socketserver` command: thin, over the public interfaces of the library and its parts alone.
#![forbid(unsafe_code)]

mod args;
mod builtin;
mod call;
mod chat;
mod connect;
mod exec;
mod help;
mod load;
mod log;
mod model;
mod printable;
mod probe;
mod serve;
mod talk;
mod tls;
mod values;

use args::{Args, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // What runs a command for `serve exec` is this program too.
    socketserver_exec::supervise_if_asked();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return misunderstood(&error),
    };
    match args.command {
        Command::Serve(args) => serve::run(*args),
        Command::Connect(args) => connect::run(&args),
        Command::Call(args) => call::run(*args),
        Command::Probe(args) => probe::run(args),
        Command::Load(args) => load::run(&args),
    }
}

/// Bad arguments end here, with status 2; those of `call` with another, for 2 may be the command's. Help is no error.
fn misunderstood(error: &clap::Error) -> ExitCode {
    // Who has closed the pipe has no need of it.
    let _ = error.print();
    let of_call = std::env::args_os().nth(1).is_some_and(|word| word == "call");
    match error.use_stderr() {
        true if of_call => ExitCode::from(call::FAILED),
        true => ExitCode::from(2),
        false => ExitCode::SUCCESS,
    }
}

/// Says on standard error what went wrong.
fn complain(what: impl std::fmt::Display) {
    log::line(&format!("socketserver: {what}"));
}
