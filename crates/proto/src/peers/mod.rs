//! What a server knows of the peers that send it packets: a word each, in memory of a fixed size, whoever they are and however
//! many.
//!
//! - [`Peers`]: the table.
//! - [`PeerPace`]: each peer held to a rate.
//! - [`PeerCredit`]: what may be sent to a peer that may not have asked.
//!
//! The memory may be shared by threads and processes: nothing here locks, and nobody who dies half-way leaves anything locked.

mod credit;
mod pace;
mod table;

pub use credit::PeerCredit;
pub use pace::{PeerPace, PeerRate};
pub use table::{Peers, words_for};
