#![doc = include_str!("../docs/testing.md")]
#![forbid(unsafe_code)]

mod address;
mod caller;
mod carrier;
mod cast;
mod client;
pub mod conformance;
mod dice;
pub mod faults;
mod fixture;
mod haproxy;
mod leaks;
mod machine;
mod memory;
pub mod misbehaving;
mod openssl;
mod pairs;
mod part;
mod process;
mod python;
mod s_client;
mod stage;
mod suite;
pub mod websocket;
mod within;

pub use caller::Caller;
pub use carrier::Carrier;
pub use cast::{Cast, How, Role, play};
pub use client::Client;
pub use fixture::Fixture;
pub use haproxy::Haproxy;
pub use leaks::LeakCheck;
pub use machine::{allow_descriptors, is_installed, limit_descriptors, skip};
pub use memory::{MemoryConnector, MemoryListener};
pub use openssl::OpenSsl;
pub use pairs::{PairConnector, PairListener};
pub use part::{Connection, Part, Played};
pub use process::{Held, Process};
pub use python::Python;
pub use s_client::{SClient, SClientEnded};
pub use stage::{Ended, Stage};
pub use suite::{Suite, Test};
pub use within::{paused, within};

use std::time::Duration;

/// How long anything in a test may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(30);
