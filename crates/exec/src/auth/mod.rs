//! Who may ask, and how that is proved.

mod channel;
mod failures;
mod guard;
mod overflow;
mod proof;
mod token;

pub use guard::Auth;
pub use token::Token;

#[cfg(test)]
pub(crate) use channel::Certificate;
pub(crate) use channel::{Binding, Channel};
pub(crate) use failures::Failures;
pub(crate) use guard::Granted;
pub(crate) use overflow::may_be_anybody;
pub(crate) use proof::Transcript;

/// A nonce that nobody can foresee.
pub(crate) fn nonce() -> std::io::Result<[u8; socketserver_proto::exec::NONCE]> {
    let mut nonce = [0; socketserver_proto::exec::NONCE];
    getrandom::fill(&mut nonce).map_err(std::io::Error::from)?;
    Ok(nonce)
}
