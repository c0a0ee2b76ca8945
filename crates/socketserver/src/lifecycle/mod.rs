//! From the first accept to the last close: handles, drain, signals, the report.

mod control;
mod duties;
mod handle;
mod keeper;
mod registry;
mod report;
mod run;
mod shared;
mod signals;

pub use handle::Handle;
pub use report::{Report, Totals};
pub use signals::Signal;

pub(crate) use duties::Duties;
pub(crate) use keeper::{Keeper, Step};
pub(crate) use registry::Registry;
pub(crate) use run::{Run, Settings};
pub(crate) use shared::Shared;
