//! A file of commands is as good as the right to run them: it is read only where nobody else could have written it.

use crate::Error;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::io::Read;
use std::path::Path;

/// More than this is no file of commands.
const LONGEST: u64 = 1 << 20;

/// Its text, if it is a file of its own that only root or this process's user may write.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    let shown = path.display();
    let refuse = |why: &str| Error::new(format!("`{shown}`: {why}"));
    // Neither a link nor a FIFO is waited for or followed: all that is asked is asked of the file that is then read.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::LOOP) => {
            let target =
                std::fs::canonicalize(path).map_or_else(|_| "the file itself".into(), |p| format!("`{}`", p.display()));
            return Err(refuse(&format!("is a symbolic link, which others may turn elsewhere; name {target}")));
        }
        Err(error) => return Err(refuse(&std::io::Error::from(error).to_string())),
    };
    let is = rustix::fs::fstat(&file).map_err(|error| refuse(&std::io::Error::from(error).to_string()))?;
    if FileType::from_raw_mode(is.st_mode) != FileType::RegularFile {
        return Err(refuse("is not a file; a TOML file of commands is wanted"));
    }
    let us = rustix::process::geteuid().as_raw();
    if is.st_uid != 0 && is.st_uid != us {
        return Err(refuse(&format!(
            "belongs to user {}, who could have any command run; `chown` it to root or to user {us}",
            is.st_uid
        )));
    }
    if is.st_mode & 0o022 != 0 {
        return Err(refuse(&format!(
            "has mode {:03o}: others may write it, and so have any command run; `chmod go-w` it",
            is.st_mode & 0o777
        )));
    }
    let mut text = String::new();
    let read = std::fs::File::from(file).take(LONGEST + 1).read_to_string(&mut text);
    read.map_err(|error| refuse(&error.to_string()))?;
    if text.len() as u64 > LONGEST {
        return Err(refuse("is longer than 1 MiB"));
    }
    Ok(text)
}
