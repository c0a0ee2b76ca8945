//! A line, a packet; a packet, a line.

use super::line::{self, Line};
use super::{unheard, unreachable};
use crate::complain;
use crate::values::Limit;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socketserver::Endpoint;
use socketserver::client::{self, DatagramClient};
use std::io::{self, BufWriter, PipeReader, PipeWriter, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long to wait for another reply after the end of input.
pub(crate) const WAIT: Limit<Duration> = Limit(Some(Duration::from_secs(1)));
/// As large as any packet of UDP, and as much of a Unix one as servers of ours take.
const SIZE: usize = 65_535;

pub(crate) fn run(address: &Endpoint, wait: Option<Duration>) -> ExitCode {
    let mut client = match client::datagram(address) {
        Ok(client) => client,
        Err(error) => return unreachable(&error),
    };
    // We wait for two things at a time, and by ourselves.
    client.set_timeout(Some(Duration::ZERO));
    client.set_write_timeout(None);
    let client = Arc::new(client);
    let sender = match Sender::start(&client) {
        Ok(sender) => sender,
        Err(error) => {
            complain(format_args!("cannot read standard input: {error}"));
            return ExitCode::from(2);
        }
    };
    Receiver { client: &client, wait, status: 0, until: None }.run(sender)
}

/// What became of standard input.
enum Sent {
    /// So many packets.
    All(u64),
    /// It broke, or had what fits into no packet; it is said.
    Input,
    /// A packet could not be sent; it is said.
    Refused,
}

/// Sends the lines of standard input from a thread of its own: a read from a terminal cannot be called off.
struct Sender {
    thread: JoinHandle<Sent>,
    /// Hung up when the thread is done.
    done: PipeReader,
}

impl Sender {
    fn start(client: &Arc<DatagramClient>) -> io::Result<Self> {
        let (done, running) = io::pipe()?;
        let client = client.clone();
        Ok(Self { thread: std::thread::Builder::new().spawn(move || send(&client, running))?, done })
    }
}

fn send(client: &DatagramClient, _running: PipeWriter) -> Sent {
    let (mut input, mut line) = (io::stdin().lock(), Vec::new());
    let mut sent = 0_u64;
    loop {
        match line::next(&mut input, &mut line, line::MAX_PACKET) {
            Ok(Line::Whole) => {}
            Ok(Line::End) => return Sent::All(sent),
            Ok(Line::TooLong) => {
                let (number, max) = (sent + 1, line::MAX_PACKET);
                complain(format_args!("standard input: line {number} is too long: a packet holds {max} bytes"));
                return Sent::Input;
            }
            Err(error) => {
                complain(format_args!("standard input: {error}"));
                return Sent::Input;
            }
        }
        if let Err(error) = client.send(&line) {
            complain(format_args!("line {} was not sent: {error}", sent + 1));
            return Sent::Refused;
        }
        sent += 1;
    }
}

/// Prints replies, a line each, until there is nothing more to wait for.
struct Receiver<'a> {
    client: &'a DatagramClient,
    wait: Option<Duration>,
    /// With what it will end.
    status: u8,
    /// Until when another reply is waited for, once the input has ended; `None`: without end.
    until: Option<Instant>,
}

impl Receiver<'_> {
    fn run(mut self, sender: Sender) -> ExitCode {
        // Many replies that came together are written together.
        let mut out = BufWriter::with_capacity(4 * SIZE, io::stdout().lock());
        let (mut sender, mut buf) = (Some(sender), vec![0; SIZE]);
        loop {
            match self.client.recv(&mut buf) {
                Ok(packet) => {
                    if packet.is_truncated() {
                        complain(format_args!("a reply was cut: it had more than {SIZE} bytes"));
                    }
                    if let Err(error) = out.write_all(&packet).and_then(|()| out.write_all(b"\n")) {
                        return unheard(&error);
                    }
                    if sender.is_none() {
                        self.wait_again();
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                Err(error) => {
                    let flushed = out.flush();
                    complain(&error);
                    return flushed.map_or_else(|error| unheard(&error), |()| ExitCode::from(1));
                }
            }
            if let Err(error) = out.flush() {
                return unheard(&error);
            }
            match self.wait_for_more(sender.as_ref()) {
                Ok(More::Packets) => {}
                Ok(More::Nothing) => return ExitCode::from(self.status),
                Ok(More::InputEnded) => {
                    let sent = sender.take().map(|sender| sender.thread.join());
                    if !self.goes_on_after(sent.and_then(Result::ok).unwrap_or(Sent::Input)) {
                        return ExitCode::from(self.status);
                    }
                }
                Err(error) => {
                    complain(format_args!("cannot wait: {error}"));
                    return ExitCode::from(2);
                }
            }
        }
    }

    /// Whether anything can still come when the input has ended.
    fn goes_on_after(&mut self, sent: Sent) -> bool {
        self.wait_again();
        match sent {
            // Nobody knows of us.
            Sent::All(0) => return false,
            Sent::All(_) => {}
            Sent::Input => self.status = 2,
            Sent::Refused => {
                self.status = 1;
                // What has come already is printed.
                self.until = Some(Instant::now());
            }
        }
        true
    }

    fn wait_again(&mut self) {
        if self.status != 1 {
            self.until = self.wait.and_then(|wait| Instant::now().checked_add(wait));
        }
    }

    fn wait_for_more(&self, sender: Option<&Sender>) -> io::Result<More> {
        let mut ready = vec![PollFd::new(self.client, PollFlags::IN)];
        ready.extend(sender.map(|sender| PollFd::new(&sender.done, PollFlags::IN)));
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut ready, left.as_ref()) {
            Ok(0) => Ok(More::Nothing),
            Ok(_) if !ready[0].revents().is_empty() => Ok(More::Packets),
            Ok(_) => Ok(More::InputEnded),
            // A look costs nothing.
            Err(Errno::INTR) => Ok(More::Packets),
            Err(error) => Err(error.into()),
        }
    }
}

enum More {
    Packets,
    InputEnded,
    Nothing,
}
