//! The `socketserver` command from outside: its built binary, and clients that know nothing of this project.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chat;
mod connect;
mod connect_packets;
mod datagrams;
mod exec;
mod hardship;
mod harness;
mod limits;
mod load;
mod log;
mod model;
mod netns;
mod probe;
mod proxies;
mod serve;
mod start;
mod stop;
mod talk;
mod tls;
