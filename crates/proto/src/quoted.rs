//! A piece of what somebody typed, as an error shows it: short, and with nothing in it that a
//! terminal obeys.

use crate::printable::in_name;
use std::fmt::{self, Write as _};

/// How much of a string an error shows.
pub(crate) const SHOWN_CHARS: usize = 200;

/// A part of the input between backticks.
#[derive(Debug)]
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", Shown(self.0))
    }
}

/// A string shortened, with what a terminal would not print plainly escaped.
#[derive(Debug)]
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(SHOWN_CHARS) {
            match c {
                '"' | '\'' | '\\' => f.write_char(c)?,
                _ if in_name(c) || c.is_control() => write!(f, "{}", c.escape_debug())?,
                // Some of what nobody sees are letters, which the above would show.
                _ => write!(f, "{}", c.escape_unicode())?,
            }
        }
        if chars.next().is_some() {
            f.write_char('…')?;
        }
        Ok(())
    }
}
