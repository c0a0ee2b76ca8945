//! What follows the name of a framing: its options.

use super::DEFAULT_MAX;
use super::notation::{size, unescape};
use super::syntax::AnyFramingError;
use crate::quoted::Quoted;

/// An option that a framing has.
#[derive(Clone, Copy)]
pub(super) struct Known {
    name: &'static str,
    has_value: bool,
    more_than_once: bool,
}

impl Known {
    pub(super) const fn value(name: &'static str) -> Self {
        Self { name, has_value: true, more_than_once: false }
    }

    pub(super) const fn values(name: &'static str) -> Self {
        Self { name, has_value: true, more_than_once: true }
    }

    pub(super) const fn flag(name: &'static str) -> Self {
        Self { name, has_value: false, more_than_once: false }
    }
}

/// The options that were given.
pub(super) struct Options<'a> {
    given: Vec<(&'a str, Option<&'a str>)>,
    pub(super) example: &'static str,
}

impl<'a> Options<'a> {
    pub(super) fn parse(
        name: &str,
        text: Option<&'a str>,
        known: &[Known],
        example: &'static str,
    ) -> Result<Self, AnyFramingError> {
        let mut given: Vec<(&str, Option<&str>)> = Vec::new();
        for option in text.into_iter().flat_map(|text| text.split(',')) {
            let (key, value) = option.split_once('=').map_or((option, None), |(key, value)| (key, Some(value)));
            let wrong = |what: &str| AnyFramingError::new(format!("{} {what}", Quoted(key)), example);
            let Some(known) = known.iter().find(|known| known.name == key) else {
                return Err(wrong(&format!("is no option of `{name}`, which has {}", list(known))));
            };
            match value {
                None if known.has_value => return Err(wrong("has no `=` and what is to follow it")),
                Some(_) if !known.has_value => return Err(wrong("takes no value")),
                _ if !known.more_than_once && given.iter().any(|(other, _)| *other == key) => {
                    return Err(wrong("is there twice"));
                }
                _ => given.push((key, value)),
            }
        }
        Ok(Self { given, example })
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == key)
    }

    pub(super) fn values(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.given.iter().filter(move |(given, _)| *given == key).filter_map(|(_, value)| *value)
    }

    pub(super) fn value(&self, key: &str) -> Option<&'a str> {
        self.values(key).next()
    }

    pub(super) fn size(&self, key: &str) -> Result<Option<usize>, AnyFramingError> {
        let parse = |text| size(text).ok_or_else(|| no_size(&format!("`{key}`"), text, self.example));
        self.value(key).map(parse).transpose()
    }

    /// `max` and `skip-oversized`.
    pub(super) fn limit(&self) -> Result<(usize, bool), AnyFramingError> {
        Ok((self.size("max")?.unwrap_or(DEFAULT_MAX), self.has("skip-oversized")))
    }

    pub(super) fn bytes(&self, text: &str) -> Result<Vec<u8>, AnyFramingError> {
        unescape(text).ok_or_else(|| {
            let reason = format!(
                r"{} has a backslash that is none of `\r`, `\n`, `\t`, `\0`, `\\` and, with two hex digits, `\x1f`",
                Quoted(text)
            );
            AnyFramingError::new(reason, self.example)
        })
    }
}

fn list(known: &[Known]) -> String {
    let shown = |known: &Known| format!("`{}{}`", known.name, if known.has_value { "=" } else { "" });
    match known {
        [] => "none".to_owned(),
        [one] => shown(one),
        [others @ .., last] => {
            format!("{} and {}", others.iter().map(shown).collect::<Vec<_>>().join(", "), shown(last))
        }
    }
}

pub(super) fn no_size(what: &str, text: &str, example: &str) -> AnyFramingError {
    AnyFramingError::new(format!("{what} {} is not a number of bytes, as `500` or `10k`", Quoted(text)), example)
}
