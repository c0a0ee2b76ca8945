//! Messages with something after them that cannot be within them.

use super::{DEFAULT_MAX, FrameError, Framing, Scan, Step};
use memchr::memmem::Finder;
use memchr::{memchr, memchr2, memchr3};
use std::fmt;
use std::ops::Range;

/// The most delimiters of one framing, and the most bytes of each.
const MAX_COUNT: usize = 16;
const MAX_LEN: usize = 255;

/// The message, then a delimiter: one byte string, or one of several.
///
/// The delimiter is not part of the message. The first that was given is written; any is read. A message ends where a
/// delimiter begins first, and of two that begin there the longer one counts. So with `\r` and `\r\n` a message that ended
/// with CR is not known to be whole before one more byte has come, or the end: a peer that waits for an answer to it waits
/// for good. A message that would not come back, since a delimiter is in it or would begin in it, is refused.
///
/// An unterminated message at the end of the input is an error. For lines of text see [`Line`](super::Line), which is
/// quicker and takes LF and CRLF.
///
/// ```
/// use socketserver_proto::framing::{Delimiter, Framing, Scan, Step};
///
/// let framing = Delimiter::new(b"\0");
/// assert_eq!(framing.decode(b"hello\0wor", &mut Scan::default())?, Step::Message { body: 0..5, len: 6 });
/// let mut out = Vec::new();
/// framing.encode(b"hello", &mut out)?;
/// assert_eq!(out, b"hello\0");
/// assert!(framing.encode(b"a\0b", &mut out).unwrap_err().is_unencodable());
///
/// let any = Delimiter::new(b"\r\n").or(b"\n").or(b"\r");
/// assert_eq!(any.decode(b"hello\r\nwor", &mut Scan::default())?, Step::Message { body: 0..5, len: 7 });
/// # Ok::<(), socketserver_proto::framing::FrameError>(())
/// ```
#[derive(Clone)]
pub struct Delimiter {
    /// As they were given.
    all: Vec<Box<[u8]>>,
    search: Search,
    longest: usize,
    pub(super) max: usize,
    pub(super) skip_oversized: bool,
}

impl Delimiter {
    /// This one, and messages of at most 1 MiB.
    ///
    /// # Panics
    ///
    /// It is empty, or has more than 255 bytes.
    #[track_caller]
    #[must_use]
    pub fn new(delimiter: impl AsRef<[u8]>) -> Self {
        match Self::checked(vec![delimiter.as_ref().into()]) {
            Ok(this) => this,
            Err(reason) => panic!("{reason}"),
        }
    }

    /// This one too. It is read as well, and never written.
    ///
    /// # Panics
    ///
    /// It is empty or has more than 255 bytes, there are 16 already, or they could not be told apart:
    ///
    /// - it is one of them;
    /// - one is within another, unless it is its end, as `\n` of `\r\n`, or all of it but the last byte, as `\r`: whether it
    ///   is the shorter or the longer one could be known only many bytes later, or never if the input ends;
    /// - the one that is written is the beginning of another, so that the next message could make it that one.
    #[track_caller]
    #[must_use]
    pub fn or(self, delimiter: impl AsRef<[u8]>) -> Self {
        let Self { mut all, max, skip_oversized, .. } = self;
        all.push(delimiter.as_ref().into());
        match Self::checked(all) {
            Ok(this) => Self { max, skip_oversized, ..this },
            Err(reason) => panic!("{reason}"),
        }
    }

    pub(super) fn checked(all: Vec<Box<[u8]>>) -> Result<Self, String> {
        if all.len() > MAX_COUNT {
            return Err(format!("there are more than {MAX_COUNT} delimiters"));
        }
        for (i, one) in all.iter().enumerate() {
            if one.is_empty() {
                return Err("a delimiter is empty".to_owned());
            }
            if one.len() > MAX_LEN {
                return Err(format!("a delimiter has {} bytes, which is more than {MAX_LEN}", one.len()));
            }
            let others = all.iter().enumerate().filter(|(j, _)| *j != i);
            for (_, other) in others {
                confusable(one, other, i == 0)?;
            }
        }
        let longest = all.iter().map(|one| one.len()).max().unwrap_or_default();
        let search = Search::new(&all);
        Ok(Self { all, search, longest, max: DEFAULT_MAX, skip_oversized: false })
    }

    /// The longest message, in bytes without the delimiter; 1 MiB by default.
    #[must_use]
    pub fn max(mut self, bytes: usize) -> Self {
        self.max = bytes;
        self
    }

    /// Passes over messages that are too long, in place of an error. Nothing is kept of them.
    #[must_use]
    pub fn skip_oversized(mut self) -> Self {
        self.skip_oversized = true;
        self
    }

    /// The delimiters, the one that is written first.
    pub fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.all.iter().map(|one| &**one)
    }
}

/// Whether `one` cannot be told from `other`, or where it ends, by the byte after it.
fn confusable(one: &[u8], other: &[u8], is_written: bool) -> Result<(), String> {
    let (shown, within) = (one.escape_ascii(), other.escape_ascii());
    if one == other {
        return Err(format!("the delimiter `{shown}` is there twice"));
    }
    if is_written && other.starts_with(one) {
        return Err(format!("the first delimiter `{shown}`, which is written, is the beginning of `{within}`"));
    }
    for (at, window) in other.windows(one.len()).enumerate() {
        let is_end = at + one.len() == other.len();
        let is_all_but_the_last_byte = at == 0 && one.len() + 1 == other.len();
        if window == one && !is_end && !is_all_but_the_last_byte {
            return Err(format!(
                "the delimiter `{shown}` is within `{within}`, which could not be told from it in time"
            ));
        }
    }
    Ok(())
}

impl Framing for Delimiter {
    #[inline]
    fn decode(&self, input: &[u8], scan: &mut Scan) -> Result<Step, FrameError> {
        // A delimiter that begins in time ends within this.
        let in_time = self.max.saturating_add(self.longest);
        let window = if scan.is_skipping() { input } else { &input[..input.len().min(in_time)] };
        let (end, delimiter) = self.search.first(window, scan.searched());
        if end > self.max && !scan.is_skipping() {
            if !self.skip_oversized {
                return Err(FrameError::longer_than(self.max));
            }
            scan.set_skipping(true);
        }
        match (delimiter, scan.is_skipping()) {
            (Some(len), skipping) => {
                *scan = Scan::default();
                Ok(if skipping { Step::Skip(end + len) } else { Step::Message { body: 0..end, len: end + len } })
            }
            (None, true) if end > 0 => {
                scan.set_searched(0);
                Ok(Step::Skip(end))
            }
            (None, _) => {
                scan.set_searched(end);
                Ok(Step::More(input.len() + 1))
            }
        }
    }

    #[inline]
    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        if message.len() > self.max {
            return Err(FrameError::too_long(message.len() as u64, self.max));
        }
        let (start, delimiter) = (out.len(), &self.all[0]);
        out.reserve(message.len() + delimiter.len());
        out.extend_from_slice(message);
        out.extend_from_slice(delimiter);
        // One could be in the message, or begin in it and end in the delimiter.
        let (end, _) = self.search.first(&out[start..], 0);
        if end < message.len() {
            out.truncate(start);
            return Err(FrameError::delimiter_at(end));
        }
        Ok(())
    }

    /// What ends with a delimiter of which it was not known whether it becomes a longer one is a message.
    fn finish(&self, rest: &[u8], scan: &Scan) -> Result<Option<Range<usize>>, FrameError> {
        if scan.is_skipping() {
            return Ok(None);
        }
        // It is one at most: a shorter one that ends there too would be within the longer one that it may become.
        match self.all().find_map(|one| rest.strip_suffix(one)) {
            Some(body) if body.len() <= self.max => Ok(Some(0..body.len())),
            _ => Err(FrameError::cut_short(rest.len())),
        }
    }

    #[inline]
    fn max_message(&self) -> usize {
        self.max
    }
}

impl PartialEq for Delimiter {
    fn eq(&self, other: &Self) -> bool {
        (&self.all, self.max, self.skip_oversized) == (&other.all, other.max, other.skip_oversized)
    }
}

impl Eq for Delimiter {}

impl fmt::Debug for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.all().map(|one| one.escape_ascii().to_string()).collect();
        f.debug_struct("Delimiter")
            .field("all", &all)
            .field("max", &self.max)
            .field("skip_oversized", &self.skip_oversized)
            .finish()
    }
}

/// How the first delimiter is found.
#[derive(Clone)]
enum Search {
    Byte(u8),
    /// The only one.
    Bytes(Box<Finder<'static>>),
    Several(Box<Several>),
}

#[derive(Clone)]
struct Several {
    /// The longest first.
    by_length: Vec<Box<[u8]>>,
    /// The bytes with which they begin, each once.
    first_bytes: Vec<u8>,
    /// Of each byte, whether it is one of them.
    is_first: [bool; 256],
}

impl Search {
    fn new(all: &[Box<[u8]>]) -> Self {
        match all {
            [one] if one.len() == 1 => Self::Byte(one[0]),
            [one] => Self::Bytes(Box::new(Finder::new(one).into_owned())),
            _ => {
                let mut by_length = all.to_vec();
                by_length.sort_by_key(|one| std::cmp::Reverse(one.len()));
                let mut is_first = [false; 256];
                all.iter().for_each(|one| is_first[usize::from(one[0])] = true);
                let first_bytes = (0..=255).filter(|byte| is_first[usize::from(*byte)]).collect();
                Self::Several(Box::new(Several { by_length, first_bytes, is_first }))
            }
        }
    }

    /// Where the first delimiter begins and how long it is. If there is none yet, before where none begins; none begins
    /// before `from`.
    #[inline]
    fn first(&self, input: &[u8], from: usize) -> (usize, Option<usize>) {
        let from = from.min(input.len());
        let rest = &input[from..];
        match self {
            Self::Byte(byte) => match memchr(*byte, rest) {
                Some(at) => (from + at, Some(1)),
                None => (input.len(), None),
            },
            Self::Bytes(finder) => match finder.find(rest) {
                Some(at) => (from + at, Some(finder.needle().len())),
                None => (from.max((input.len() + 1).saturating_sub(finder.needle().len())), None),
            },
            Self::Several(several) => several.first(input, from),
        }
    }
}

impl Several {
    fn first(&self, input: &[u8], mut from: usize) -> (usize, Option<usize>) {
        while let Some(at) = self.candidate(&input[from..]) {
            from += at;
            let rest = &input[from..];
            for one in &self.by_length {
                if rest.starts_with(one) {
                    return (from, Some(one.len()));
                }
                if one.starts_with(rest) {
                    // It may become this one.
                    return (from, None);
                }
            }
            from += 1;
        }
        (input.len(), None)
    }

    fn candidate(&self, bytes: &[u8]) -> Option<usize> {
        match self.first_bytes[..] {
            [a] => memchr(a, bytes),
            [a, b] => memchr2(a, b, bytes),
            [a, b, c] => memchr3(a, b, c, bytes),
            _ => bytes.iter().position(|byte| self.is_first[usize::from(*byte)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: Range<usize>, len: usize) -> Result<Step, FrameError> {
        Ok(Step::Message { body, len })
    }

    #[test]
    #[should_panic(expected = "empty")]
    fn none_at_all() {
        let _ = Delimiter::new("");
    }

    #[test]
    #[should_panic(expected = "twice")]
    fn the_same_once_more() {
        let _ = Delimiter::new("x").or("x");
    }

    #[test]
    fn what_would_end_early_says_where() {
        let framing = Delimiter::new(";").or("--");
        let error = framing.encode(b"ab--cd", &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "a message that would end after 2 bytes, where a delimiter is");
        assert!(format!("{framing:?}").contains(r#"[";", "--"]"#), "{framing:?}");
    }

    #[test]
    fn what_comes_byte_by_byte_is_searched_once() {
        // (delimiters, how many bytes are looked at once more)
        let cases = [
            (Delimiter::new("x"), 0),
            (Delimiter::new("aab"), 2),
            (Delimiter::new("aab").or("b").or("c").or("d"), 2),
            (Delimiter::new("aab").or("q"), 2),
        ];
        for (framing, again) in cases {
            let mut scan = Scan::default();
            for have in 0..100 {
                let input = &[b'a'; 100][..have];
                assert_eq!(framing.decode(input, &mut scan), Ok(Step::More(have + 1)), "{framing:?}");
                assert_eq!(scan.searched(), have.saturating_sub(again), "{framing:?}");
            }
        }
    }

    #[test]
    fn the_longest_counts() {
        let framing = Delimiter::new("\r\n").or("\n").or("\r");
        let decode = |input: &[u8]| framing.decode(input, &mut Scan::default());
        assert_eq!(decode(b"a\r\nb"), message(0..1, 3));
        assert_eq!(decode(b"a\rb"), message(0..1, 2));
        assert_eq!(decode(b"a\nb"), message(0..1, 2));
        assert_eq!(decode(b"a\n"), message(0..1, 2));
        assert_eq!(decode(b"\n"), message(0..0, 1));
        // Which of two it is shows later, or at the end.
        let mut scan = Scan::default();
        assert_eq!(framing.decode(b"a\r", &mut scan), Ok(Step::More(3)));
        assert_eq!(scan.searched(), 1);
        assert_eq!(framing.finish(b"a\r", &scan), Ok(Some(0..1)));
        assert!(framing.finish(b"ab", &scan).unwrap_err().is_cut_short());
    }

    #[test]
    fn the_limit_is_without_the_delimiter() {
        for framing in [Delimiter::new("--"), Delimiter::new("--").or("+++")] {
            let framing = framing.max(3);
            let decode = |input: &[u8]| framing.decode(input, &mut Scan::default());
            assert_eq!(decode(b"abc--"), message(0..3, 5));
            assert_eq!(decode(b"abc-"), Ok(Step::More(5)));
            for long in [&b"abcd--"[..], b"abcdefghij", b"abc-d"] {
                assert!(decode(long).unwrap_err().is_too_long(), "{long:?}");
            }
        }
    }

    #[test]
    fn what_is_too_long_is_passed_over() {
        let framing = Delimiter::new("--").max(3).skip_oversized();
        let mut scan = Scan::default();
        assert_eq!(framing.decode(b"abcdefg-", &mut scan), Ok(Step::Skip(4)));
        assert_eq!(framing.decode(b"efg-", &mut scan), Ok(Step::Skip(3)));
        assert_eq!(framing.decode(b"-", &mut scan), Ok(Step::More(2)));
        assert_eq!(framing.finish(b"-", &scan), Ok(None));
        assert_eq!(framing.decode(b"--abc--", &mut scan), Ok(Step::Skip(2)));
        assert_eq!(framing.decode(b"abc--", &mut scan), message(0..3, 5));
    }

    #[test]
    fn what_would_not_come_back_is_refused() {
        let framing = Delimiter::new("ab").or("cda");
        let mut out = b"before".to_vec();
        for (text, at) in [("xab", 1), ("abx", 0), ("cda", 0), ("xcd", 1)] {
            assert_eq!(framing.encode(text.as_bytes(), &mut out), Err(FrameError::delimiter_at(at)), "{text}");
            assert_eq!(out, b"before");
        }
        assert_eq!(framing.encode(b"xa", &mut out), Ok(()));
        assert_eq!(out, b"beforexaab");
    }

    #[test]
    fn delimiters_that_cannot_be_told_apart() {
        let list = |all: &[&str]| Delimiter::checked(all.iter().map(|one| one.as_bytes().into()).collect());
        for right in [&["\r\n", "\n", "\r"][..], &["ab", "b"], &["abc", "c", "ab"], &["\n\n", "\n"]] {
            assert!(list(right).is_ok(), "{right:?}");
        }
        let cases = [
            (&[""][..], "empty"),
            (&["a", ""], "empty"),
            (&["a", "b", "a"], "`a` is there twice"),
            (&["\r", "\r\n"], r"`\r`, which is written, is the beginning of `\r\n`"),
            (&["xaaa", "a"], "`a` is within `xaaa`"),
            (&["aaa", "a"], "`a` is within `aaa`"),
            (&["abcd", "bc"], "`bc` is within `abcd`"),
        ];
        for (wrong, words) in cases {
            let reason = list(wrong).unwrap_err();
            assert!(reason.contains(words), "{wrong:?}: {reason}");
        }
        let long = "x".repeat(256);
        assert!(list(&[&long]).unwrap_err().contains("256 bytes"));
        let many: Vec<_> = (0..17).map(|i| format!("{i:03}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(list(&many).unwrap_err().contains("more than 16"));
    }
}
