//! What: the handler traits, and which model runs which.

mod runs_on;
mod stream;

pub use runs_on::{Lift, RunsOn, Service, kind};
pub use stream::Handler;
