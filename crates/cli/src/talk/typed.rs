//! A line of the operator, as what is meant.

pub(super) const HELP: &str = "\
what you type goes to the chosen peer, without the newline; an empty line is nothing
/to N, /N     choose a peer
/who          who is there
/all TEXT     send TEXT to everybody
/close [N]    end the conversation with the chosen peer, or with N
/quit         stop the server
//TEXT        send /TEXT";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed<'a> {
    Nothing,
    /// To the chosen one.
    Text(&'a [u8]),
    To(u64),
    Who,
    All(&'a [u8]),
    Close(Option<u64>),
    Quit,
    Help,
    /// Why it is none of these.
    Wrong(String),
}

impl<'a> Typed<'a> {
    pub(super) fn parse(line: &'a [u8]) -> Self {
        let Some(command) = line.strip_prefix(b"/") else {
            return if line.is_empty() { Self::Nothing } else { Self::Text(line) };
        };
        if command.starts_with(b"/") {
            return Self::Text(command);
        }
        let end = command.iter().position(u8::is_ascii_whitespace).unwrap_or(command.len());
        let (name, rest) = command.split_at(end);
        let text = rest.get(1..).unwrap_or_default();
        match (name, text.trim_ascii()) {
            (b"to", peer) => number(peer).map_or_else(|| wrong("`/to` wants the number of a peer: `/to 2`"), Self::To),
            (b"all", b"") => wrong("`/all` wants a text: `/all good night`"),
            (b"all", _) => Self::All(text),
            (b"close", b"") => Self::Close(None),
            (b"close", peer) => {
                let close = |peer| Self::Close(Some(peer));
                number(peer).map_or_else(|| wrong("`/close` wants the number of a peer, or nothing: `/close 2`"), close)
            }
            (b"who", b"") => Self::Who,
            (b"quit", b"") => Self::Quit,
            (b"help", b"") => Self::Help,
            (peer, b"") => number(peer).map_or_else(|| unknown(command), Self::To),
            _ => unknown(command),
        }
    }
}

fn wrong(why: &str) -> Typed<'static> {
    Typed::Wrong(why.to_owned())
}

fn unknown(command: &[u8]) -> Typed<'static> {
    Typed::Wrong(format!(
        "`/{}` is no command, and was not sent; `/help` tells what is; to send it, begin with `//`",
        String::from_utf8_lossy(command).escape_debug()
    ))
}

fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        for (line, typed) in [
            ("", Typed::Nothing),
            ("hello", Typed::Text(b"hello")),
            (" /to 2 ", Typed::Text(b" /to 2 ")),
            ("//to 2", Typed::Text(b"/to 2")),
            ("//", Typed::Text(b"/")),
            ("/to 2", Typed::To(2)),
            ("/to  2\r", Typed::To(2)),
            ("/12", Typed::To(12)),
            ("/who", Typed::Who),
            ("/all  good night ", Typed::All(b" good night ")),
            ("/close", Typed::Close(None)),
            ("/close 2", Typed::Close(Some(2))),
            ("/quit ", Typed::Quit),
            ("/help", Typed::Help),
        ] {
            assert_eq!(Typed::parse(line.as_bytes()), typed, "{line}");
        }
        for (line, word) in [
            ("/to", "/to 2"),
            ("/to all", "/to 2"),
            ("/to +2", "/to 2"),
            ("/all", "good night"),
            ("/close it", "/close 2"),
            ("/", "`/` is no command"),
            ("/12 hello", "no command"),
            ("/99999999999999999999", "no command"),
            ("/quit now", "`/quit now` is no command"),
            ("/etc/passwd", "`//`"),
        ] {
            let Typed::Wrong(why) = Typed::parse(line.as_bytes()) else { panic!("{line}") };
            assert!(why.contains(word), "{why}");
        }
    }
}
