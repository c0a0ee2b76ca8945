//! Clients as servers meet them on a bad day. All of them are plain sockets on the loopback, and need no privilege.
//!
//! | who | does what | ends by |
//! |---|---|---|
//! | a silent one | [connects](crate::Client::connect), and that is all | the idle or first-byte deadline |
//! | a slow one | [`Client::trickle`](crate::Client::trickle): byte after byte, with pauses | the minimum rate, the lifetime |
//! | one that never reads | [`Client::stuff`](crate::Client::stuff): sends, and leaves the answers where they are | the write deadline |
//! | one that breaks off | [`Client::reset`](crate::Client::reset), or dropped in the middle of a sentence | itself |
//! | one that is gone without a word | [`HalfOpen`] | the idle or write deadline |
//! | many at once | [`Storm`] | the limits |
//! | one that announces more than anybody takes | [`Giant`] | the limit of the framing |
//! | one that means somebody else | [`Stranger`] | the protocol |
//! | one that breaks the rules of WebSocket | frames made by [`websocket`](crate::websocket) | a goodbye with its code |

mod giant;
mod half_open;
mod storm;
mod stranger;

pub use giant::Giant;
pub use half_open::HalfOpen;
pub use storm::{Leave, Storm};
pub use stranger::Stranger;
