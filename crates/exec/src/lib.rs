#![doc = include_str!("../docs/exec.md")]
#![forbid(unsafe_code)]

mod audit;
mod auth;
mod believed;
mod call;
mod classic;
mod commands;
mod encoding;
mod error;
mod event;
mod exec;
mod job;
mod limits;
mod native;
mod outcome;
pub mod place;
mod reply;
mod request;
mod run;
mod runner;
mod supervisor;
mod talk;
pub mod user;
mod wire;

pub use auth::{Auth, Token};
pub use call::{CallError, Caller, Client};
pub use commands::Commands;
pub use encoding::Encoding;
pub use error::Error;
pub use event::Event;
pub use exec::{Allowed, Exec};
pub use job::Job;
pub use limits::{Limits, Size};
pub use outcome::{Outcome, Status};
pub use run::{Output, Run, Turn};
pub use runner::Runner;
pub use socketserver_proto::exec::{Exit, Fate, Why, WireError};
pub use supervisor::supervise_if_asked;
pub use wire::Wire;
