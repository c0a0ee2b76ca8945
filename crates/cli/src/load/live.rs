//! How a load comes along, on a terminal, and for the page later.

use super::figures::{grouped, time};
use super::series::{Point, Series};
use rustix::termios::tcgetwinsize;
use socketserver_load::{Latency, Progress};
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it is told how a load comes along.
pub(super) const EVERY: Duration = Duration::from_millis(100);
/// How many of those the figures on the terminal are of: a second.
const RECENT: usize = 10;
/// How many points a page has at least, if it goes on for long enough.
const POINTS: u32 = 200;
/// How wide they are where nobody knows how long it takes.
const WIDTH: Duration = Duration::from_millis(500);
/// Characters of the bar.
const BAR: usize = 20;
/// With fewer columns there is no bar: the figures need them.
const ROOM_FOR_BAR: usize = 95;

/// What ends a load.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    Time(Duration),
    Messages(u64),
}

/// A load, or a round of one, that runs.
pub(super) struct Told {
    /// Which server's: 0 or 1.
    pub(super) which: usize,
    pub(super) progress: Progress,
}

/// Watches on a thread of its own, which waits for nothing else: what it is told does not pile up.
pub(super) struct Watcher {
    thread: JoinHandle<Vec<Vec<Point>>>,
}

impl Watcher {
    /// For servers of these names, to whom this load is put in so many rounds.
    pub(super) fn start(names: Vec<String>, goal: Goal, rounds: u32) -> io::Result<(Self, Sender<Told>)> {
        let (sender, told) = channel();
        let thread =
            std::thread::Builder::new().name("watch".into()).spawn(move || watch(&names, goal, rounds, &told))?;
        Ok((Self { thread }, sender))
    }

    /// What each server's load was over time, when nobody tells anything more.
    pub(super) fn finish(self) -> Vec<Vec<Point>> {
        self.thread.join().unwrap_or_default()
    }
}

fn watch(names: &[String], goal: Goal, rounds: u32, told: &Receiver<Told>) -> Vec<Vec<Point>> {
    let width = match goal {
        Goal::Time(duration) => (duration * rounds / POINTS).max(EVERY),
        Goal::Messages(_) => WIDTH,
    };
    let mut all: Vec<_> = names.iter().map(|_| Series::new(width)).collect();
    let mut screen = Screen::of_terminal(goal);
    for Told { which, progress } in told {
        all[which].add(&progress);
        if let Some(screen) = &mut screen {
            let name = if names.len() > 1 { format!("{} ", names[which]) } else { String::new() };
            screen.show(which, &name, progress);
        }
    }
    if let Some(screen) = screen {
        screen.clear();
    }
    all.into_iter().map(Series::finish).collect()
}

/// Prints lines of which each makes the one before it old, on a thread of its own: a terminal that was stopped takes nothing for as
/// long as that goes on. What comes meanwhile is passed over, but for one line.
struct Printer {
    lines: SyncSender<String>,
    thread: JoinHandle<()>,
}

impl Printer {
    fn start(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, printed) = sync_channel::<String>(1);
        let thread = std::thread::Builder::new().name("print".into()).spawn(move || {
            for line in printed {
                // Who has no terminal any more sees nothing.
                let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
            }
        })?;
        Ok(Self { lines, thread })
    }

    fn show(&self, line: String) {
        let _ = self.lines.try_send(line);
    }

    /// The last one is printed, however long that takes.
    fn finish(self, line: String) {
        let _ = self.lines.send(line);
        drop(self.lines);
        let _ = self.thread.join();
    }
}

/// One line of the terminal at standard error.
struct Screen {
    printer: Printer,
    goal: Goal,
    which: usize,
    /// Messages of the load that runs.
    messages: u64,
    recent: VecDeque<Progress>,
}

impl Screen {
    fn of_terminal(goal: Goal) -> Option<Self> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_here = io::stderr().is_terminal() && !is_dumb;
        let printer = is_here.then(|| Printer::start(io::stderr()).ok()).flatten()?;
        Some(Self { printer, goal, which: 0, messages: 0, recent: VecDeque::new() })
    }

    fn show(&mut self, which: usize, name: &str, progress: Progress) {
        // Of the warm-up nothing counts.
        let is_over = |last: &Progress| last.elapsed > progress.elapsed || last.elapsed.is_zero();
        let is_another = which != self.which || self.recent.back().is_some_and(is_over);
        if is_another {
            (self.which, self.messages) = (which, 0);
            self.recent.clear();
        }
        self.messages += progress.messages;
        self.recent.push_back(progress);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        let columns = tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
        let columns = if columns == 0 { 80 } else { columns };
        // A line that fills the last column would wrap when the window narrows.
        let room = columns - 1;
        let line = name.to_owned() + &self.line(room.saturating_sub(name.len()) >= ROOM_FOR_BAR);
        let line: String = line.chars().take(room).collect();
        self.printer.show(format!("\r\x1b[K{line}"));
    }

    fn line(&self, with_bar: bool) -> String {
        let Some(last) = self.recent.back() else { return String::new() };
        if last.elapsed.is_zero() {
            return "warming up".into();
        }
        let (interval, mut messages, mut latency) =
            (self.recent.iter().map(|one| one.interval).sum(), 0, Latency::default());
        for one in &self.recent {
            messages += one.messages;
            latency.merge(&one.latency);
        }
        let (part, of) = match self.goal {
            Goal::Time(whole) => {
                let (elapsed, whole) = (last.elapsed.as_secs_f64(), whole.as_secs_f64());
                (elapsed / whole, format!("{elapsed:.1} of {whole:.1} s"))
            }
            Goal::Messages(whole) => {
                (self.messages as f64 / whole as f64, format!("{} of {}", grouped(self.messages), grouped(whole)))
            }
        };
        let rate = grouped(per_second(messages, interval));
        let latency = match latency.is_empty() {
            true => "nothing comes back".into(),
            false => format!("p50 {} p99 {}", time(latency.percentile(50.0)), time(latency.percentile(99.0))),
        };
        let bar = if with_bar { format!("[{}] ", bar(part)) } else { String::new() };
        format!("{bar}{of}  {rate}/s  {latency}  {} in flight, {}", grouped(last.in_flight), last.errors)
    }

    fn clear(self) {
        self.printer.finish("\r\x1b[K".into());
    }
}

fn per_second(messages: u64, time: Duration) -> u64 {
    if time.is_zero() { 0 } else { (messages as f64 / time.as_secs_f64()).round() as u64 }
}

/// How much of it is over.
fn bar(part: f64) -> String {
    let filled = ((part * BAR as f64) as usize).min(BAR);
    "#".repeat(filled) + &"-".repeat(BAR - filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a write when it may, and tells of it.
    struct Stopped(Receiver<()>, Sender<Vec<u8>>);

    impl Write for Stopped {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_that_is_stopped_piles_up_nothing_and_has_the_last_line_in_the_end() {
        let ((go, may_go), (taken, lines)) = (channel(), channel());
        let printer = Printer::start(Stopped(may_go, taken)).unwrap();
        (0..1000).for_each(|number| printer.show(number.to_string()));
        drop(go);
        printer.finish("over".into());
        let lines: Vec<_> = lines.iter().collect();
        assert!(lines.len() <= 3 && lines.last().is_some_and(|last| last == b"over"), "{lines:?}");
    }
}
