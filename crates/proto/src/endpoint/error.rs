//! Why a string is no endpoint, told with the part that is wrong and an example of a right one.

pub(super) use crate::quoted::Quoted;

use crate::quoted::Shown;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// The longest example made from the input. Every valid endpoint that needs no percent-encoding is
/// shorter.
const EXAMPLE_BYTES: usize = 400;

/// Why a string is not an [`Endpoint`](super::Endpoint).
///
/// The text names the offending part and ends with an example of a right endpoint, made from the
/// input where that is possible. It is for people: match on nothing in it. However long the input
/// was, the error keeps at most 200 characters of it, with control characters escaped, so that it
/// can go to a log or a terminal as it is.
///
/// ```
/// use socketserver_proto::Endpoint;
///
/// let error = "tcp://h:99999".parse::<Endpoint>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`tcp://h:99999`: port `99999` is not between 0 and 65535; \
///      for example `tcp://127.0.0.1:8080`",
/// );
/// assert_eq!(error.input(), "tcp://h:99999");
/// assert_eq!(error.part(), "99999");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointError {
    input: Box<str>,
    part: Box<str>,
    reason: Box<str>,
    example: Box<str>,
}

impl EndpointError {
    /// `parses` tells whether an example made from the input is a right one; else the fault's
    /// fixed example is shown.
    pub(super) fn new(input: &str, fault: Fault<'_>, parses: impl Fn(&str) -> bool) -> Self {
        let example = fault
            .suggestion
            // The example stands between backticks and must come out of them as it is.
            .filter(|s| !s.contains('`') && Shown(s).to_string() == *s && parses(s))
            .unwrap_or_else(|| fault.example.into_owned());
        Self {
            input: Shown(input).to_string().into(),
            part: Shown(fault.part).to_string().into(),
            reason: fault.reason.into(),
            example: example.into(),
        }
    }

    /// For a list of ports, of which an endpoint was a part: with the whole input, and with an example that `parses` as
    /// such a list too.
    pub(super) fn of_list(self, input: &str, example: &str, parses: impl Fn(&str) -> bool) -> Self {
        let example = if parses(&self.example) { self.example } else { example.into() };
        Self { input: Shown(input).to_string().into(), example, ..self }
    }

    /// The string that was to be an endpoint: its first 200 characters, control characters escaped.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.input
    }

    /// The part of it that is wrong, shortened and escaped likewise. It is empty where something is
    /// missing, as the mode is in `unix:/x?mode=`.
    #[must_use]
    pub fn part(&self) -> &str {
        &self.part
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, part: _, reason, example } = self;
        write!(f, "`{input}`: {reason}; for example `{example}`")
    }
}

impl Error for EndpointError {}

/// What is wrong, as the parsers find it; [`EndpointError::new`] adds the input.
#[derive(Debug)]
pub(super) struct Fault<'a> {
    part: &'a str,
    reason: String,
    example: Cow<'static, str>,
    suggestion: Option<String>,
}

impl<'a> Fault<'a> {
    /// `reason` must show `part` by [`Quoted`]. `example` must parse.
    pub(super) fn new(part: &'a str, reason: impl fmt::Display, example: &'static str) -> Self {
        Self { part, reason: reason.to_string(), example: example.into(), suggestion: None }
    }

    /// For a scheme whose rest is as that of another one: `udp` and `tls` for `tcp`, `wss` for `ws`, `unixgram` and
    /// `seqpacket` for `unix`.
    pub(super) fn under(mut self, scheme: &str) -> Self {
        let under = |example: &str| match example.split_once(':') {
            Some(("tcp" | "unix" | "ws", rest)) => Some(format!("{scheme}:{rest}")),
            Some(("", _)) => Some(format!("{scheme}://{example}")),
            _ => None,
        };
        if let Some(example) = under(&self.example) {
            self.example = example.into();
        }
        self.suggestion = self.suggestion.map(|suggestion| under(&suggestion).unwrap_or(suggestion));
        self
    }

    /// For what is but the beginning of a right endpoint: with the rest behind the example made from the input.
    pub(super) fn suggest_before(self, rest: &str) -> Self {
        match self.suggestion.clone() {
            Some(beginning) => self.suggest(&[&beginning, rest]),
            None => self,
        }
    }

    /// Offers these pieces, joined, as an example nearer to what was typed. It is shown only if it
    /// parses.
    pub(super) fn suggest(mut self, pieces: &[&str]) -> Self {
        if pieces.iter().map(|piece| piece.len()).sum::<usize>() <= EXAMPLE_BYTES {
            self.suggestion = Some(pieces.concat());
        }
        self
    }
}

/// Parses `input`, which must be refused, with `part` as the offending part and in such words, and
/// checks that the example at the end of the message is itself right. Returns that example.
#[cfg(test)]
#[track_caller]
pub(super) fn refused(input: &str, part: &str, words: &str) -> String {
    let error = match input.parse::<super::Endpoint>() {
        Ok(endpoint) => panic!("{input:?} was taken for {endpoint:?}"),
        Err(error) => error,
    };
    let message = error.to_string();
    assert_eq!(error.part(), part, "{message}");
    assert!(message.contains(&format!("`{part}`")), "{part:?} is not in {message}");
    assert!(message.contains(words), "{words:?} is not in {message}");
    example_of(&error)
}

/// The example at the end of an error's text: what stands between its last pair of backticks.
#[cfg(test)]
#[track_caller]
pub(super) fn example_of(error: &EndpointError) -> String {
    let message = error.to_string();
    let mut pieces = message.rsplit('`');
    assert_eq!(pieces.next(), Some(""), "{message}");
    let example = pieces.next().unwrap().to_owned();
    if let Err(error) = example.parse::<super::Endpoint>() {
        panic!("the example of {message:?} is itself wrong: {error}");
    }
    example
}

#[cfg(test)]
mod tests {
    use super::super::Endpoint;
    use super::*;
    use crate::quoted::SHOWN_CHARS;

    #[test]
    fn long_input_is_shortened() {
        for long in ["ä".repeat(1_000_000), "/".repeat(1_000_000), "9".repeat(1_000_000)] {
            for input in [long.clone(), format!("tcp://h:{long}"), format!("unix:{long}")] {
                let error = input.parse::<Endpoint>().unwrap_err();
                assert_eq!(error.input().chars().count(), SHOWN_CHARS + 1);
                assert!(error.input().ends_with('…'));
                assert!(error.to_string().len() < 2_000, "{error}");
                example_of(&error);
            }
        }
    }

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        let error = "tcp://a\x1b[2J\u{202e}\n\0:1".parse::<Endpoint>().unwrap_err();
        assert_eq!(error.input(), r"tcp://a\u{1b}[2J\u{202e}\n\0:1");
        assert!(!error.to_string().contains(|c: char| c.is_control() || c == '\u{202e}'));
        // Nor does it come back through the example.
        for hidden in ['\u{202e}', '\u{200d}', '\u{3164}'] {
            let error = format!("/tmp/{hidden}x").parse::<Endpoint>().unwrap_err();
            assert!(!error.to_string().contains(hidden), "{error:?}");
        }
        assert_eq!(refused("/tmp/a`b", "/tmp/a`b", "unix"), "unix:/run/app.sock");
    }
}
