//! File descriptors for as many connections as a row has.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For all that is no connection: listeners, epoll instances, pipes.
const OTHERS: u64 = 64;

/// Raises the soft limit of this process, and of servers started hereafter, if that many connections need it.
///
/// # Errors
///
/// When the hard limit is too low.
pub(crate) fn ensure(connections: usize) -> io::Result<()> {
    let wanted = connections as u64 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if let Some(maximum) = maximum.filter(|maximum| *maximum < wanted) {
        let why = format!("{connections} connections need {wanted} descriptors, and the hard limit is {maximum}");
        return Err(io::Error::other(why));
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_hard_limit_is_refused_with_both_numbers() {
        assert!(ensure(1).is_ok());
        let Some(maximum) = getrlimit(Resource::Nofile).maximum else {
            return;
        };
        let error = ensure(maximum as usize).unwrap_err().to_string();
        assert!(error.contains(&maximum.to_string()) && error.contains(&(maximum + OTHERS).to_string()), "{error}");
    }
}
