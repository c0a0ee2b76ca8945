//! What makes a test three lines: the command as a server, the command to its end, a Python client.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use socketserver_testkit::{Client, PATIENCE, Process};
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Each model that a server can run on.
pub(crate) const MODELS: [&str; 4] = ["tasks", "serial", "threads", "forks"];

/// Those that serve several connections at a time.
pub(crate) const PARALLEL: [&str; 3] = ["tasks", "threads", "forks"];

/// The command with these arguments.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_socketserver"));
    command.args(args);
    command
}

/// The command with these arguments, started by a shell after these words.
pub(crate) fn after(shell: &str, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{shell}; exec \"$0\" \"$@\"")).arg(env!("CARGO_BIN_EXE_socketserver")).args(args);
    command
}

/// A place for a Unix socket; it goes with the directory.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("socket")
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.path().display())
    }
}

/// `socketserver serve …` in a process of its own, listening. Dropping it kills it.
pub(crate) struct Served {
    child: Child,
    addresses: Vec<String>,
    lines: Receiver<String>,
    seen: RefCell<Vec<String>>,
}

/// How a server came to its end.
pub(crate) struct Ended {
    /// Its exit status; `None`: a signal killed it.
    pub(crate) status: Option<i32>,
    /// Every line that it wrote.
    pub(crate) lines: Vec<String>,
}

impl Ended {
    /// The lines that begin so.
    pub(crate) fn lines(&self, beginning: &str) -> Vec<&str> {
        self.lines.iter().map(|line| &**line).filter(|line| line.starts_with(beginning)).collect()
    }

    /// The one line that begins so.
    #[track_caller]
    pub(crate) fn line(&self, beginning: &str) -> &str {
        let lines = self.lines(beginning);
        assert_eq!(lines.len(), 1, "lines `{beginning}…` in {:#?}", self.lines);
        lines[0]
    }
}

impl Served {
    /// Starts `serve` with these arguments and waits until it listens at one address.
    #[track_caller]
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::listening(command(&[&["serve"], args].concat()), 1)
    }

    /// Starts the command and waits until it listens at so many addresses.
    #[track_caller]
    pub(crate) fn listening(mut command: Command, addresses: usize) -> Self {
        // A group of its own, so that a signal to a group finds the server alone.
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        let mut served = Self::adopt(command.stderr(Stdio::piped()).spawn().unwrap());
        for _ in 0..addresses {
            let line = served.line("listening on ");
            served.addresses.push(line["listening on ".len()..].to_owned());
        }
        served
    }

    /// A server that was started, whose standard error is piped.
    pub(crate) fn adopt(mut child: Child) -> Self {
        let stderr = child.stderr.take().unwrap();
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, addresses: Vec::new(), lines, seen: RefCell::default() }
    }

    /// Where it listens, as it says.
    pub(crate) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Where it listens first.
    pub(crate) fn address(&self) -> &str {
        &self.addresses[0]
    }

    /// A plain client of it.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        client(self.address())
    }

    /// That it serves as an echo, shown by one more client.
    #[track_caller]
    pub(crate) fn is_served(&self) {
        let mut client = self.client();
        client.say("ping");
        client.expect("ping");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn process(&self) -> Process {
        Process::of(self.pid())
    }

    /// Waits for the next line, among those not yet waited past, that begins so.
    #[track_caller]
    pub(crate) fn line(&self, beginning: &str) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(give_up.saturating_duration_since(Instant::now())) {
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

    /// The line, among those waited past, that begins so.
    #[track_caller]
    pub(crate) fn said(&self, beginning: &str) -> String {
        let seen = self.seen.borrow();
        let line = seen.iter().find(|line| line.starts_with(beginning));
        line.unwrap_or_else(|| panic!("no line `{beginning}…` in {seen:#?}")).clone()
    }

    /// Sends a signal to it alone.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal);
    }

    /// Sends a signal to its whole process group, as Ctrl-C does.
    pub(crate) fn signal_group(&self, signal: Signal) {
        rustix::process::kill_process_group(pid(self.pid()), signal).unwrap();
    }

    /// Asks it to stop (TERM), and waits until it has.
    #[track_caller]
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits until it has ended, with every child that it has.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ended {
        let give_up = Instant::now() + PATIENCE;
        loop {
            // Its children write to the same pipe: it ends with the last of them.
            match self.lines.recv_timeout(give_up.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.borrow_mut().push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end; so far {:#?}", self.seen.borrow()),
            }
        }
        let status = status(&mut self.child);
        Ended { status, lines: self.seen.take() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A plain client of whoever listens there.
#[track_caller]
pub(crate) fn client(address: &str) -> Client {
    Client::connect(&address.parse().unwrap()).unwrap()
}

/// Sends a signal to a process.
pub(crate) fn kill(process: u32, signal: Signal) {
    rustix::process::kill_process(pid(process), signal).unwrap();
}

fn pid(process: u32) -> Pid {
    Pid::from_raw(process.cast_signed()).unwrap()
}

/// Waits for a child's end. `None`: a signal killed it.
#[track_caller]
pub(crate) fn status(child: &mut Child) -> Option<i32> {
    let ended = pidfd_open(pid(child.id()), PidfdFlags::empty()).unwrap();
    if !is_readable(&ended) {
        let _ = child.kill();
        panic!("process {} does not end", child.id());
    }
    child.wait().unwrap().code()
}

/// Waits until there is something to read there.
fn is_readable(fd: impl AsFd) -> bool {
    let time = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&time)).unwrap() == 1
}

/// Waits for the next connection. What is read from it is waited for no longer than that.
#[track_caller]
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    assert!(is_readable(listener), "nobody connects");
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// An address that is taken, and where nobody listens.
pub(crate) fn bound() -> (rustix::fd::OwnedFd, String) {
    use rustix::net::{AddressFamily, SocketAddr, SocketAddrV4, SocketType, bind, getsockname, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
    (socket, format!("tcp://{address}"))
}

/// What a command that came to its end has left.
pub(crate) struct Output {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Output {
    /// That it succeeded and said nothing beside this.
    #[track_caller]
    pub(crate) fn is(&self, stdout: impl AsRef<[u8]>) {
        let Self { status, stdout: got, stderr } = self;
        assert_eq!((*status, &**stderr), (Some(0), ""));
        assert!(got == stdout.as_ref(), "got {:?}", String::from_utf8_lossy(got));
    }

    /// That it failed with this status, and with one line that has these words, and printed nothing else.
    #[track_caller]
    pub(crate) fn failed(&self, status: i32, words: &[&str]) {
        let Self { status: got, stdout, stderr } = self;
        assert_eq!((*got, &**stdout), (Some(status), &b""[..]), "{stderr}");
        // The parser of the arguments points to --help under every line of its own.
        let said: Vec<_> =
            stderr.lines().filter(|line| !line.is_empty() && !line.starts_with("For more information")).collect();
        assert_eq!(said.len(), 1, "{stderr}");
        assert!(said[0].starts_with("error: ") || said[0].starts_with("socketserver: "), "{stderr}");
        for word in words {
            assert!(said[0].contains(word), "`{word}` is not in {stderr}");
        }
    }
}

/// A command that runs, with all its streams in hand. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    /// Starts it; its input stays open until it is [given](Self::give) or [ended](Self::output).
    pub(crate) fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let stderr = child.stderr.take().map(read);
        Self { child, stdout: None, stderr }
    }

    /// Gives it this input. Nobody reads what it prints until then.
    pub(crate) fn give(&mut self, input: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(input).unwrap();
    }

    /// Waits until it has printed exactly this.
    #[track_caller]
    pub(crate) fn prints(&mut self, expected: &str) {
        let stdout = self.child.stdout.as_mut().unwrap();
        let (mut got, mut piece) = (Vec::new(), [0; 4096]);
        while got.len() < expected.len() {
            assert!(is_readable(&*stdout), "it printed {:?} so far", String::from_utf8_lossy(&got));
            let max = piece.len().min(expected.len() - got.len());
            let count = stdout.read(&mut piece[..max]).unwrap();
            assert_ne!(count, 0, "it has ended, and printed {:?}", String::from_utf8_lossy(&got));
            got.extend(&piece[..count]);
        }
        assert!(got == expected.as_bytes(), "got {:?}", String::from_utf8_lossy(&got));
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives it as much as it takes; returns when it has taken nothing for a moment.
    pub(crate) fn stuff(&mut self) {
        let stdin = self.child.stdin.as_mut().unwrap();
        rustix::io::ioctl_fionbio(&mut *stdin, true).unwrap();
        let piece = [b'x'; 64 * 1024];
        let mut sent = 0;
        let moment = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };
        while poll(&mut [PollFd::new(&*stdin, PollFlags::OUT)], Some(&moment)).unwrap() == 1 {
            sent += stdin.write(&piece).unwrap();
            assert!(sent < 1 << 30, "it takes everything");
        }
    }

    /// Waits for its end with its input still open.
    #[track_caller]
    pub(crate) fn output_with_open_input(mut self) -> Output {
        self.stdout = self.child.stdout.take().map(read);
        let status = status(&mut self.child);
        let join = |reader: &mut Option<JoinHandle<Vec<u8>>>| reader.take().unwrap().join().unwrap();
        let stdout = join(&mut self.stdout);
        Output { status, stdout, stderr: String::from_utf8(join(&mut self.stderr)).unwrap() }
    }

    /// Ends its input and waits for its end.
    #[track_caller]
    pub(crate) fn output(mut self) -> Output {
        drop(self.child.stdin.take());
        self.output_with_open_input()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    })
}

/// Runs the command with this input to its end.
#[track_caller]
pub(crate) fn run(args: &[&str], input: &[u8]) -> Output {
    let mut running = Running::start(&mut command(args));
    // What it prints is read meanwhile: it may wait for that before it takes more.
    running.stdout = running.child.stdout.take().map(read);
    let mut stdin = running.child.stdin.take().unwrap();
    let input = input.to_owned();
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let status = status(&mut running.child);
    feeder.join().unwrap();
    let stdout = running.stdout.take().unwrap().join().unwrap();
    let stderr = String::from_utf8(running.stderr.take().unwrap().join().unwrap()).unwrap();
    Output { status, stdout, stderr }
}

/// Reads the first line that somebody writes, and no more of it.
#[track_caller]
pub(crate) fn first_line(stderr: ChildStderr) -> String {
    assert!(is_readable(&stderr), "it says nothing");
    let mut line = String::new();
    BufReader::new(stderr).read_line(&mut line).unwrap();
    line
}

/// How long a drain may take where it is to end earlier by itself.
pub(crate) const LONG: &str = "60s";

const _: () = assert!(PATIENCE.as_secs() < Duration::from_secs(60).as_secs());
