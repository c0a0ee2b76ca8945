use crate::PATIENCE;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A process as `/proc` shows it (`proc(5)`): what it holds, and so what it has leaked.
///
/// ```
/// use socketserver_testkit::Process;
/// let me = Process::me();
/// let before = me.descriptors().len();
/// let file = std::fs::File::open("/dev/null").unwrap();
/// assert_eq!(me.descriptors().len(), before + 1);
/// drop(file);
/// me.settles("the file is closed", |me| me.descriptors().len() == before);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pid: u32,
}

impl Process {
    /// This one.
    #[must_use]
    pub fn me() -> Self {
        Self { pid: std::process::id() }
    }

    /// That one.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self { pid }
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    fn path(&self, name: &str) -> PathBuf {
        format!("/proc/{}/{name}", self.pid).into()
    }

    /// What it does at the moment, by the letter of `proc(5)`: `S` waits for something, `T` was stopped, `Z` has ended
    /// and was not yet waited for. `None`: it is gone. The number may be that of a single thread.
    #[must_use]
    pub fn state(&self) -> Option<char> {
        let stat = fs::read_to_string(self.path("stat")).ok()?;
        // The name before it is in parentheses, and may have some of its own.
        stat.rsplit_once(") ")?.1.chars().next()
    }

    /// Sends it a signal. The number may be that of a single thread, which is then the one that the signal meets: the
    /// kernel takes any thread that does not block it, and the one that was named before all others.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid.cast_signed()).expect("the number of a process");
        rustix::process::kill_process(pid, signal).expect("the process is there");
    }

    /// Holds on to it: its end can then be waited for, whoever its parent is.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn hold(&self) -> Held {
        let pid = Pid::from_raw(self.pid.cast_signed()).expect("the number of a process");
        Held { pidfd: rustix::process::pidfd_open(pid, PidfdFlags::empty()).expect("the process is there") }
    }

    /// How many threads it has; 0 when it is gone.
    #[must_use]
    pub fn threads(&self) -> usize {
        fs::read_dir(self.path("task")).map_or(0, Iterator::count)
    }

    /// Whether every thread of it waits for something: none runs, and none is about to.
    #[must_use]
    pub fn waits(&self) -> bool {
        let Ok(tasks) = fs::read_dir(self.path("task")) else { return false };
        let mut threads = tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok());
        threads.all(|thread| Self::of(thread).state() == Some('S'))
    }

    /// Its children, zombies too.
    #[must_use]
    pub fn children(&self) -> Vec<u32> {
        let Ok(tasks) = fs::read_dir(self.path("task")) else { return Vec::new() };
        let of_task = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let all: String = tasks.flatten().map(of_task).collect();
        all.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// What its descriptors stand for, in no order; the one that reads the list is left out.
    #[must_use]
    pub fn descriptors(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path("fd")) else { return Vec::new() };
        let own_list = format!("/proc/{}/fd", self.pid);
        let targets = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.map(|target| target.to_string_lossy().into_owned()).filter(|target| *target != own_list).collect()
    }

    /// Its sockets, each by its own name: one that was not there before is told from one that was.
    #[must_use]
    pub fn sockets(&self) -> BTreeSet<String> {
        self.descriptors().into_iter().filter(|target| target.starts_with("socket:")).collect()
    }

    /// Its resident memory in bytes.
    #[must_use]
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(self.path("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
    }

    /// The processor time it has used.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        socketserver_sys::process_cpu(self.pid).expect("the process is there")
    }

    /// Waits until `is` holds of it. There is no event for what `/proc` shows, so this looks again and again.
    ///
    /// # Panics
    /// When it does not come to that in [`PATIENCE`], with what the process holds instead.
    pub fn settles(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let give_up = Instant::now() + PATIENCE;
        while !is(self) {
            assert!(
                Instant::now() < give_up,
                "not so: {what}; {} threads, children {:?}, descriptors {:?}",
                self.threads(),
                self.children(),
                self.descriptors()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A process that is held by its pidfd, which no other can be taken for. Dropping it kills the process: a server's child
/// that outlived its parent shall not outlive the test.
#[derive(Debug)]
pub struct Held {
    pidfd: OwnedFd,
}

impl Held {
    /// Waits until it has ended; nobody need have waited for it as a child.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn expect_end(&self) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let left = Timespec::try_from(give_up.saturating_duration_since(Instant::now())).ok();
            match rustix::event::poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], left.as_ref()) {
                Ok(0) => panic!("the process is still there"),
                Ok(_) => return,
                Err(error) => assert!(error == rustix::io::Errno::INTR, "cannot wait for it: {error}"),
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
    }
}
