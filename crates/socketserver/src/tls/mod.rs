//! TLS: certificates and keys, whom they name, why a handshake failed.
//!
//! What is told of it (a [`Fingerprint`], a [`HandshakeFailure`]) is there without the feature `tls`, too: events name it.

mod failure;
mod fingerprint;

#[cfg(feature = "tls")]
mod acceptor;
#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "tls")]
mod classify;
#[cfg(feature = "tls")]
mod client;
#[cfg(feature = "tls")]
mod files;
#[cfg(feature = "tls")]
mod identity;
#[cfg(feature = "tls")]
mod info;
#[cfg(feature = "tls")]
mod load;
#[cfg(feature = "tls")]
mod pinned;
#[cfg(feature = "tls")]
mod provider;
#[cfg(feature = "self-signed")]
mod self_signed;
#[cfg(feature = "tls")]
mod server;
#[cfg(feature = "tls")]
mod watch;
#[cfg(feature = "tls")]
mod watcher;

#[cfg(all(test, feature = "tls"))]
mod tests;

pub use failure::HandshakeFailure;
pub use fingerprint::{Fingerprint, FingerprintError};

#[cfg(feature = "tls")]
pub use client::ClientTls;
#[cfg(feature = "tls")]
pub use identity::{AltName, Identity, IdentityError};
#[cfg(feature = "tls")]
pub use info::{TlsInfo, TlsVersion};
#[cfg(feature = "tls")]
pub use server::ServerTls;

#[cfg(feature = "tls")]
pub(crate) use acceptor::{Acceptor, Outcome};
#[cfg(feature = "tls")]
pub(crate) use classify::classify;
#[cfg(feature = "tls")]
pub(crate) use watcher::Watcher;
