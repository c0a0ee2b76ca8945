use super::pattern::Pattern;
use crate::{Job, Size, limits};
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

/// A command as the file says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table with `argv`")]
pub(super) struct Entry {
    argv: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    arguments: Vec<Spanned<String>>,
    directory: Option<Spanned<String>>,
    #[serde(default)]
    environment: BTreeMap<Spanned<String>, Spanned<String>>,
    timeout: Option<Spanned<Scalar>>,
    output_limit: Option<Spanned<Scalar>>,
}

/// A text, or a number that is as good as its digits.
#[derive(Debug)]
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text such as \"30s\" or \"16MiB\", or a number")
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
        }
        from.deserialize_any(Words)
    }
}

/// A command that may be run.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) job: Job,
    pub(super) arguments: Vec<Pattern>,
    /// What of it is not said is as for all.
    pub(super) timeout: Option<Option<Duration>>,
    pub(super) output: Option<Size>,
}

/// What is wrong, and where in the text.
pub(super) type Wrong = (Range<usize>, String);

impl Entry {
    pub(super) fn into_command(self) -> Result<Command, Wrong> {
        let mut argv = Vec::new();
        for word in self.argv.get_ref() {
            argv.push(plain(word)?.to_owned());
        }
        let Some(program) = self.argv.get_ref().first() else {
            return Err((self.argv.span(), "`argv` is empty; for example `argv = [\"/bin/df\", \"-h\"]`".into()));
        };
        let here = |what: String| (program.span(), what);
        executable(program.get_ref()).map_err(here)?;

        let mut job = Job::new(argv);
        if let Some(directory) = &self.directory {
            let path = Path::new(plain(directory)?);
            if !path.is_absolute() || !path.is_dir() {
                let what = format!("`{}` is not an absolute path of a directory; for example `/srv`", path.display());
                return Err((directory.span(), what));
            }
            job = job.directory(path);
        }
        for (name, value) in &self.environment {
            if name.get_ref().is_empty() || name.get_ref().contains(['=', '\0']) {
                return Err((name.span(), format!("{:?} is not a name of a variable", name.get_ref())));
            }
            job = job.variable(name.get_ref(), plain(value)?);
        }
        let mut arguments = Vec::new();
        for pattern in &self.arguments {
            arguments.push(Pattern::new(pattern.get_ref()).map_err(|what| (pattern.span(), what))?);
        }
        let timeout =
            self.timeout.map(|value| limits::timeout(&value.get_ref().0).map_err(|what| (value.span(), what)));
        let output = self
            .output_limit
            .map(|value| value.get_ref().0.parse::<Size>().map_err(|what| (value.span(), what.to_string())));
        Ok(Command { job, arguments, timeout: timeout.transpose()?, output: output.transpose()? })
    }
}

/// A program takes no NUL.
fn plain(text: &Spanned<String>) -> Result<&str, Wrong> {
    match text.get_ref() {
        text if !text.contains('\0') => Ok(text),
        _ => Err((text.span(), "no program can be given a NUL character".into())),
    }
}

fn executable(program: &str) -> Result<(), String> {
    if !program.starts_with('/') {
        return Err(format!("`{program}` is not an absolute path; for example `/bin/df`"));
    }
    match fs::metadata(program) {
        Ok(is) if is.is_file() && is.permissions().mode() & 0o111 != 0 => Ok(()),
        Ok(_) => Err(format!("`{program}` is not an executable file")),
        Err(error) => Err(format!("`{program}`: {error}")),
    }
}
