//! Files that are believed: what they say is as good as the right to run commands, so they are read only where nobody else
//! could have written them, and secrets only where nobody else can read them either.

use crate::Error;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a file is read for, and so who else may do what with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose {
    /// What is wanted, in words.
    pub(crate) what: &'static str,
    /// What nobody else may have: bits of the mode.
    pub(crate) forbidden: u32,
    /// What others could do who have them, and what takes these away.
    pub(crate) danger: &'static str,
    pub(crate) cure: &'static str,
    /// More than this is none.
    pub(crate) longest: usize,
    /// How a sentence says that.
    pub(crate) spoken: &'static str,
}

/// Its bytes, if it is a file of its own of root's or of this process's user, with which others may do nothing that they
/// should not, in directories where they could put no other. They are wiped when they are dropped, and lie in memory once.
pub(crate) fn read(path: &Path, purpose: Purpose) -> Result<Zeroizing<Vec<u8>>, Error> {
    let shown = path.display();
    let refuse = |why: &str| Error::new(format!("`{shown}`: {why}"));
    let real = real(path).map_err(|error| refuse(&error.to_string()))?;
    let us = rustix::process::geteuid().as_raw();
    for directory in real.ancestors().skip(1) {
        is_ours_to_change(directory, us).map_err(|why| refuse(&why))?;
    }
    // Neither a link nor a FIFO is waited for or followed: all that is asked is asked of the file that is then read.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(&real, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::LOOP) => {
            let target =
                std::fs::canonicalize(path).map_or_else(|_| "the file itself".into(), |p| format!("`{}`", p.display()));
            return Err(refuse(&format!("is a symbolic link, which others may turn elsewhere; name {target}")));
        }
        Err(error) => return Err(refuse(&io::Error::from(error).to_string())),
    };
    let is = rustix::fs::fstat(&file).map_err(|error| refuse(&io::Error::from(error).to_string()))?;
    if FileType::from_raw_mode(is.st_mode) != FileType::RegularFile {
        return Err(refuse(&format!("is not a file; {} is wanted", purpose.what)));
    }
    if is.st_uid != 0 && is.st_uid != us {
        return Err(refuse(&format!(
            "belongs to user {}, who could have any command run; `chown` it to root or to user {us}",
            is.st_uid
        )));
    }
    if is.st_mode & purpose.forbidden != 0 {
        return Err(refuse(&format!(
            "has mode {:03o}: others may {}, and so have any command run; `{}` it",
            is.st_mode & 0o777,
            purpose.danger,
            purpose.cure
        )));
    }
    // Room for all of it at once, so that no part of a secret is left behind by a move. A file says how long it is, and can
    // be longer by now.
    let room = usize::try_from(is.st_size).unwrap_or(0).min(purpose.longest) + 1;
    let mut bytes = Zeroizing::new(vec![0; room]);
    let mut file = std::fs::File::from(file);
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(refuse(&error.to_string())),
        }
    }
    if filled > purpose.longest {
        return Err(refuse(&format!("is longer than {}", purpose.spoken)));
    }
    if filled == bytes.len() {
        return Err(refuse("grew while it was read; try again"));
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Where it is, with no link on the way; it may be one itself.
fn real(path: &Path) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else { return path.canonicalize() };
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    Ok(directory.unwrap_or(Path::new(".")).canonicalize()?.join(name))
}

/// Whether what is in this directory can be put elsewhere, and something else in its place, by root and us alone. Where the
/// sticky bit is set (`/tmp`) others may put there what they like, and leave alone what is not theirs.
fn is_ours_to_change(directory: &Path, us: u32) -> Result<(), String> {
    let shown = directory.display();
    let is = rustix::fs::stat(directory).map_err(|error| format!("`{shown}`: {}", io::Error::from(error)))?;
    if is.st_uid != 0 && is.st_uid != us {
        return Err(format!(
            "is in `{shown}`, which belongs to user {}, who could put another there; `chown` it to root or to user {us}, or \
             choose another directory",
            is.st_uid
        ));
    }
    if is.st_mode & 0o022 != 0 && is.st_mode & 0o1000 == 0 {
        return Err(format!(
            "is in `{shown}`, which has mode {:03o}: others could put another there; `chmod go-w {shown}`",
            is.st_mode & 0o777
        ));
    }
    Ok(())
}
