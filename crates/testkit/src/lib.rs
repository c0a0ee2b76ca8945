//! Test tools for network servers: servers in processes of their own, clients that misbehave, leak checks.
//!
//! A test program that has its own `main` calls [`play`] first. Then it can put any of its handlers on a [`Stage`]: the
//! same program, started again as a server, on any model ([`How`]) and any address. The process has one thread when the
//! server starts, so [`Forks`](socketserver::Forks) works, and what it leaves behind can be read in `/proc` undisturbed
//! by the test runner.
//!
//! ```no_run
//! use socketserver::{Report, Result};
//! use socketserver_testkit::{Cast, Connection, How, Part, Stage, play};
//! use std::process::ExitCode;
//!
//! struct Echo;
//! impl Part for Echo {
//!     async fn handle(&self, c: &mut impl Connection) -> Result {
//!         while let Some(line) = c.read_until(b'\n', 1024).await? {
//!             c.write_all(&line).await?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! fn echo(cast: &Cast) -> Result<Report> {
//!     cast.serve(cast.server()?, Echo)
//! }
//!
//! fn main() -> ExitCode {
//!     if let Some(status) = play(&[("echo", echo)]) {
//!         return status;
//!     }
//!     for how in [How::Serial, How::Threads(4), How::Forks(4), How::Tasks(2)] {
//!         let stage = Stage::open("echo", how, "tcp://127.0.0.1:0");
//!         let mut client = stage.connect();
//!         client.say("hello\n");
//!         client.expect("hello\n");
//!         drop(client);
//!         assert_eq!(stage.stop().status, Some(0));
//!     }
//!     ExitCode::SUCCESS
//! }
//! ```
#![forbid(unsafe_code)]

mod caller;
mod cast;
mod client;
mod haproxy;
mod machine;
mod openssl;
mod part;
mod process;
mod python;
mod s_client;
mod stage;
mod suite;
pub mod websocket;

pub use caller::Caller;
pub use cast::{Cast, How, Role, play};
pub use client::Client;
pub use haproxy::Haproxy;
pub use machine::{allow_descriptors, is_installed, skip};
pub use openssl::OpenSsl;
pub use part::{Connection, Part, Played};
pub use process::{Held, Process};
pub use python::Python;
pub use s_client::{SClient, SClientEnded};
pub use stage::{Ended, Stage};
pub use suite::{Carrier, Suite, Test};

use std::time::Duration;

/// How long anything in a test may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(30);
