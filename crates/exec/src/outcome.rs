use socketserver_proto::exec::Fate;
use std::time::Duration;

/// How a command ended.
///
/// ```
/// use socketserver_exec::Status;
/// assert_eq!((Status::Killed(9).as_str(), Status::Killed(9).number()), ("killed", Some(9)));
/// assert_eq!((Status::TimedOut.as_str(), Status::TimedOut.number()), ("timed-out", None));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It exited with this status.
    Exited(i32),
    /// A signal of this number ended it, and it was not ours.
    Killed(i32),
    /// It could not be started, for this error (`errno(3)`).
    NotStarted(i32),
    /// It took longer than its limit.
    TimedOut,
    /// Whoever asked for it had left.
    Disconnected,
    /// It was [stopped](crate::Run::stop).
    Stopped,
    /// Its supervisor was killed, so what became of it is not known.
    Lost,
}

impl Status {
    /// One word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.fate().map_or("disconnected", Fate::as_str)
    }

    /// The number that belongs to it, if there is one.
    #[must_use]
    pub fn number(self) -> Option<i32> {
        self.fate().and_then(Fate::number)
    }

    /// What a client is told of it; `None`: it has left.
    pub(crate) fn fate(self) -> Option<Fate> {
        Some(match self {
            Self::Exited(status) => Fate::Exited(status),
            Self::Killed(signal) => Fate::Killed(signal),
            Self::NotStarted(errno) => Fate::NotStarted(errno),
            Self::TimedOut => Fate::TimedOut,
            Self::Disconnected => return None,
            Self::Stopped => Fate::Stopped,
            Self::Lost => Fate::Lost,
        })
    }
}

/// What came of a command.
///
/// ```standalone_crate
/// use socketserver_exec::{Job, Limits, Runner, Status, supervise_if_asked};
/// fn main() -> std::io::Result<()> {
///     supervise_if_asked();
///     let outcome = Runner::new()?.start(&Job::shell("exit 3"), Limits::default())?.wait(&mut |_, _| {})?;
///     assert_eq!(outcome.status, Status::Exited(3));
///     assert!(!outcome.cut);
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// It had more to say than its limit.
    pub cut: bool,
    /// Processes of it that could not be killed: in an uninterruptible sleep, or by now of a user whose processes we may not
    /// kill. Its supervisor stays as long as they do.
    pub left: u32,
    /// From its start to the end of the last of its processes.
    pub duration: Duration,
}
