//! What a test wants of the machine that it runs on.

use socketserver_sys::{descriptor_limit, set_descriptor_limit};
use std::fmt;
use std::process::{Command, Stdio};

/// Says that a test is skipped, and for want of what.
///
/// # Panics
/// With `CI=true` in the environment: there nothing is left out.
#[track_caller]
pub fn skip(wanted: impl fmt::Display) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs {wanted}");
    eprintln!("skipped: it needs {wanted}");
}

/// Whether this program is there: it is asked for its version so (`--version`). If not, the test is to be [skipped](skip).
///
/// ```
/// use socketserver_testkit::is_installed;
/// if is_installed("openssl", "version") {
///     // The test.
/// }
/// ```
///
/// # Panics
/// As [`skip`].
#[track_caller]
#[must_use]
pub fn is_installed(program: &str, version: &str) -> bool {
    let asked = Command::new(program).arg(version).stdin(Stdio::null()).output();
    let there = asked.is_ok_and(|output| output.status.success());
    if !there {
        skip(program);
    }
    there
}

/// Lets this process, and those that it starts, have so many descriptors open at least: for the many clients of several
/// tests at a time. Call it first in `main`.
///
/// ```
/// socketserver_testkit::allow_descriptors(1024);
/// ```
///
/// # Panics
/// When the hard limit is lower, `getrlimit(2)`: that is to be raised outside (`ulimit -Hn`).
pub fn allow_descriptors(count: u64) {
    if descriptor_limit().is_some_and(|limit| limit < count) {
        limit_descriptors(count);
    }
}

/// Lets this process have no more than so many descriptors open: whatever asks for another is refused (`EMFILE`). It is
/// the same for everything in the process, so a server that is to run out of them wants one of its own, as a
/// [role](crate::Role) has. What is open stays open.
///
/// ```
/// use std::{fs::File, net::TcpListener};
///
/// socketserver_testkit::limit_descriptors(64);
/// let all: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
/// assert!(all.len() < 64 && TcpListener::bind("127.0.0.1:0").is_err());
/// drop(all);
/// assert!(TcpListener::bind("127.0.0.1:0").is_ok());
/// # Ok::<_, std::io::Error>(())
/// ```
///
/// # Panics
/// When that is more than the hard limit.
pub fn limit_descriptors(count: u64) {
    set_descriptor_limit(count).unwrap_or_else(|error| panic!("a limit of {count} descriptors: {error}"));
}
