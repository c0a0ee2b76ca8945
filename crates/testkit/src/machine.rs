//! What a test wants of the machine that it runs on.

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
/// tests at a time.
///
/// # Panics
/// When the hard limit is lower, `getrlimit(2)`.
pub fn allow_descriptors(count: u64) {
    if socketserver_sys::descriptor_limit().is_some_and(|limit| limit < count) {
        socketserver_sys::set_descriptor_limit(count).expect("the hard limit is as high");
    }
}
