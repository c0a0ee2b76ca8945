//! A line that is being typed.

use super::keys::Key;
use std::collections::VecDeque;
use unicode_width::UnicodeWidthChar;

/// So many lines are kept to be typed again.
const KEPT: usize = 100;
/// The longest line that can be typed or pasted, in characters.
const LONGEST: usize = 64 * 1024;

/// The line, where in it one is, and those before it.
#[derive(Debug, Default)]
pub(super) struct Line {
    text: Vec<char>,
    cursor: usize,
    is_pasted: bool,
    typed: VecDeque<Vec<char>>,
    /// Which of these is shown, from the newest; 0 is the new one, that is kept meanwhile.
    shown: usize,
    new: Vec<char>,
}

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Nothing,
    /// This line is done.
    Line(String),
    /// Ctrl-D where nothing is typed.
    EndOfInput,
    ClearScreen,
}

impl Line {
    pub(super) fn press(&mut self, key: Key) -> Asked {
        match key {
            Key::PasteBegins => self.is_pasted = true,
            Key::PasteEnds => self.is_pasted = false,
            // Pasted lines are one.
            Key::Enter if self.is_pasted => self.insert('\n'),
            Key::Enter => return Asked::Line(self.done()),
            Key::Letter(letter) => self.insert(letter),
            _ if self.is_pasted => {}
            Key::Backspace => self.cut(self.cursor.saturating_sub(1), self.cursor),
            Key::EndOfInput if self.text.is_empty() => return Asked::EndOfInput,
            Key::Delete | Key::EndOfInput => self.cut(self.cursor, (self.cursor + 1).min(self.text.len())),
            Key::CutRest => self.cut(self.cursor, self.text.len()),
            Key::CutStart => self.cut(0, self.cursor),
            Key::CutWord => {
                let before = &self.text[..self.cursor];
                let end = before.iter().rposition(|letter| !letter.is_whitespace()).map_or(0, |at| at + 1);
                let start = before[..end].iter().rposition(|letter| letter.is_whitespace()).map_or(0, |at| at + 1);
                self.cut(start, self.cursor);
            }
            Key::Left => self.cursor = self.cursor.saturating_sub(1),
            Key::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.text.len(),
            Key::Up => self.recall(self.shown + 1),
            Key::Down if self.shown > 0 => self.recall(self.shown - 1),
            Key::Down => {}
            Key::ClearScreen => return Asked::ClearScreen,
        }
        Asked::Nothing
    }

    fn insert(&mut self, letter: char) {
        if self.text.len() < LONGEST {
            self.text.insert(self.cursor, letter);
            self.cursor += 1;
        }
    }

    fn cut(&mut self, start: usize, end: usize) {
        self.text.drain(start..end);
        self.cursor = start;
    }

    /// Shows the line that was typed so many lines ago.
    fn recall(&mut self, shown: usize) {
        if shown > self.typed.len() {
            return;
        }
        if self.shown == 0 {
            self.new = std::mem::take(&mut self.text);
        }
        self.text = if shown == 0 { std::mem::take(&mut self.new) } else { self.typed[shown - 1].clone() };
        (self.shown, self.cursor) = (shown, self.text.len());
    }

    fn done(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        (self.cursor, self.shown) = (0, 0);
        let line = text.iter().collect();
        if !text.is_empty() && self.typed.front() != Some(&text) {
            self.typed.truncate(KEPT - 1);
            self.typed.push_front(text);
        }
        line
    }

    /// What is to be seen of it in so many columns, and in which of these the cursor is.
    pub(super) fn view(&self, columns: usize) -> (String, usize) {
        let mut cursor = 0;
        let before = self.text[..self.cursor].iter().rev().take_while(|letter| {
            cursor += width(**letter);
            cursor <= columns
        });
        let start = self.cursor - before.count();
        let mut used = 0;
        let fits = |letter: &&char| {
            used += width(**letter);
            used <= columns
        };
        let seen: Vec<char> = self.text[start..].iter().take_while(fits).copied().collect();
        let cursor = self.text[start..self.cursor].iter().copied().map(width).sum();
        (seen.into_iter().map(seen_as).collect(), cursor)
    }
}

/// A letter of the line on the screen.
pub(super) fn seen_as(letter: char) -> char {
    match letter {
        '\n' => '⏎',
        '\t' => ' ',
        letter => letter,
    }
}

fn width(letter: char) -> usize {
    seen_as(letter).width().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(line: &mut Line, keys: &str) -> Vec<String> {
        let mut parser = super::super::keys::Keys::default();
        let keys = keys.bytes().filter_map(|byte| parser.next(byte));
        keys.filter_map(|key| match line.press(key) {
            Asked::Line(line) => Some(line),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn it_is_edited() {
        let line = &mut Line::default();
        for (keys, text) in [
            ("hello\r", "hello"),
            ("helo\x1b[Dl\r", "hello"),
            ("ello\x01h\x05!\r", "hello!"),
            ("你x\x7f好\r", "你好"),
            ("\x7f\x1b[D\x1b[Ca\x1b[D\x1b[3~\x1b[3~b\r", "b"),
            ("one two  \x17three\r", "one three"),
            ("  \x17x\r", "x"),
            ("abc\x1b[D\x15\r", "c"),
            ("abc\x1b[D\x1b[D\x0b\r", "a"),
            ("ab\x01\x04\r", "b"),
            ("\x1b[200~a\rb\x17\x04\x1b[201~c\r", "a\nbc"),
            ("\r", ""),
        ] {
            assert_eq!(press(line, keys), [text], "{keys:?}");
        }
        assert_eq!(line.press(Key::EndOfInput), Asked::EndOfInput);
    }

    #[test]
    fn lines_come_again() {
        let line = &mut Line::default();
        assert_eq!(press(line, "\x10\x0e\r"), [""]);
        press(line, "one\rtwo\rtwo\r");
        assert_eq!(press(line, "\x10\r"), ["two"]);
        assert_eq!(press(line, "new\x10\x10\x10!\r"), ["one!"]);
        assert_eq!(press(line, "new\x10\x10\x0e\x0e\x0e!\r"), ["new!"]);
        for number in 0..200 {
            press(line, &format!("{number}\r"));
        }
        assert_eq!(line.typed.len(), KEPT);
    }

    #[test]
    fn the_cursor_is_always_to_be_seen() {
        let line = &mut Line::default();
        assert_eq!(line.view(4), (String::new(), 0));
        press(line, "abcdef");
        assert_eq!(line.view(6), ("abcdef".into(), 6));
        assert_eq!(line.view(4), ("cdef".into(), 4));
        press(line, "\x1b[D\x1b[D\x1b[D\x1b[D");
        assert_eq!(line.view(4), ("abcd".into(), 2));
        press(line, "\x15\x0b你好吗\n");
        press(line, "你好吗");
        assert_eq!(line.view(5), ("好吗".into(), 4));
        assert_eq!(line.view(1), (String::new(), 0));
        press(line, "\x01");
        assert_eq!(line.view(5), ("你好".into(), 0));
        press(line, "\x0b\x1b[200~a\r\tb\x1b[201~");
        assert_eq!(line.view(9), ("a⏎ b".into(), 4));
    }

    #[test]
    fn it_has_an_end() {
        let line = &mut Line::default();
        press(line, &"x".repeat(LONGEST + 10));
        assert_eq!(press(line, "\r")[0].len(), LONGEST);
    }
}
