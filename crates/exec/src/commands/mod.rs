//! What may be run, by name.

mod entry;
mod pattern;

use crate::believed::{self, Purpose};
use crate::{Error, Job, Limits};
use entry::{Command, Entry};
use socketserver_proto::exec::Why;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;

/// The commands that may be run, read from a file.
///
/// ```toml
/// [disk]
/// argv = ["/bin/df", "-h"]
///
/// [tail]
/// argv = ["/usr/bin/tail", "-n", "100", "--"]
/// arguments = ['[a-z]+\.log']
/// directory = "/var/log"
/// environment = { LANG = "C" }
/// timeout = "5s"
/// output-limit = "1MiB"
/// ```
///
/// A request is the name of a command and its arguments, in words as in a shell: quotes and backslashes group, and
/// nothing is expanded. There are exactly as many arguments as patterns, each of which has to match the whole of its argument. An
/// argument that begins with `-` is taken only where the pattern itself begins with `-`.
///
/// ```
/// use socketserver_exec::{Commands, Limits};
/// let commands = Commands::parse("[hello]\nargv = [\"/bin/echo\", \"hello\"]\narguments = ['\\w+']\n", "commands.toml")?;
/// assert!(commands.find("hello world", Limits::default()).is_ok());
/// assert_eq!(commands.find("bye", Limits::default()).unwrap_err(), "unknown command `bye`; known: hello");
/// assert_eq!(commands.find("hello", Limits::default()).unwrap_err(), "`hello` takes 1 argument, and 0 were given");
/// # Ok::<_, socketserver_exec::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Commands {
    by_name: BTreeMap<String, Command>,
}

const PURPOSE: Purpose = Purpose {
    what: "a TOML file of commands",
    forbidden: 0o022,
    danger: "write it",
    cure: "chmod go-w",
    longest: 1 << 20,
    spoken: "1 MiB",
};

/// Why nothing is run for a request, and what to say to whoever asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoCommand {
    pub(crate) why: Why,
    pub(crate) text: String,
}

/// Of what a client said so much is said back to it.
const SHOWN: usize = 64;

impl Commands {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// It is not a file, or a link; it belongs neither to root nor to this process's user, or others may write it; what it
    /// says is not understood, with the line.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = believed::read(path, PURPOSE)?;
        let text = std::str::from_utf8(&bytes).map_err(|error| Error::new(format!("`{name}`: {error}")))?;
        Self::parse(text, &name)
    }

    /// Reads a text. `name` is what errors call it.
    ///
    /// # Errors
    /// What it says is not understood, with the line.
    pub fn parse(text: &str, name: &str) -> Result<Self, Error> {
        let wrong = |span: Option<Range<usize>>, what: &str| {
            let at = span.map_or(0, |span| span.start.min(text.len()));
            let line = text[..at].matches('\n').count() + 1;
            let of = section(text, line).map_or(String::new(), |command| format!("command `{command}`: "));
            Error::new(format!("`{name}`, line {line}: {of}{}", what.trim_end().replace('\n', "; ")))
        };
        let entries: BTreeMap<Spanned<String>, Entry> =
            toml::from_str(text).map_err(|error| wrong(error.span(), error.message()))?;
        if entries.is_empty() {
            return Err(Error::new(format!(
                "`{name}` has no command; for example a line `[disk]` and a line `argv = [\"/bin/df\", \"-h\"]`"
            )));
        }
        let mut by_name = BTreeMap::new();
        for (name, entry) in entries {
            if !is_a_word(name.get_ref()) {
                let what =
                    format!("{:?} is not a name that a request can begin with; for example `[disk]`", name.get_ref());
                return Err(wrong(Some(name.span()), &what));
            }
            let command = entry.into_command().map_err(|(span, what)| wrong(Some(span), &what))?;
            by_name.insert(name.into_inner(), command);
        }
        Ok(Self { by_name })
    }

    /// What to run for a request, and under which limits where the command has none of its own.
    ///
    /// # Errors
    /// What to say to whoever asked: nothing of that name may be run, or not so.
    pub fn find(&self, request: &str, limits: Limits) -> Result<(Job, Limits), String> {
        let words = shlex::split(request).ok_or("a quotation in the request has no end")?;
        self.find_words(&words, limits).map_err(|none| none.text)
    }

    /// As [`find`](Self::find), for a request that came in words.
    pub(crate) fn find_words(&self, words: &[String], limits: Limits) -> Result<(Job, Limits), NoCommand> {
        let unknown = |what: &str| NoCommand { why: Why::Unknown, text: self.unknown(what) };
        let wrong = |text| Err(NoCommand { why: Why::Arguments, text });
        let Some((name, arguments)) = words.split_first() else { return Err(unknown("no command was given")) };
        let Some(command) = self.by_name.get(name) else {
            return Err(unknown(&format!("unknown command `{}`", shown(name))));
        };
        if arguments.len() != command.arguments.len() {
            let (wanted, given) = (command.arguments.len(), arguments.len());
            let s = if wanted == 1 { "" } else { "s" };
            return wrong(format!("`{name}` takes {wanted} argument{s}, and {given} were given"));
        }
        for (at, (argument, pattern)) in arguments.iter().zip(&command.arguments).enumerate() {
            if !pattern.matches(argument) {
                let (argument, pattern) = (shown(argument), pattern.text());
                return wrong(format!("argument {} of `{name}`, `{argument}`, is not as `{pattern}` says", at + 1));
            }
        }
        let (timeout, output) = (command.timeout.unwrap_or(limits.timeout), command.output.unwrap_or(limits.output));
        Ok((command.job.clone().arguments(arguments), limits.timeout(timeout).output(output)))
    }

    fn unknown(&self, what: &str) -> String {
        let mut said = format!("{what}; known: ");
        for (at, name) in self.by_name.keys().enumerate() {
            if said.len() > 2000 {
                let _ = write!(said, ", and {} more", self.by_name.len() - at);
                break;
            }
            let _ = write!(said, "{}{name}", if at == 0 { "" } else { ", " });
        }
        said
    }
}

/// The table that a line stands in, for errors.
fn section(text: &str, line: usize) -> Option<&str> {
    let header = text.lines().take(line).filter(|line| line.starts_with('[')).last()?;
    let name = header.trim_start_matches('[').split(']').next()?.split('.').next()?;
    Some(name.trim().trim_matches(['"', '\''])).filter(|name| !name.is_empty())
}

/// Whether a request can name it without quotes.
fn is_a_word(name: &str) -> bool {
    let bare = |c: char| !c.is_whitespace() && !c.is_control() && !"'\"\\#".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(bare)
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
