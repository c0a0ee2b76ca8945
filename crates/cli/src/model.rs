//! How `serve` runs connections, as it is typed.

use crate::values::{count, number};
use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// With so many shards, or one a processor.
    Tasks(Option<usize>),
    Serial,
    Threads(usize),
    Forks(usize),
}

impl FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = match text.split_once('=') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let max = |default| number.map_or(Ok(default), count);
        match name {
            "tasks" => number.map(shards).transpose().map(Self::Tasks),
            "serial" if number.is_some() => Err("`serial` takes no maximum: it serves one connection at a time".into()),
            "serial" => Ok(Self::Serial),
            "threads" => max(200).map(Self::Threads),
            "forks" => max(40).map(Self::Forks),
            _ => Err(format!(
                "`{name}` is not a model; one of `tasks`, `tasks=4`, `serial`, `threads`, `threads=200`, `forks`, \
                 `forks=40`"
            )),
        }
    }
}

impl Model {
    pub(crate) fn is_forks(self) -> bool {
        matches!(self, Self::Forks(_))
    }
}

/// How many runtimes share the work.
fn shards(text: &str) -> Result<usize, String> {
    number(text, 1..=1024)
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| format!("`{text}` is not a number of shards from 1 to 1024; for example `tasks=4`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models() {
        assert_eq!("tasks".parse(), Ok(Model::Tasks(None)));
        assert_eq!("tasks=2".parse(), Ok(Model::Tasks(Some(2))));
        assert!("tasks=0".parse::<Model>().unwrap_err().contains("`tasks=4`"));
        assert!("tasks=2k".parse::<Model>().unwrap_err().contains("1024"));
        assert_eq!("threads".parse(), Ok(Model::Threads(200)));
        assert_eq!("forks=8".parse(), Ok(Model::Forks(8)));
        assert!("serial=2".parse::<Model>().unwrap_err().contains("one connection"));
        assert!("thread".parse::<Model>().unwrap_err().contains("`threads`"));
    }
}
