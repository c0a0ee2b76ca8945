//! A terminal as a document shows it: `$ command`, what is printed, `^C`.

use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long anything may take before it counts as hanging; something may have to be compiled first.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs one command after the other. One that goes on is killed when this is dropped.
#[derive(Default)]
pub(crate) struct Terminal {
    running: Option<Running>,
}

struct Running {
    command: String,
    child: Child,
    keyboard: Option<ChildStdin>,
    printed: Receiver<String>,
    interrupted: bool,
}

impl Terminal {
    /// Does what a block shows: starts each command once the one before it has ended, and expects what is printed, line by
    /// line. `…` in a line is any text, and a line that is no more than that any lines. The last command may go on, but after
    /// `^C` and after any lines at the end it is waited for.
    pub(crate) fn show(&mut self, block: &str, make: impl Fn(&str) -> Command) {
        let mut anything = false;
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                self.end(anything);
                anything = false;
                self.running = Some(Running::start(command, make(command)));
            } else if line == "^C" {
                self.running().interrupt();
            } else if line == "…" {
                anything = true;
            } else {
                self.running().expect(line, anything);
                anything = false;
            }
        }
        if anything || self.running.as_ref().is_some_and(|running| running.interrupted) {
            self.end(anything);
        }
    }

    /// Types something.
    pub(crate) fn typed(&mut self, text: &str) {
        let running = self.running();
        running.keyboard.as_mut().unwrap().write_all(text.as_bytes()).unwrap_or_else(|error| {
            panic!("`{}` takes no input: {error}", running.command);
        });
    }

    /// Expects that the command ends, and has printed no more than was shown.
    pub(crate) fn end(&mut self, anything: bool) {
        if let Some(running) = self.running.take() {
            running.end(anything);
        }
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("a command was started in this terminal")
    }
}

impl Running {
    fn start(text: &str, mut command: Command) -> Self {
        // Both outputs in their order, as a terminal has them.
        let (printed, output) = std::io::pipe().unwrap();
        command.stdout(output.try_clone().unwrap()).stderr(output).stdin(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(printed).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let keyboard = child.stdin.take();
        Self { command: text.to_owned(), child, keyboard, printed: lines, interrupted: false }
    }

    fn interrupt(&mut self) {
        kill_process_group(Pid::from_child(&self.child), Signal::INT).expect("it is still there");
        self.interrupted = true;
    }

    fn next(&self, wanted: &str) -> Option<String> {
        match self.printed.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("`{}` goes on and prints nothing; wanted: {wanted}", self.command),
        }
    }

    fn expect(&self, wanted: &str, anything: bool) {
        let mut passed = Vec::new();
        loop {
            let Some(line) = self.next(wanted) else {
                panic!("`{}` has ended and printed {passed:#?}; wanted: {wanted}", self.command);
            };
            if suits(wanted, &line) {
                return;
            }
            assert!(anything, "`{}` printed\n  {line}\nand not\n  {wanted}", self.command);
            passed.push(line);
        }
    }

    fn end(mut self, anything: bool) {
        while let Some(line) = self.next("its end") {
            assert!(anything, "`{}` printed\n  {line}\nwhich is not shown", self.command);
        }
        // It has closed both outputs: it ends, or has put itself where no terminal is.
        let status = self.child.wait().unwrap();
        assert!(status.success() || self.interrupted, "`{}` ended with {status}", self.command);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Whether a line is as it was shown, where `…` is any text.
fn suits(shown: &str, line: &str) -> bool {
    let Some((first, rest)) = shown.split_once('…') else { return shown == line };
    let Some(mut left) = line.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = rest.split('…').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = left.split_once(part) else { return false };
        left = after;
    }
    left.ends_with(last)
}
