//! What peers send, as it is shown to whoever talks with them.

use crate::printable;

/// A message: whatever is in it, no line begins as another's, and nothing in it is for the terminal.
pub fn shown(data: &[u8]) {
    let label = "[1]";
    let lines = printable::lines(label, data);
    let said = data.strip_suffix(b"\n").unwrap_or(data);
    assert_eq!(lines.matches('\n').count(), 1 + said.iter().filter(|byte| **byte == b'\n').count());
    for line in lines.strip_suffix('\n').expect("lines are whole").split('\n') {
        let said = line.strip_prefix(label).and_then(|rest| rest.strip_prefix(' ')).expect("a label is before it");
        is_for_eyes(said);
    }
    // No byte of a message takes more than `\u{1b}`.
    assert!(lines.len() <= 6 * data.len() + label.len() + 2);
    if let Ok(text) = std::str::from_utf8(data) {
        is_for_eyes(&printable::text(text));
        let json = printable::json(&serde_json::Value::from(text).to_string());
        is_for_eyes(&json);
        assert_eq!(serde_json::from_str::<String>(&json).ok().as_deref(), Some(text));
    }
}

fn is_for_eyes(line: &str) {
    // What changes the direction of text (UAX #9, section 2), and what ends a line or a paragraph.
    let turns = |letter| matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    assert!(!line.contains(|letter: char| (letter.is_control() && letter != '\t') || turns(letter)), "{line:?}");
}
