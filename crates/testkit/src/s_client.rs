use crate::{OpenSsl, PATIENCE};
use socketserver::Endpoint;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

/// OpenSSL's client, `openssl s_client`, while it is connected. It tells facts of the session, and then what the server says,
/// line by line. Dropping it kills it.
#[derive(Debug)]
pub struct SClient {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
}

/// What OpenSSL's client printed, and how it ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct SClientEnded {
    /// Whether it holds that all went well.
    pub success: bool,
    /// Facts of the session, what the server said, and what it complains of.
    pub said: Vec<String>,
}

impl SClientEnded {
    /// Whether the server said this line.
    #[must_use]
    pub fn heard(&self, line: &str) -> bool {
        // It may come in the middle of a table that waits in a buffer of the client's.
        self.said.iter().any(|said| said.ends_with(line))
    }

    /// Whether this is in any line.
    #[must_use]
    pub fn tells(&self, words: &str) -> bool {
        self.said.iter().any(|said| said.contains(words))
    }

    /// What follows the first of these words that it printed, to the end of the line.
    #[must_use]
    pub fn fact(&self, word: &str) -> Option<&str> {
        self.said.iter().find_map(|line| line.trim().strip_prefix(word))
    }
}

impl SClient {
    /// Tells it to say this. One that begins with `R`, `K`, `k` or `Q` is a command of its own: see `openssl-s_client(1)`.
    pub fn say(&mut self, line: &str) {
        // One that does not hear it has its reasons.
        let _ = self.stdin.as_mut().map(|stdin| stdin.write_all(format!("{line}\n").as_bytes()));
    }

    /// Waits for this line, of the server's or its own; `false`: it has ended before that.
    ///
    /// # Panics
    /// When nothing comes for [`PATIENCE`], with what came.
    #[track_caller]
    pub fn hears(&mut self, line: &str) -> bool {
        self.wait_for(|said| said.ends_with(line))
    }

    fn wait_for(&mut self, is: impl Fn(&str) -> bool) -> bool {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(give_up.saturating_duration_since(Instant::now())) {
                Ok(said) => {
                    self.seen.push(said);
                    if self.seen.last().is_some_and(|said| is(said)) {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => panic!("it hangs; it said {:#?}", self.seen),
            }
        }
    }

    /// Waits until the connection is over, which the server has to see to.
    ///
    /// # Panics
    /// When it does not end in time, with what it said.
    #[track_caller]
    #[must_use]
    pub fn end(mut self) -> SClientEnded {
        self.wait_for(|_| false);
        drop(self.stdin.take());
        let success = self.child.wait().is_ok_and(|status| status.success());
        SClientEnded { success, said: std::mem::take(&mut self.seen) }
    }
}

impl Drop for SClient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl OpenSsl {
    /// Starts `openssl s_client` in the directory. It knows no authority unless `args` say so, and does not mind.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn connect(&self, at: &Endpoint, args: &[&str]) -> SClient {
        let (_, port) = at.tcp().expect("an endpoint of TCP");
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &format!("127.0.0.1:{port}")]).args(args);
        command.current_dir(self.dir()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("openssl starts");
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (send, lines) = channel();
        let complains = send.clone();
        std::thread::spawn(move || read_lines(stdout, &send));
        std::thread::spawn(move || read_lines(stderr, &complains));
        let stdin = child.stdin.take();
        SClient { child, stdin, lines, seen: Vec::new() }
    }

    /// Starts `openssl s_client`, which says these lines at once, and waits until the connection is over.
    ///
    /// # Panics
    /// As [`connect`](Self::connect) and [`SClient::end`].
    #[track_caller]
    #[must_use]
    pub fn ask(&self, at: &Endpoint, args: &[&str], lines: &str) -> SClientEnded {
        let mut client = self.connect(at, args);
        client.say(lines);
        client.end()
    }
}

fn read_lines(output: impl Read, send: &Sender<String>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        if send.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
            return;
        }
        line.clear();
    }
}
