//! From the first accept to the last close: handles, drain, signals, the report.

mod control;
mod deadlines;
mod duties;
mod handle;
mod hogs;
mod info;
mod keeper;
#[cfg(feature = "tokio")]
pub(crate) mod keeper_task;
mod registry;
mod report;
mod run;
mod settings;
mod shared;
mod signals;
#[cfg(feature = "tokio")]
mod until_draining;

pub use handle::Handle;
pub use info::ConnectionInfo;
pub use report::{Report, Totals};
pub use signals::Signal;
#[cfg(feature = "tokio")]
pub use until_draining::UntilDraining;

pub(crate) use duties::Duties;
#[cfg(feature = "tokio")]
pub(crate) use hogs::Pulse;
pub(crate) use keeper::{Keeper, Step};
pub(crate) use registry::Registry;
#[cfg(feature = "tokio")]
pub(crate) use run::Ends;
pub(crate) use run::Run;
pub(crate) use settings::Settings;
pub(crate) use shared::Shared;
