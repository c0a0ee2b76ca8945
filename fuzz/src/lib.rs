//! The targets: each takes any bytes, and panics where something does not hold that has to.
//!
//! They are functions, so that a plain `cargo test` can run them, on what stands in `corpus` and on what becomes of it by
//! chance; with libFuzzer each is a program.

#[allow(dead_code, reason = "its tests use more of it")]
#[path = "../../crates/proto/tests/exec/stream.rs"]
mod conversation;
#[path = "../../crates/proto/tests/proxy/holds.rs"]
mod header;
#[allow(dead_code, reason = "the command uses more of it")]
#[path = "../../crates/cli/src/printable.rs"]
mod printable;
#[path = "../../crates/testkit/src/conformance/stream.rs"]
mod stream;

mod caller;
mod files;
mod framing;
mod load;
mod load_websocket;
mod server;
mod servers;
mod shown;
#[cfg(test)]
mod smoke;
mod typed;
mod wires;

pub use caller::call;
pub use files::{certificates, commands, identity, token};
pub use framing::{any_framing, delimiter, fixed, length_prefix, line, netstring, varint};
pub use load::{load, load_packets, load_tls};
pub use load_websocket::load_websocket;
pub use servers::{classic, first_bytes, native, upgrade};
pub use shown::shown;
pub use typed::{block, endpoint, fingerprint, rate, settings, targets};
pub use wires::{exec, proxy};
