//! Why a load could not be run.

use std::borrow::Cow;
use std::fmt;
use std::io;

/// The load could not be run: it made no sense, or this machine refused a socket.
///
/// A server that refuses, resets, stalls or answers wrongly is *not* a `LoadError`: that is a result, and
/// stands in [`Errors`](crate::Errors).
///
/// ```
/// use socketserver_load::{Load, Target};
///
/// let nowhere = Target::Tcp("127.0.0.1:1".parse().unwrap());
/// let error = Load::new(nowhere).connections(0).run().unwrap_err();
/// assert!(error.is_invalid());
/// ```
#[derive(Debug)]
pub struct LoadError(Kind);

#[derive(Debug)]
enum Kind {
    Invalid(Cow<'static, str>),
    System(&'static str, io::Error),
}

impl LoadError {
    pub(crate) fn invalid(why: impl Into<Cow<'static, str>>) -> Self {
        Self(Kind::Invalid(why.into()))
    }

    /// For `map_err`: what was attempted, and then the error.
    pub(crate) fn system<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self(Kind::System(doing, error.into()))
    }

    /// What was asked for makes no sense: no connections, a message of no bytes, a line with a newline inside.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(self.0, Kind::Invalid(_))
    }

    /// The operating system refused something that the generator needs, such as one more descriptor.
    #[must_use]
    pub fn is_system(&self) -> bool {
        matches!(self.0, Kind::System(..))
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Invalid(why) => write!(f, "invalid load: {why}"),
            Kind::System(doing, error) => write!(f, "cannot {doing}: {error}"),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Kind::Invalid(_) => None,
            Kind::System(_, error) => Some(error),
        }
    }
}
