use super::{Kind, MAX_RUN, WireError, frame};

/// How many words a RUN may have: the name of a command and its arguments.
pub const MAX_WORDS: usize = 1024;

/// The payload of RUN: the name of a command and its arguments, each as it is. Nothing in them is split, expanded or taken
/// for an end.
///
/// ```text
/// +-----------+---------------+----------------+---------------+----------
/// | how many  |    length     |     bytes      |    length     |  bytes …
/// |    u16    |      u32      |                |      u32      |
/// +-----------+---------------+----------------+---------------+----------
/// ```
///
/// ```
/// use socketserver_proto::exec::{Frame, Receiver, Side, Stage, WireError, run};
/// let mut sent = Vec::new();
/// run(&["tail", "a b;$(id)"], &mut sent)?;
/// let mut server = Receiver::at(Side::Server, Stage::Ready);
/// let Some(Frame::Run(words)) = server.next(&mut &sent[..])? else { unreachable!() };
/// assert_eq!(words.iter().collect::<Vec<_>>(), ["tail", "a b;$(id)"]);
/// # Ok::<(), WireError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words<'a> {
    /// The words with their lengths, which were looked at.
    words: &'a [u8],
    count: usize,
}

impl<'a> Words<'a> {
    /// How many, the name among them: at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The words, the name first.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = self.words;
        std::iter::from_fn(move || {
            let word = split(&mut rest)?;
            // It was looked at.
            std::str::from_utf8(word).ok()
        })
    }

    pub(super) fn from_bytes(bytes: &'a [u8]) -> Result<Self, WireError> {
        let wrong = |what| WireError::Malformed(Kind::Run, what);
        let (count, words) = bytes.split_first_chunk().ok_or(wrong("it is too short"))?;
        let count = usize::from(u16::from_be_bytes(*count));
        match count {
            0 => return Err(wrong("it names no command")),
            1..=MAX_WORDS => {}
            _ => return Err(wrong("it has more than 1024 words")),
        }
        let mut rest = words;
        for _ in 0..count {
            let word = split(&mut rest).ok_or(wrong("a word is longer than all of it"))?;
            if std::str::from_utf8(word).is_err() {
                return Err(wrong("a word is not UTF-8"));
            }
            if word.contains(&0) {
                return Err(wrong("a word has a NUL in it, which no program can be given"));
            }
        }
        if !rest.is_empty() {
            return Err(wrong("there is something behind its words"));
        }
        Ok(Self { words, count })
    }
}

/// The next word, with its length before it.
fn split<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk()?;
    let (word, behind) = behind.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = behind;
    Some(word)
}

/// A RUN with these words, the name of the command first, behind what is in `out`.
///
/// # Errors
/// There are none or more than [`MAX_WORDS`], they are longer than [`MAX_RUN`] together, or one has a NUL in it: no server
/// would take that. `out` is then as it was.
pub fn run(words: &[impl AsRef<str>], out: &mut Vec<u8>) -> Result<(), WireError> {
    let size = words.iter().fold(2_usize, |size, word| size.saturating_add(4).saturating_add(word.as_ref().len()));
    if size > MAX_RUN {
        let length = u32::try_from(size).unwrap_or(u32::MAX);
        return Err(WireError::TooLong { kind: Kind::Run, length, max: MAX_RUN });
    }
    let mut payload = Vec::with_capacity(size);
    // More words than that are refused below, whatever their number says.
    payload.extend_from_slice(&u16::try_from(words.len()).unwrap_or(u16::MAX).to_be_bytes());
    for word in words {
        let word = word.as_ref();
        payload.extend_from_slice(&u32::try_from(word.len()).unwrap_or(u32::MAX).to_be_bytes());
        payload.extend_from_slice(word.as_bytes());
    }
    Words::from_bytes(&payload)?;
    frame::put(Kind::Run, &payload, out);
    Ok(())
}
