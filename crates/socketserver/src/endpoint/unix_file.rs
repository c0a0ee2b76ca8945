//! The file of a Unix socket: bound with no window in which its mode is wider, never taken from anyone who lives,
//! unlinked by its owner alone.

use crate::{Error, ErrorKind};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use socket2::Socket;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Unix sockets are for their owner alone unless told otherwise.
const DEFAULT_MODE: u32 = 0o600;

/// The file that this process bound, and still has to unlink.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    /// A forked child has a copy of this value: only the process that bound it unlinks.
    owner: u32,
}

impl SocketFile {
    /// Binds `socket` to `path` and makes it listen, if it is one that listens.
    pub(crate) fn bind(
        socket: &Socket,
        path: &Path,
        mode: Option<u32>,
        listen: impl FnOnce() -> io::Result<()>,
    ) -> Result<Self, Error> {
        let failed = |what: &str, error: io::Error| Error::io(format!("{what} `unix:{}`", path.display()), error);
        // A relative path must still be right when the working directory has changed by then.
        let path = &std::path::absolute(path).map_err(|e| failed("cannot find the directory of", e))?;
        let mode = mode.unwrap_or(DEFAULT_MODE);
        // The file gets the mode of the socket's own inode less the umask (unix(7) is silent; net/unix/af_unix.c,
        // unix_bind_bsd): so it is never wider than asked for, not even for a moment.
        rustix::fs::fchmod(socket, Mode::from_raw_mode(mode))
            .map_err(|e| failed("cannot set the mode of", e.into()))?;
        let addr = socket2::SockAddr::unix(path).map_err(|e| failed("cannot listen on", e))?;
        let file = {
            // Two servers that find the same dead socket at the same moment must not unlink each other's. A socket that
            // is bound and does not listen yet looks dead, so listening belongs to the turn.
            let _turn = DirectoryLock::take(path);
            if let Err(error) = socket.bind(&addr) {
                if error.raw_os_error() != Some(Errno::ADDRINUSE.raw_os_error()) {
                    return Err(failed("cannot listen on", error));
                }
                remove_dead(path)?;
                socket.bind(&addr).map_err(|e| failed("cannot listen on", e))?;
            }
            let identity = identity(path).map_err(|e| failed("cannot see the new socket", e))?;
            let file = Self { path: path.clone(), identity, owner: std::process::id() };
            listen().map_err(|e| failed("cannot listen on", e))?;
            file
        };
        let is = fs::symlink_metadata(path).map_err(|e| failed("cannot see the new socket", e))?;
        // What the umask took away and was asked for comes back here.
        if (is.dev(), is.ino()) == file.identity && is.mode() & 0o777 != mode {
            rustix::fs::chmod(path, Mode::from_raw_mode(mode))
                .map_err(|e| failed("cannot set the mode of", e.into()))?;
        }
        Ok(file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.owner == std::process::id() && identity(&self.path).is_ok_and(|now| now == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Makes room for a bind: removes a socket that nobody listens on, refuses everything else.
fn remove_dead(path: &Path) -> Result<(), Error> {
    let shown = path.display();
    let failed = |error: io::Error| Error::io(format!("cannot look at `unix:{shown}`"), error);
    let before = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !before.file_type().is_socket() {
        return Err(Error::new(
            ErrorKind::InUse,
            format!(
                "`{shown}` is there and is not a socket: it is left alone; choose another path or remove it yourself"
            ),
        ));
    }
    if is_alive(path).map_err(failed)? {
        return Err(Error::new(ErrorKind::InUse, format!("`unix:{shown}`: somebody listens there already")));
    }
    // Between the look and now somebody who takes no turn may have put another file there.
    match identity(path) {
        Ok(now) if now == (before.dev(), before.ino()) => fs::remove_file(path).map_err(|error| {
            Error::io(format!("`unix:{shown}` is a socket that nobody listens on, and it cannot be removed"), error)
        }),
        Ok(_) => Err(Error::new(ErrorKind::InUse, format!("`unix:{shown}`: somebody else just took it"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// Whether anybody has that socket bound. All doubt counts as alive.
fn is_alive(path: &Path) -> io::Result<bool> {
    // A stream probe tells of every kind: another kind of socket answers EPROTOTYPE (connect(2)), so it lives too.
    // Non-blocking, for a full backlog would make it wait: EAGAIN is the sign of a busy live server.
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let probe = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&probe, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        _ => Ok(true),
    }
}

/// Holds the directory of a socket for as long as looking, unlinking and binding take. It leaves no file behind.
#[derive(Debug)]
struct DirectoryLock(#[expect(dead_code, reason = "held for its drop: closing it releases the lock")] OwnedFd);

impl DirectoryLock {
    /// How long another process may hold it. Then it is not one of ours between look and bind, which takes
    /// microseconds, and waiting on would let anybody who can open the directory keep us from starting.
    const PATIENCE: Duration = Duration::from_millis(500);

    fn take(path: &Path) -> Option<Self> {
        let directory = path.parent()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(rustix::fs::CWD, directory, flags, Mode::empty()).ok()?;
        let give_up = Instant::now() + Self::PATIENCE;
        loop {
            match rustix::fs::flock(fd.as_fd(), FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Some(Self(fd)),
                // flock(2) has no form that waits for a bounded time.
                Err(Errno::WOULDBLOCK) if Instant::now() < give_up => std::thread::sleep(Duration::from_millis(5)),
                Err(_) => return None,
            }
        }
    }
}
