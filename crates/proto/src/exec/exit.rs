use super::{Kind, WireError};
use std::time::Duration;

/// How a command ended: the payload of EXIT.
///
/// ```text
/// +------+---------------+-------+---------------+-------------------------------+
/// | fate |     number    | flags |     left      |      duration in µs           |
/// |  u8  |      i32      |  u8   |     u32       |            u64                |
/// +------+---------------+-------+---------------+-------------------------------+
/// ```
///
/// Bit 0 of the flags: it had more to say than its limit. The others are 0, and not looked at.
///
/// ```
/// use socketserver_proto::exec::{Exit, Fate};
/// use std::time::Duration;
/// let exit = Exit { fate: Fate::Exited(3), cut: false, left: 0, duration: Duration::from_millis(4) };
/// assert_eq!(exit.status(), 3);
/// assert_eq!(Exit { fate: Fate::Killed(9), ..exit }.status(), 137);
/// assert_eq!(Exit { fate: Fate::TimedOut, ..exit }.status(), 124);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// What became of it.
    pub fate: Fate,
    /// It had more to say than its limit.
    pub cut: bool,
    /// How many of its processes could not be killed.
    pub left: u32,
    /// From its start to the end of its last process, in whole microseconds.
    pub duration: Duration,
}

/// What became of a command.
///
/// ```
/// use socketserver_proto::exec::Fate;
/// assert_eq!((Fate::Killed(15).as_str(), Fate::Killed(15).number()), ("killed", Some(15)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// It exited with this status.
    Exited(i32),
    /// A signal of this number ended it.
    Killed(i32),
    /// It took longer than it may, and was ended.
    TimedOut,
    /// It could not be started, for this error (`errno(3)`).
    NotStarted(i32),
    /// What became of it is not known.
    Lost,
    /// The server ended it.
    Stopped,
}

impl Fate {
    /// One word for it, as the server's log has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exited(_) => "exited",
            Self::Killed(_) => "killed",
            Self::TimedOut => "timed-out",
            Self::NotStarted(_) => "not-started",
            Self::Lost => "lost",
            Self::Stopped => "stopped",
        }
    }

    /// The number that belongs to it, if there is one.
    #[must_use]
    pub fn number(self) -> Option<i32> {
        match self {
            Self::Exited(number) | Self::Killed(number) | Self::NotStarted(number) => Some(number),
            _ => None,
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            Self::Exited(_) => 0,
            Self::Killed(_) => 1,
            Self::TimedOut => 2,
            Self::NotStarted(_) => 3,
            Self::Lost => 4,
            Self::Stopped => 5,
        }
    }
}

const CUT: u8 = 1;

impl Exit {
    pub(super) const SIZE: usize = 18;

    /// What a program that stands in for the command exits with, as a shell has it: its status; 128 and the signal; 124
    /// for a time that was up; 127 where there is no such program and 126 where it could not be executed; 255 for what is
    /// no end of its own.
    #[must_use]
    pub fn status(&self) -> u8 {
        // ENOENT, on every Linux.
        const NO_SUCH_FILE: i32 = 2;
        match self.fate {
            Fate::Exited(status) => u8::try_from(status & 0xff).unwrap_or(255),
            Fate::Killed(signal) => u8::try_from(128 + (signal & 0x7f)).unwrap_or(255),
            Fate::TimedOut => 124,
            Fate::NotStarted(NO_SUCH_FILE) => 127,
            Fate::NotStarted(_) => 126,
            Fate::Lost | Fate::Stopped => 255,
        }
    }

    pub(super) fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[0] = self.fate.to_byte();
        bytes[1..5].copy_from_slice(&self.fate.number().unwrap_or(0).to_be_bytes());
        bytes[5] = if self.cut { CUT } else { 0 };
        bytes[6..10].copy_from_slice(&self.left.to_be_bytes());
        let micros = u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX);
        bytes[10..].copy_from_slice(&micros.to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let wrong = |what| WireError::Malformed(Kind::Exit, what);
        let bytes: &[u8; Self::SIZE] = bytes.try_into().map_err(|_| wrong("it is not 18 bytes long"))?;
        let [fate, n0, n1, n2, n3, flags, l0, l1, l2, l3, micros @ ..] = *bytes;
        let number = i32::from_be_bytes([n0, n1, n2, n3]);
        let fate = match fate {
            0 => Fate::Exited(number),
            1 => Fate::Killed(number),
            2 => Fate::TimedOut,
            3 => Fate::NotStarted(number),
            4 => Fate::Lost,
            5 => Fate::Stopped,
            _ => return Err(wrong("no command ends like that")),
        };
        let duration = Duration::from_micros(u64::from_be_bytes(micros));
        Ok(Self { fate, cut: flags & CUT != 0, left: u32::from_be_bytes([l0, l1, l2, l3]), duration })
    }
}
