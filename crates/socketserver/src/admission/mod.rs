//! Who may come in: the accept path, from the listener to a connection that is let in.

mod admitted;
#[cfg(feature = "tokio")]
mod ears;
mod farewell;
mod gate;
mod rules;

pub use rules::OverLimit;

pub(crate) use admitted::{Admitted, Place};
#[cfg(feature = "tokio")]
pub(crate) use ears::{Ears, Heard};
pub(crate) use farewell::{AT_A_TIME, Farewell};
pub(crate) use gate::{Gate, Next, Tried};
pub(crate) use rules::{Door, Rules};
