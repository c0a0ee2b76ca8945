#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::{PATIENCE, skip};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The interpreter of Python 3, for clients as people write them.
///
/// ```
/// use socketserver_testkit::Python;
/// if let Some(python) = Python::find() {
///     assert_eq!(python.program("import sys; print(sys.argv[1], end='')", &["hello"]), "hello");
/// }
/// ```
#[derive(Debug)]
pub struct Python(&'static str);

/// What [`Python::client`] puts before a program.
const CLIENT: &str = include_str!("client.py");

impl Python {
    /// `None` where there is none: then it says so, and the test is skipped. With `CI=true` in the environment it panics.
    #[must_use]
    pub fn find() -> Option<Self> {
        Self::find_that("--version", "python3")
    }

    /// One that has this module, as the package that is named brings it along: `websockets` of `python3-websockets`. The first
    /// interpreter on the path need not be the system's.
    #[must_use]
    pub fn with(module: &str, package: &str) -> Option<Self> {
        Self::find_that(&format!("-cimport {module}"), package)
    }

    fn find_that(can: &str, package: &str) -> Option<Self> {
        let there = |python: &&str| Command::new(python).arg(can).output().is_ok_and(|output| output.status.success());
        let found = ["python3", "/usr/bin/python3"].into_iter().find(there).map(Self);
        if found.is_none() {
            skip(package);
        }
        found
    }

    /// Runs a client to its end and gives what it prints. It begins with `address`, which is an endpoint, and has
    /// `connect()`, a socket that is connected there (`connect('127.0.0.2')`: from there), `exactly(s, count)`, which
    /// reads so much, `everything(s)`, which reads to the end, and `ask(s, packet)`, which sends a packet and gives the next
    /// that comes.
    #[track_caller]
    pub fn client(&self, address: &str, program: &str) -> String {
        self.client_with(address, program, &[])
    }

    /// As [`client`](Self::client), with something more for the program to know: `sys.argv[2]` and so on.
    #[track_caller]
    pub fn client_with(&self, address: &str, program: &str, more: &[&str]) -> String {
        self.program(&format!("{CLIENT}\n{program}"), &[&[address], more].concat())
    }

    /// Runs a program to its end and gives what it prints.
    ///
    /// # Panics
    /// When it fails, with what it says on standard error; when it takes longer than twice [`PATIENCE`].
    #[track_caller]
    pub fn program(&self, program: &str, args: &[&str]) -> String {
        self.program_within(2 * PATIENCE, program, args)
    }

    /// As [`program`](Self::program), for one that may take so long: it drives a browser, say, and the machine is busy.
    ///
    /// # Panics
    /// When it fails, with what it says on standard error; when it takes longer than `time`.
    #[track_caller]
    pub fn program_within(&self, time: Duration, program: &str, args: &[&str]) -> String {
        let mut command = Command::new(self.0);
        command.args(["-c", program]).args(args);
        let python = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&python);
        let ended = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        // What it prints is read meanwhile: it may wait for that.
        let reader = std::thread::spawn(move || python.wait_with_output().unwrap());
        let patience = Timespec { tv_sec: time.as_secs().try_into().unwrap(), tv_nsec: 0 };
        let in_time = poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&patience)).unwrap() > 0;
        if !in_time {
            let _ = pidfd_send_signal(&ended, Signal::KILL);
        }
        let output = reader.join().unwrap();
        assert!(in_time, "it hangs; {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}
