use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What is to be run: a program with its arguments, where, and with which variables.
///
/// ```
/// use socketserver_exec::Job;
/// let job = Job::new(["/bin/ls", "-l"]).directory("/srv").variable("LANG", "C.UTF-8");
/// assert_eq!(job.argv(), ["/bin/ls", "-l"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    argv: Vec<String>,
    directory: PathBuf,
    environment: BTreeMap<String, String>,
}

/// A job is handed over in one piece of so many bytes at most.
pub(crate) const LONGEST: usize = 128 << 10;

impl Job {
    /// A program by its absolute path, with its arguments; in `/`, with no variables.
    #[must_use]
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let argv = argv.into_iter().map(Into::into).collect();
        Self { argv, directory: "/".into(), environment: BTreeMap::new() }
    }

    /// A text for `/bin/sh -c`.
    #[must_use]
    pub fn shell(text: &str) -> Self {
        Self::new(["/bin/sh", "-c", "--", text])
    }

    /// More arguments.
    #[must_use]
    pub fn arguments(mut self, more: &[String]) -> Self {
        self.argv.extend_from_slice(more);
        self
    }

    /// Where it runs.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// A variable, in place of one that is there.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// These variables, where it has none of the same name.
    #[must_use]
    pub fn or_variables(mut self, variables: &BTreeMap<String, String>) -> Self {
        for (name, value) in variables {
            self.environment.entry(name.clone()).or_insert_with(|| value.clone());
        }
        self
    }

    /// The program and its arguments.
    #[must_use]
    pub fn argv(&self) -> &[String] {
        &self.argv
    }

    pub(crate) fn place(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Its parts, a NUL behind each, for none can have one in it.
    pub(crate) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let invalid = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        let directory = self.directory.to_str().unwrap_or_default();
        let mut parts = vec![directory.to_owned(), self.environment.len().to_string()];
        parts.extend(self.environment.iter().map(|(name, value)| format!("{name}={value}")));
        parts.extend_from_slice(&self.argv);
        if !self.argv.first().is_some_and(|program| program.starts_with('/')) || !directory.starts_with('/') {
            return invalid("a program and its directory are named by absolute paths");
        }
        if parts.iter().any(|part| part.contains('\0')) {
            return invalid("no program can be given a NUL character");
        }
        let mut bytes = parts.join("\0").into_bytes();
        bytes.push(0);
        if bytes.len() > LONGEST {
            return Err(io::Error::from_raw_os_error(rustix::io::Errno::TOOBIG.raw_os_error()));
        }
        Ok(bytes)
    }

    /// What [`to_bytes`](Self::to_bytes) made; `None`: it did not.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\0')?;
        let mut parts = text.split('\0');
        let directory = parts.next()?.into();
        let count = parts.next()?.parse().ok()?;
        let mut environment = BTreeMap::new();
        for _ in 0_usize..count {
            let (name, value) = parts.next()?.split_once('=')?;
            environment.insert(name.to_owned(), value.to_owned());
        }
        let argv: Vec<String> = parts.map(str::to_owned).collect();
        (!argv.is_empty()).then_some(Self { argv, directory, environment })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_goes_from_hand_to_hand_unchanged() {
        let job = Job::new(["/bin/echo", "", "-n", "日志 =x", "\n"])
            .directory("/srv")
            .variable("A", "")
            .variable("B", "=b\n");
        assert_eq!(Job::from_bytes(&job.to_bytes().unwrap()), Some(job));
    }

    #[test]
    fn what_no_program_can_be_given_is_refused() {
        for job in [
            Job::new(["echo"]),
            Job::new(Vec::<String>::new()),
            Job::new(["/bin/echo", "a\0b"]),
            Job::new(["/bin/echo"]).directory("srv"),
            Job::new(["/bin/echo"]).variable("A", "\0"),
            Job::new(["/bin/echo", &"x".repeat(LONGEST)]),
        ] {
            assert!(job.to_bytes().is_err(), "{:?}", job.argv().first());
        }
        for bytes in [&b""[..], b"/\0", b"/\x001\0/bin/echo\0", b"/\x000\0", b"\xff\0"] {
            assert_eq!(Job::from_bytes(bytes), None);
        }
    }
}
