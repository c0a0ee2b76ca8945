//! Who may come in: the accept path, from the listener to a connection that is let in.

mod admitted;
mod gate;

pub(crate) use admitted::{Admitted, Place};
pub(crate) use gate::{Gate, Next, Tried};
