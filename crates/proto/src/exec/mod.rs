//! The native protocol of remote execution: what travels, in which order, and how much of it at most.
//!
//! Each side begins with eight bytes, [`MAGIC`] and a version. All that follows are frames:
//!
//! ```text
//! +------+--------------------+---------------------+
//! | type |       length       |       payload       |
//! |  u8  |  u32, big-endian   |   `length` bytes    |
//! +------+--------------------+---------------------+
//! ```
//!
//! | type | from | payload |
//! |---|---|---|
//! | 1 HELLO | server | [`Methods`] u8, a fresh nonce of 32 bytes |
//! | 2 AUTH | client | [`Method`] u8; for a token its own nonce of 32 bytes, then the proof, 32 bytes |
//! | 2 AUTH | server | of a token the server's own proof, 32 bytes; otherwise nothing |
//! | 3 RUN | client | how many words u16, then of each its length u32 and its bytes: [`Words`] |
//! | 4 STDOUT, 5 STDERR | server | what the command said |
//! | 6 EXIT | server | how it ended: [`Exit`] |
//! | 7 REFUSED | server | [`Why`] u8, a sentence in UTF-8 |
//! | 8 STDIN, 9 SIGNAL | client | not in this version |
//!
//! Lengths and numbers are big-endian. [`Stage`] says what may come when, and a [`Receiver`] takes what comes in pieces of any
//! size. A length is judged as soon as it is there, before anything is allocated for it, by the type of its frame and
//! what may come now: who has not proved who it is can send no frame of more than 65 bytes.
//!
//! ```
//! use socketserver_proto::exec::{Frame, Receiver, Side, WireError, open, run};
//!
//! let mut sent = Vec::new();
//! open(1, &mut sent);
//! let mut server = Receiver::new(Side::Server);
//! assert_eq!(server.next(&mut &sent[..])?, Some(Frame::Version(1)));
//!
//! // A command, before anybody has said who asks.
//! let mut sent = Vec::new();
//! run(&["disk"], &mut sent)?;
//! assert!(matches!(server.next(&mut &sent[..]), Err(WireError::Order(_))));
//! # Ok::<(), WireError>(())
//! ```

mod error;
mod exit;
mod frame;
mod method;
mod receiver;
mod refusal;
mod stage;
mod words;

pub use error::WireError;
pub use exit::{Exit, Fate};
pub use frame::{Frame, Kind, MAC, NONCE, Proof};
pub use method::{Method, Methods};
pub use receiver::Receiver;
pub use refusal::{Refusal, Why};
pub use stage::{Side, Stage};
pub use words::{MAX_WORDS, Words, run};

/// What each side says first. No request of HTTP, and no line of text, begins like that.
pub const MAGIC: [u8; 6] = *b"SSEXEC";

/// The version of this description. A client says the newest that it speaks, and the server answers with the one that is
/// spoken: never a newer one.
pub const VERSION: u16 = 1;

/// How long the payload of a frame may be unless said otherwise; other bounds of each type are below it.
pub const CAP: usize = 1 << 20;

/// How long the payload of a RUN may be: no more than a program could be given.
pub const MAX_RUN: usize = 128 << 10;

/// How long the payload of a REFUSED may be.
pub const MAX_REFUSED: usize = 4096;

/// Output leaves in frames of so many bytes at most.
pub const PIECE: usize = 64 << 10;

/// What is said first.
pub fn open(version: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&version.to_be_bytes());
}
