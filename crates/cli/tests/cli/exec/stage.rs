//! Servers of commands, plain clients of them, and the processes that commands leave.

use crate::harness::{Served, command};
use rustix::process::Signal;
use socketserver_testkit::{Client, PATIENCE, Process, skip};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use tempfile::TempDir;

/// Whether the tests run as root, who has to name a user.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// As root alone, who can become another user; otherwise the test is to be skipped.
#[track_caller]
pub(super) fn root() -> bool {
    if !is_root() {
        skip("root");
    }
    is_root()
}

/// A directory with a file of commands, and with a mark that every process of these commands bears.
pub(super) struct Desk {
    directory: TempDir,
    mark: String,
}

static DESKS: AtomicU32 = AtomicU32::new(0);

impl Desk {
    /// With `sh TEXT`, which runs it, and what else is given in TOML.
    pub(super) fn new(more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // For commands of other users, who cannot put another file in the place of one.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let mark = format!("{}-{}", std::process::id(), DESKS.fetch_add(1, Ordering::Relaxed));
        let desk = Self { directory, mark };
        let shell = format!(
            "[sh]\nargv = ['/bin/sh', '-c']\narguments = ['(?s).*']\ndirectory = '{}'\nenvironment = {{ MARK = '{}' }}\n{more}",
            desk.directory.path().display(),
            desk.mark
        );
        desk.write("commands.toml", &shell, 0o600);
        desk
    }

    /// The command, from where every user can start it: the tree may lie in somebody's home.
    pub(super) fn command(&self, uid: u32, args: &[&str]) -> Command {
        let program = self.path("socketserver");
        if !program.exists() {
            // By another process: a file that this one writes is open in whatever other tests start meanwhile, and what is open
            // for writing is not executed (execve(2), ETXTBSY).
            let copied =
                Command::new("install").arg(env!("CARGO_BIN_EXE_socketserver")).arg(&program).status().unwrap();
            assert!(copied.success());
        }
        let mut command = Command::new(program);
        command.args(args).current_dir("/").uid(uid).gid(uid);
        command
    }

    /// A file there.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str, mode: u32) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `serve exec :0` with its commands and these arguments; with `--wire int32` unless they say another.
    pub(super) fn args(&self, more: &[&str]) -> Vec<String> {
        let file = self.path("commands.toml");
        let mut args = vec!["serve", "exec", ":0", "--commands", file.to_str().unwrap()];
        args.extend(wire(more));
        if is_root() {
            args.extend(["--user", "root"]);
        }
        args.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
    }

    /// Serves them.
    #[track_caller]
    pub(super) fn serve(&self, more: &[&str]) -> Served {
        let args = self.args(more);
        Served::listening(command(&args.iter().map(String::as_str).collect::<Vec<_>>()), 1)
    }

    /// `serve exec` at an address, with its commands and these arguments, over the native protocol.
    pub(super) fn native_args(&self, address: &str, more: &[&str]) -> Vec<String> {
        let mut args = self.args(&[&["--wire", "int32"], more].concat());
        args[2] = address.into();
        let wire = args.iter().position(|arg| arg == "--wire").unwrap();
        args.drain(wire..wire + 2);
        args
    }

    /// Serves them.
    #[track_caller]
    pub(super) fn serve_native(&self, address: &str, more: &[&str]) -> Served {
        let args = self.native_args(address, more);
        Served::listening(command(&args.iter().map(String::as_str).collect::<Vec<_>>()), 1)
    }

    /// A file with a token, which is the given text.
    pub(super) fn token(&self, text: &str) -> String {
        self.write(&format!("token-{}", text.len()), text, 0o600)
    }

    /// The processes of its commands that there are. Ended ones that nobody has waited for yet are none.
    pub(super) fn processes(&self) -> Vec<u32> {
        let mark = format!("MARK={}", self.mark);
        let is_ours = |pid: &u32| {
            let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            variables.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
                && Process::of(*pid).state().is_some_and(|state| state != 'Z')
        };
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_ours).collect()
    }

    /// Waits until there are so many at least.
    #[track_caller]
    pub(super) fn has_processes(&self, count: usize) {
        Process::me().settles(&format!("{count} processes of commands"), |_| self.processes().len() >= count);
    }

    /// Waits until there are none.
    #[track_caller]
    pub(super) fn is_empty(&self) {
        Process::me().settles("no process of a command", |_| self.processes().is_empty());
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // After a failed test.
        let give_up = Instant::now() + PATIENCE;
        while Instant::now() < give_up {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            for pid in left {
                let _ = rustix::process::kill_process(
                    rustix::process::Pid::from_raw(pid.cast_signed()).unwrap(),
                    Signal::KILL,
                );
            }
        }
    }
}

fn wire(args: &[&str]) -> &'static [&'static str] {
    if args.contains(&"--wire") { &[] } else { &["--wire", "int32"] }
}

/// `serve exec … --shell` as a user without privileges.
#[track_caller]
pub(super) fn shell(more: &[&str]) -> Served {
    let mut args = vec!["serve", "exec", ":0", "--shell"];
    args.extend(wire(more));
    if is_root() {
        args.extend(["--user", "nobody"]);
    }
    args.extend(more);
    Served::listening(command(&args), 1)
}

/// Asks for a command on the wire `int32` and gives its result.
#[track_caller]
pub(super) fn ask(client: &mut Client, request: &str) -> String {
    client.say(request);
    result(client)
}

#[track_caller]
pub(super) fn result(client: &mut Client) -> String {
    String::from_utf8(result_bytes(client)).unwrap()
}

#[track_caller]
pub(super) fn result_bytes(client: &mut Client) -> Vec<u8> {
    let length = exactly(client, 4);
    let length = i32::from_ne_bytes(length.try_into().unwrap());
    exactly(client, length.try_into().unwrap())
}

/// Reads so many bytes.
#[track_caller]
pub(super) fn exactly(client: &mut Client, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let piece = client.hear((count - bytes.len()).min(1 << 20)).unwrap();
        assert!(!piece.is_empty(), "the end after {} bytes", bytes.len());
        bytes.extend(piece);
    }
    bytes
}
