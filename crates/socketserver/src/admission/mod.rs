//! Who may come in: the accept path, from the listener to a connection that is let in.

mod admitted;
mod crowd;
#[cfg(feature = "tokio")]
mod ears;
mod farewell;
mod gate;
#[cfg(feature = "tokio")]
mod inlet;
mod introduction;
#[cfg(feature = "tokio")]
mod lookout;
mod proxies;
mod rules;

pub use proxies::ProxySource;
pub use rules::OverLimit;

pub(crate) use admitted::{Admitted, Place};
pub(crate) use crowd::Crowd;
#[cfg(feature = "tokio")]
pub(crate) use ears::Ears;
pub(crate) use farewell::{AT_A_TIME, Farewell};
pub(crate) use gate::{Gate, Next, Tried};
#[cfg(feature = "tokio")]
pub(crate) use inlet::Inlet;
pub(crate) use rules::{Door, Rules};
