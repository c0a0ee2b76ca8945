//! What a terminal sends, as the keys that were pressed.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Letter(char),
    Enter,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    /// Ctrl-D.
    EndOfInput,
    /// Ctrl-K: what is behind the cursor.
    CutRest,
    /// Ctrl-U: what is before the cursor.
    CutStart,
    /// Ctrl-W: the word before the cursor.
    CutWord,
    /// Ctrl-L.
    ClearScreen,
    /// Pasted text begins.
    PasteBegins,
    PasteEnds,
}

/// What of a key has come.
#[derive(Debug, Default)]
pub(super) enum Keys {
    #[default]
    Nothing,
    /// The beginning of a letter in UTF-8.
    Letter(Vec<u8>),
    Escape,
    /// ESC O, as some terminals send for the keys with arrows.
    Application,
    /// ESC [, and what of its parameters matters.
    Control(Vec<u8>),
}

/// More parameters than any key has.
const PARAMETERS: usize = 16;

impl Keys {
    /// The key that is whole with this byte.
    pub(super) fn next(&mut self, byte: u8) -> Option<Key> {
        match std::mem::take(self) {
            Self::Nothing => self.begin(byte),
            Self::Letter(mut bytes) if byte & 0xc0 == 0x80 => {
                bytes.push(byte);
                match std::str::from_utf8(&bytes) {
                    Ok(letter) => letter.chars().next().filter(|letter| !letter.is_control()).map(Key::Letter),
                    Err(error) => {
                        // More is to come, or it is no letter.
                        if error.error_len().is_none() {
                            *self = Self::Letter(bytes);
                        }
                        None
                    }
                }
            }
            Self::Escape if byte == b'[' => {
                *self = Self::Control(Vec::new());
                None
            }
            Self::Escape if byte == b'O' => {
                *self = Self::Application;
                None
            }
            // Nothing is known that begins so.
            Self::Letter(_) | Self::Escape => self.begin(byte),
            Self::Application => named(&[], byte),
            Self::Control(mut parameters) => match byte {
                0x40..=0x7e => named(&parameters, byte),
                0x20..=0x3f => {
                    if parameters.len() < PARAMETERS {
                        parameters.push(byte);
                    }
                    *self = Self::Control(parameters);
                    None
                }
                _ => self.begin(byte),
            },
        }
    }

    fn begin(&mut self, byte: u8) -> Option<Key> {
        let control = |letter: u8| letter & 0x1f;
        match byte {
            b'\n' | b'\r' => return Some(Key::Enter),
            b'\t' | b' '..=b'~' => return Some(Key::Letter(char::from(byte))),
            0x7f | 0x08 => return Some(Key::Backspace),
            0x1b => *self = Self::Escape,
            0xc2..=0xf4 => *self = Self::Letter(vec![byte]),
            _ => {}
        }
        [
            (b'A', Key::Home),
            (b'B', Key::Left),
            (b'D', Key::EndOfInput),
            (b'E', Key::End),
            (b'F', Key::Right),
            (b'K', Key::CutRest),
            (b'L', Key::ClearScreen),
            (b'N', Key::Down),
            (b'P', Key::Up),
            (b'U', Key::CutStart),
            (b'W', Key::CutWord),
        ]
        .into_iter()
        .find_map(|(letter, key)| (control(letter) == byte).then_some(key))
    }
}

/// The key of a control sequence, as xterm and its kin send them.
fn named(parameters: &[u8], last: u8) -> Option<Key> {
    Some(match (parameters, last) {
        (_, b'A') => Key::Up,
        (_, b'B') => Key::Down,
        (_, b'C') => Key::Right,
        (_, b'D') => Key::Left,
        (_, b'H') | (b"1" | b"7", b'~') => Key::Home,
        (_, b'F') | (b"4" | b"8", b'~') => Key::End,
        (b"3", b'~') => Key::Delete,
        (b"200", b'~') => Key::PasteBegins,
        (b"201", b'~') => Key::PasteEnds,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: impl AsRef<[u8]>) -> Vec<Key> {
        let mut keys = Keys::default();
        bytes.as_ref().iter().filter_map(|byte| keys.next(*byte)).collect()
    }

    #[test]
    fn letters() {
        assert_eq!(keys("a好😀\t"), ['a', '好', '😀', '\t'].map(Key::Letter));
        // What is no UTF-8 is nothing, and takes nothing else with it.
        assert_eq!(keys(b"\xff\x80\xe4x\xc2\x9b\xf0\x9f\nb"), [Key::Letter('x'), Key::Enter, Key::Letter('b')]);
    }

    #[test]
    fn others() {
        assert_eq!(keys("\r\n"), [Key::Enter; 2]);
        assert_eq!(keys("\x7f\x08"), [Key::Backspace; 2]);
        assert_eq!(keys("\x1b[A\x1b[B\x1b[C\x1b[D"), [Key::Up, Key::Down, Key::Right, Key::Left]);
        assert_eq!(keys("\x1bOA\x1b[1;5D\x10\x0e"), [Key::Up, Key::Left, Key::Up, Key::Down]);
        assert_eq!(keys("\x1b[H\x1b[1~\x1b[F\x1b[4~\x1b[3~"), [Key::Home, Key::Home, Key::End, Key::End, Key::Delete]);
        assert_eq!(keys("\x1b[200~\x1b[201~"), [Key::PasteBegins, Key::PasteEnds]);
        assert_eq!(keys("\x04\x15\x17\x0b"), [Key::EndOfInput, Key::CutStart, Key::CutWord, Key::CutRest]);
        // Of others, whole sequences are nothing; a lone ESC is nothing.
        assert_eq!(keys("\x1b[5~\x1b[99999999999999999999999~\x01\x1bx\x1b\x1b[Cy\0"), {
            [Key::Home, Key::Letter('x'), Key::Right, Key::Letter('y')]
        });
    }
}
