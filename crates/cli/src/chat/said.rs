//! What a line of a member's means.

/// A line, as what is meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    Text(&'a str),
    Me(&'a str),
    Name(&'a str),
    Join(&'a str),
    Who,
    Rooms,
    Help,
    Quit,
    Nothing,
    /// Why it means nothing.
    Wrong(String),
}

/// What can be said, one a line.
pub(super) const HELP: [&str; 8] = [
    "/name NAME   be called so",
    "/join ROOM   go to another room",
    "/who         who is here",
    "/rooms       where people are",
    "/me TEXT     say what you do",
    "//TEXT       say a text that begins with a slash",
    "/help        this",
    "/quit        leave",
];

impl<'a> Said<'a> {
    pub(super) fn parse(line: &'a str) -> Self {
        let line = line.trim();
        if line.is_empty() {
            return Self::Nothing;
        }
        let Some(command) = line.strip_prefix('/') else { return Self::Text(line) };
        if command.starts_with('/') {
            return Self::Text(command);
        }
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        let alone = |said| if rest.is_empty() { said } else { Self::Wrong(format!("/{name} takes nothing behind it")) };
        let with = |said: fn(&'a str) -> Self, what| {
            if rest.is_empty() { Self::Wrong(format!("/{name} wants {what} behind it")) } else { said(rest) }
        };
        match name {
            "me" => with(Self::Me, "a text"),
            "name" | "nick" => with(Self::Name, "a name"),
            "join" => with(Self::Join, "a room"),
            "who" => alone(Self::Who),
            "rooms" => alone(Self::Rooms),
            "help" => alone(Self::Help),
            // Whatever is said in parting.
            "quit" => Self::Quit,
            _ => Self::Wrong("there is no such command; /help tells which there are, and //TEXT says /TEXT".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_what_they_mean() {
        let cases = [
            ("hello  world ", Said::Text("hello  world")),
            ("  ", Said::Nothing),
            ("/me waves", Said::Me("waves")),
            ("/name  anna", Said::Name("anna")),
            ("/join kitchen", Said::Join("kitchen")),
            ("/who", Said::Who),
            ("/quit bye", Said::Quit),
            ("//etc", Said::Text("/etc")),
        ];
        for (line, said) in cases {
            assert_eq!(Said::parse(line), said);
        }
        for (line, why) in [("/join", "wants a room"), ("/who else", "takes nothing"), ("/sudo", "no such command")] {
            assert!(matches!(Said::parse(line), Said::Wrong(words) if words.contains(why)), "{line}");
        }
    }
}
