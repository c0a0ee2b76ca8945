#![doc = include_str!("../../../docs/exec.md")]
#![forbid(unsafe_code)]

mod commands;
mod encoding;
mod error;
mod event;
mod exec;
mod job;
mod limits;
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
pub use supervisor::supervise_if_asked;
pub use wire::Wire;
