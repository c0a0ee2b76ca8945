use crate::cast::{How, assign};
use crate::{Caller, Client, LeakCheck, PATIENCE, Process};
use rustix::process::{Pid, Signal};
use socketserver::Endpoint;
use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

/// A server in a process of its own, which plays a role of this test program; see [`play`](crate::play).
///
/// It tells what happens in lines: `listening tcp://…`, `opened id=1 …`, `closed id=1 reason=finished …`,
/// `report served=…`, `packets received=…` if there were any, and what the role itself [tells](crate::Cast::tell). Dropping it kills it.
#[derive(Debug)]
pub struct Stage {
    child: Child,
    how: How,
    endpoints: Vec<Endpoint>,
    lines: Receiver<String>,
    seen: RefCell<Vec<String>>,
}

/// How a server came to its end.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended {
    /// Its exit status; `None`: a signal killed it.
    pub status: Option<i32>,
    /// Every line that it told.
    pub lines: Vec<String>,
}

impl Ended {
    /// How many of its lines begin so.
    #[must_use]
    pub fn count(&self, beginning: &str) -> usize {
        self.lines.iter().filter(|line| line.starts_with(beginning)).count()
    }

    /// The first line that begins so.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn line(&self, beginning: &str) -> &str {
        let line = self.lines.iter().find(|line| line.starts_with(beginning));
        line.unwrap_or_else(|| panic!("no line `{beginning}…` in {:#?}", self.lines))
    }
}

impl Stage {
    /// Starts the server and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn open(role: &str, how: How, endpoint: &str) -> Self {
        Self::open_all(role, how, &[endpoint])
    }

    /// As [`open`](Self::open), at several addresses.
    ///
    /// # Panics
    /// When it does not listen at all of them.
    #[must_use]
    pub fn open_all(role: &str, how: How, endpoints: &[&str]) -> Self {
        let mut stage = Self::try_open(role, how, &endpoints.join("\n"));
        for _ in endpoints {
            let line = stage.line("listening ");
            stage.endpoints.push(line["listening ".len()..].parse().expect("an endpoint"));
        }
        stage
    }

    /// As [`open`](Self::open), with something more for the role to know: the second of its
    /// [endpoints](crate::Cast::endpoints).
    ///
    /// # Panics
    /// When it does not listen.
    #[must_use]
    pub fn open_with(role: &str, how: How, endpoint: &str, more: &str) -> Self {
        let mut stage = Self::try_open(role, how, &format!("{endpoint}\n{more}"));
        let line = stage.line("listening ");
        stage.endpoints.push(line["listening ".len()..].parse().expect("an endpoint"));
        stage
    }

    /// Starts the server; whether it will listen remains to be seen.
    ///
    /// # Panics
    /// When no process can be started.
    #[must_use]
    pub fn try_open(role: &str, how: How, endpoint: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        assign(&mut command, role, how, endpoint);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("this program starts again");
        let stdout = child.stdout.take().expect("it is piped");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, how, endpoints: Vec::new(), lines, seen: RefCell::default() }
    }

    /// Where it listens.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.endpoints.first().expect("it listens")
    }

    /// Where it listens, in the order that was asked for.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// A plain client of it.
    ///
    /// # Panics
    /// When it cannot connect.
    #[must_use]
    pub fn connect(&self) -> Client {
        Client::connect(self.endpoint()).expect("the server is there")
    }

    /// A plain client that sends it packets.
    ///
    /// # Panics
    /// When there can be no such socket.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller::of(self.endpoint()).expect("the server is there")
    }

    /// The server's process.
    #[must_use]
    pub fn process(&self) -> Process {
        Process::of(self.child.id())
    }

    /// Begins to watch what the server holds, once it rests; for that it must have done what its clients will have it do.
    ///
    /// # Panics
    /// When it does not come to rest.
    #[must_use]
    pub fn leak_check(&self) -> LeakCheck {
        self.leak_check_with(0)
    }

    /// As [`leak_check`](Self::leak_check), where the handler, or what it does beside, keeps so many threads more than
    /// the model does.
    ///
    /// # Panics
    /// When it does not come to rest.
    #[must_use]
    pub fn leak_check_with(&self, more_threads: usize) -> LeakCheck {
        let (threads, ready) = self.how.at_rest();
        // Children are kept ready for connections alone.
        let packets = |endpoint| matches!(endpoint, &Endpoint::Udp { .. } | &Endpoint::Unixgram { .. });
        let children = if self.endpoints.iter().all(packets) { 0 } else { ready };
        LeakCheck::begin_at_rest(self.process(), threads + more_threads, children)
    }

    /// Waits for the next line, among those not yet waited past, that begins so.
    ///
    /// # Panics
    /// When there is none in time, with all lines that there were.
    pub fn line(&self, beginning: &str) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.borrow_mut().push(line.clone());
                    if line.starts_with(beginning) {
                        return line;
                    }
                }
                Err(error) => panic!("no line `{beginning}…` ({error}) in {:#?}", self.seen.borrow()),
            }
        }
    }

    /// Every line that has come so far.
    pub fn so_far(&self) -> Vec<String> {
        self.seen.borrow_mut().extend(self.lines.try_iter());
        self.seen.borrow().clone()
    }

    /// Sends a signal to the server's own process.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Asks it to stop (TERM), and waits until it has.
    #[must_use]
    pub fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not in time.
    #[must_use]
    pub fn wait(mut self) -> Ended {
        let give_up = Instant::now() + PATIENCE;
        // Its output ends when the last of its processes has: so this waits for children too.
        loop {
            match self.lines.recv_timeout(give_up.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.borrow_mut().push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end; so far {:#?}", self.seen.borrow()),
            }
        }
        let status = self.child.wait().expect("it is our child").code();
        Ended { status, lines: self.seen.take() }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
