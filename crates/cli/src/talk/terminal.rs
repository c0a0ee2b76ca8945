//! The operator at a terminal: a line that is typed, and above it what peers say.

use super::book::Book;
use super::keys::{Key, Keys};
use super::line::{Asked, Line, seen_as};
use super::operator::Operator;
use super::screen::{Inbox, Style, print};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{self, IsTerminal};
use std::sync::Arc;

/// Whether somebody types and reads here, at a terminal that can do more than print.
pub(super) fn is_here() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
}

/// A terminal that sends each key when it is pressed. Dropped it is as it was before.
pub(super) struct Mode {
    before: Termios,
}

impl Mode {
    pub(super) fn set() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut keys = before.clone();
        keys.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN;
        keys.special_codes[SpecialCodeIndex::VMIN] = 1;
        keys.special_codes[SpecialCodeIndex::VTIME] = 0;
        // Ctrl-C and Ctrl-\ are signals as ever. Ctrl-Z is not: all peers would wait.
        keys.special_codes[SpecialCodeIndex::VSUSP] = 0;
        tcsetattr(io::stdin(), OptionalActions::Now, &keys)?;
        // Text that is pasted is marked.
        print(b"\x1b[?2004h")?;
        Ok(Self { before })
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
        let _ = print(b"\x1b[?2004l");
    }
}

pub(super) struct Terminal {
    pub(super) operator: Operator,
    pub(super) book: Arc<Book>,
    pub(super) inbox: Inbox,
}

impl Terminal {
    /// Shows and reads until all that is to be shown is.
    ///
    /// # Errors
    /// The terminal takes nothing any more.
    pub(super) fn run(mut self) -> io::Result<()> {
        let (mut keys, mut line, mut is_there) = (Keys::default(), Line::default(), true);
        let mut said = Vec::new();
        loop {
            if self.inbox.take(Style::Labelled, &mut said) {
                // Without a prompt: whatever comes next stands there.
                return print(&[b"\r\x1b[J", &*said].concat());
            }
            self.draw(&line, &said)?;
            said.clear();
            let mut ready = [
                PollFd::new(&self.inbox, PollFlags::IN),
                PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::IN),
            ];
            let watched = if is_there { 2 } else { 1 };
            match rustix::event::poll(&mut ready[..watched], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if !ready[1].revents().is_empty() {
                let mut bytes = [0; 4096];
                match rustix::io::read(rustix::stdio::stdin(), &mut bytes) {
                    Ok(count) if count > 0 => {
                        for key in bytes[..count].iter().filter_map(|byte| keys.next(*byte)) {
                            self.press(&mut line, key, &mut said);
                        }
                    }
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    // The terminal was taken away: the end of input, which ends nothing.
                    _ => is_there = false,
                }
            }
        }
    }

    fn press(&self, line: &mut Line, key: Key, said: &mut Vec<u8>) {
        match line.press(key) {
            Asked::Nothing => {}
            Asked::Line(text) => {
                // What was typed stays on the screen.
                let seen: String = text.chars().map(seen_as).collect();
                said.extend(format!("{}{seen}\n", self.prompt()).bytes());
                self.operator.obey(text.as_bytes(), &mut |words| said.extend(format!("{words}\n").bytes()));
            }
            Asked::EndOfInput => said.extend(b"`/quit` or Ctrl-C stops the server\n"),
            Asked::ClearScreen => said.extend(b"\x1b[H\x1b[2J"),
        }
    }

    /// Writes where the line is, and the line below.
    fn draw(&self, line: &Line, said: &[u8]) -> io::Result<()> {
        let prompt = self.prompt();
        let columns = tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
        let columns = if columns == 0 { 80 } else { columns };
        let (seen, cursor) = line.view(columns.saturating_sub(prompt.len() + 1));
        let cursor = prompt.len() + cursor;
        let line = format!("{prompt}{seen}\r\x1b[{cursor}C");
        print(&[b"\r\x1b[J", said, line.as_bytes()].concat())
    }

    fn prompt(&self) -> String {
        self.book.chosen().map_or_else(|| "to nobody> ".into(), |peer| format!("to {}> ", peer.id))
    }
}
