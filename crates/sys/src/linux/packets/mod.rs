//! Packets, many in one call: `recvmmsg(2)`, `sendmmsg(2)`.

mod ancillary;
mod errors;
mod inbox;
mod options;
mod outbox;

pub use ancillary::Local;
pub use errors::{Bounce, Origin, may_be_anothers, next_error, tell_errors};
pub use inbox::{Inbox, Packet};
pub use options::{dropped, join_trains, joins_trains, tell_local};
pub use outbox::Outbox;
