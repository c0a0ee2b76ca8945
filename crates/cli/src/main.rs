//! The `socketserver` command: thin, over the library's public interface alone.
#![forbid(unsafe_code)]

mod args;
mod builtin;
mod call;
mod chat;
mod connect;
mod exec;
mod log;
mod printable;
mod probe;
mod serve;
mod talk;
mod tls;

use args::{Args, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // What runs a command for `serve exec` is this program too.
    socketserver_exec::supervise_if_asked();
    // Bad arguments end here, with status 2.
    match Args::parse().command {
        Command::Serve(args) => serve::run(*args),
        Command::Connect(args) => connect::run(&args),
        Command::Call(args) => call::run(*args),
        Command::Probe(args) => probe::run(args),
    }
}

/// Says on standard error what went wrong.
fn complain(what: impl std::fmt::Display) {
    log::line(&format!("socketserver: {what}"));
}
