use crate::limits::spoken;
use crate::{Limits, Outcome, Output, Status};

/// What a command said, gathered: the classic wires say it in one piece.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Gathered {
    pub(crate) fn take(&mut self, output: Output, bytes: &[u8]) {
        match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        }
        .extend_from_slice(bytes);
    }

    /// Standard error if there is any, else standard output, and a line for each limit that struck.
    pub(crate) fn into_result(self, outcome: &Outcome, limits: Limits, program: &str) -> Vec<u8> {
        let mut result = if self.stderr.is_empty() { self.stdout } else { self.stderr };
        if outcome.cut {
            add_line(&mut result, &format!("[output cut at {}]", limits.output));
        }
        match outcome.status {
            Status::TimedOut => {
                let time = spoken(limits.timeout.unwrap_or_default());
                add_line(&mut result, &format!("[timed out after {time}; killed]"));
            }
            Status::NotStarted(errno) => {
                let error = std::io::Error::from_raw_os_error(errno);
                add_line(&mut result, &format!("cannot run `{program}`: {error}"));
            }
            Status::Lost => {
                add_line(&mut result, "[what became of the command is not known: its supervisor was killed]")
            }
            _ => {}
        }
        result
    }
}

fn add_line(to: &mut Vec<u8>, line: &str) {
    if to.last().is_some_and(|last| *last != b'\n') {
        to.push(b'\n');
    }
    to.extend_from_slice(line.as_bytes());
    to.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn result(stdout: &str, stderr: &str, status: Status, cut: bool) -> String {
        let mut gathered = Gathered::default();
        gathered.take(Output::Stdout, stdout.as_bytes());
        gathered.take(Output::Stderr, stderr.as_bytes());
        let outcome = Outcome { status, cut, left: 0, duration: Duration::ZERO };
        String::from_utf8(gathered.into_result(&outcome, Limits::default(), "/bin/x")).unwrap()
    }

    #[test]
    fn standard_error_goes_before_standard_output() {
        assert_eq!(result("out\n", "", Status::Exited(1), false), "out\n");
        assert_eq!(result("out\n", "err\n", Status::Exited(0), false), "err\n");
        assert_eq!(result("", "", Status::Exited(0), false), "");
    }

    #[test]
    fn limits_that_struck_have_a_line_each() {
        assert_eq!(result("ou", "", Status::Killed(13), true), "ou\n[output cut at 16 MiB]\n");
        assert_eq!(result("", "", Status::TimedOut, false), "[timed out after 30 s; killed]\n");
        assert_eq!(
            result("ou\n", "", Status::TimedOut, true),
            "ou\n[output cut at 16 MiB]\n[timed out after 30 s; killed]\n"
        );
        assert!(result("", "", Status::NotStarted(2), false).starts_with("cannot run `/bin/x`: No such file"));
    }
}
