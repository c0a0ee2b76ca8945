//! TLS over real sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod echo;
mod hostile;
mod models;
mod records;
mod site;
mod streams;
