//! Which characters of others' words may stand on a terminal, in a log or in an error as they are.
//!
//! Whoever reads there has to be able to trust the place and the order of what is shown, and that two words which look the same
//! are the same. Unicode has characters that break each: those that a terminal obeys, those that turn the direction of
//! text around them, and those that nobody sees.

/// Whether a character may be shown as it is in a text: it only shows, and where it stands.
///
/// What may not:
/// - the control characters, C0, DEL and C1, the tab and the newline among them: where one is welcome the caller lets it through;
/// - separators of lines and paragraphs (U+2028, U+2029);
/// - marks, embeddings, overrides and isolates of the bidirectional algorithm ([UAX #9](https://www.unicode.org/reports/tr9/));
/// - what is not to be seen (`Default_Ignorable_Code_Point`,
///   [UAX #44](https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point)), tags among it, and annotations
///   (U+FFF9 to U+FFFB).
///
/// Of those that are not to be seen, joiners and selectors of variants may: they give shape to what stands beside them, in
/// Persian, in the scripts of India and in emoji. In a name they may not: see [`in_name`].
///
/// ```
/// use socketserver_proto::printable;
/// assert!("日志, عربي, 👩‍👩‍👧, ❤️".chars().all(printable::in_text));
/// assert!(!"\u{1b}\u{202e}\u{200b}".chars().any(printable::in_text));
/// ```
#[must_use]
pub fn in_text(c: char) -> bool {
    shapes(c) || !(c.is_control() || is_separator(c) || is_ignorable(c))
}

/// Whether a character may be shown as it is in a name, or in whatever else is compared by eye: as [`in_text`], and none that
/// gives shape to others, for beside most characters it is not seen at all.
///
/// ```
/// use socketserver_proto::printable;
/// assert!("Zoë 阿莉斯".chars().all(printable::in_name));
/// assert!(!"ro\u{200d}ot".chars().all(printable::in_name));
/// ```
#[must_use]
pub fn in_name(c: char) -> bool {
    in_text(c) && !shapes(c)
}

fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Joiners and selectors of variants.
fn shapes(c: char) -> bool {
    matches!(c,
        '\u{200c}' | '\u{200d}' | '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}'
    )
}

/// `Default_Ignorable_Code_Point` of Unicode 16, and annotations. Every mark of the bidirectional algorithm is one.
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_is_shown() {
        for c in (' '..='~').chain("é你ع\u{a0}\u{301}\u{e000}\u{fffd}\u{fffc}😀\u{e1000}".chars()) {
            assert!(in_text(c) && in_name(c), "{c:?}");
        }
    }

    #[test]
    fn what_a_terminal_obeys_is_not() {
        for c in ('\0'..='\u{1f}').chain('\u{7f}'..='\u{9f}') {
            assert!(!in_text(c) && !in_name(c), "{c:?}");
        }
    }

    #[test]
    fn what_ends_a_line_or_turns_its_direction_is_not() {
        let marks = ['\u{2028}', '\u{2029}', '\u{200e}', '\u{200f}', '\u{61c}'];
        for c in marks.into_iter().chain('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{206f}') {
            assert!(!in_text(c) && !in_name(c), "{c:?}");
        }
    }

    #[test]
    fn what_nobody_sees_is_not() {
        for c in "\u{ad}\u{34f}\u{115f}\u{180e}\u{200b}\u{2060}\u{2064}\u{3164}\u{feff}\u{ffa0}\u{fff9}\u{fffb}".chars()
        {
            assert!(!in_text(c) && !in_name(c), "{c:?}");
        }
        for c in ('\u{e0000}'..='\u{e00ff}').chain('\u{e01f0}'..='\u{e0fff}') {
            assert!(!in_text(c) && !in_name(c), "{c:?}");
        }
    }

    #[test]
    fn what_gives_shape_is_shown_in_texts_alone() {
        for c in "\u{200c}\u{200d}\u{180b}\u{180f}\u{fe00}\u{fe0f}\u{e0100}\u{e01ef}".chars() {
            assert!(in_text(c) && !in_name(c), "{c:?}");
        }
    }
}
