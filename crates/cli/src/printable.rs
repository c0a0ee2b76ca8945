//! What peers send, as it may be shown on a terminal, and to readers who have to be able to trust who said what.

use socketserver_proto::printable::in_text;
use std::fmt::Write;

/// A text with whatever does not [just show](in_text) written out, as `\u{1b}`. A tab stays.
pub(crate) fn text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    write_out(text, &mut shown);
    shown
}

fn write_out(text: &str, shown: &mut String) {
    for letter in text.chars() {
        if is_harmless(letter) {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_default());
        }
    }
}

/// JSON with the same written out, as `\u009b`: it can stand in strings alone.
pub(crate) fn json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for letter in json.chars() {
        if is_harmless(letter) {
            shown.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    shown
}

/// A message as whole lines, each with `label` before it: so no peer can write a line in the name of another.
///
/// A newline ends a line, with a carriage return before it or without; the last one of a message adds none. The rest is as
/// [`text`] has it; what is not UTF-8 is shown as `U+FFFD`.
pub(crate) fn lines(label: &str, message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let mut lines = String::with_capacity(label.len() + text.len() + 2);
    for line in text.split('\n') {
        lines.push_str(label);
        lines.push(' ');
        write_out(line.strip_suffix('\r').unwrap_or(line), &mut lines);
        lines.push('\n');
    }
    lines
}

/// Whether it is shown as it is.
pub(crate) fn is_harmless(letter: char) -> bool {
    letter == '\t' || in_text(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(message: impl AsRef<[u8]>) -> String {
        lines("[1]", message.as_ref())
    }

    #[test]
    fn text_is_shown_as_it_is() {
        assert_eq!(shown("hello"), "[1] hello\n");
        assert_eq!(shown("你好\t😀 C:\\n"), "[1] 你好\t😀 C:\\n\n");
        assert_eq!(shown(""), "[1] \n");
    }

    #[test]
    fn each_line_is_labelled() {
        for message in ["a\nb", "a\nb\n", "a\r\nb\r\n"] {
            assert_eq!(shown(message), "[1] a\n[1] b\n");
        }
        assert_eq!(shown("a\n\n"), "[1] a\n[1] \n");
        assert_eq!(shown("\n"), "[1] \n");
    }

    #[test]
    fn a_text_stays_one_line() {
        assert_eq!(text("one\n-- server: all is well"), "one\\n-- server: all is well");
        assert_eq!(text("\r<root> yes, عربي, 👩‍👩‍👧"), "\\r<root> yes, عربي, 👩‍👩‍👧");
    }

    #[test]
    fn json_stays_what_it_says() {
        let text = "\u{9b}2J\u{202e}\u{e0041}\x7f\tok \u{1b} 你好";
        let shown = json(&serde_json::Value::from(text).to_string());
        assert_eq!(shown, "\"\\u009b2J\\u202e\\udb40\\udc41\\u007f\\tok \\u001b 你好\"");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        assert_eq!(shown("\x1b[2J\x07\0\x7f"), "[1] \\u{1b}[2J\\u{7}\\u{0}\\u{7f}\n");
        assert_eq!(shown("a\rb\x08"), "[1] a\\rb\\u{8}\n");
        assert_eq!(shown("\u{9b}31m\u{85}"), "[1] \\u{9b}31m\\u{85}\n");
        assert_eq!(shown("\u{202e}\u{2066}\u{200f}\u{2028}"), "[1] \\u{202e}\\u{2066}\\u{200f}\\u{2028}\n");
        assert_eq!(shown("\u{61c}\u{206a}\u{206f}"), "[1] \\u{61c}\\u{206a}\\u{206f}\n");
        // The same, not in UTF-8: bytes of no character.
        assert_eq!(shown(b"\x9b31m\xff"), "[1] \u{fffd}31m\u{fffd}\n");
    }
}
