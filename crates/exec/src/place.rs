//! Where commands may be asked for without a proof of who asks: on this machine alone.

use crate::Error;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::process::{Gid, Uid};
use socketserver::{Endpoint, Host, UnixName};
use socketserver_sys::Account;
use std::path::Path;

/// The mode of a Unix socket that is for its owner alone.
const OWNER: u32 = 0o600;

/// What could make any other place safe.
const MISSING: &str = "there clients would have to prove who they are, over TLS: authentication and TLS come with the \
                       native protocol, and until then commands are run for loopback TCP, as `127.0.0.1:9000`, or a Unix \
                       socket of mode 600, as `unix:/run/exec.sock`, alone";

/// Whether commands may be asked for at an endpoint: TCP on the loopback, with TLS or without, and Unix sockets with a file that is for their
/// owner alone. A name is not looked up: ask again about what was bound.
///
/// ```
/// use socketserver_exec::place;
/// for right in ["127.0.0.1:9000", "[::1]:9000", "tls://127.0.0.1:9000", "unix:/run/exec.sock"] {
///     assert!(place::check(&right.parse()?).is_ok());
/// }
/// for wrong in ["*:9000", "192.0.2.1:9000", "udp://127.0.0.1:9000", "unix:@exec", "unix:/run/exec.sock?mode=660"] {
///     assert!(place::check(&wrong.parse()?).unwrap_err().to_string().contains("authentication and TLS"));
/// }
/// # Ok::<_, socketserver::EndpointError>(())
/// ```
///
/// # Errors
/// It may not; the error says what would be needed for that.
pub fn check(endpoint: &Endpoint) -> Result<(), Error> {
    let why = match endpoint {
        Endpoint::Tcp { host: Host::Ip(ip), .. } | Endpoint::Tls { host: Host::Ip(ip), .. }
            if ip.to_canonical().is_loopback() =>
        {
            return Ok(());
        }
        // Judged by what is bound.
        Endpoint::Tcp { host: Host::Name(_), .. } | Endpoint::Tls { host: Host::Name(_), .. } | Endpoint::Fd(_) => {
            return Ok(());
        }
        Endpoint::Unix { name: UnixName::Path(_), mode: None | Some(OWNER) } => return Ok(()),
        Endpoint::Tcp { .. } | Endpoint::Tls { .. } => {
            "it is not on the loopback, so others than this machine's users could ask"
        }
        Endpoint::Unix { name: UnixName::Path(_), .. } => "others than its owner could ask there",
        Endpoint::Unix { .. } => "an abstract socket has no owner, so any user of this machine could ask there",
        _ => "commands are run over streams",
    };
    Err(Error::new(format!("`{endpoint}`: {why}; {MISSING}")))
}

/// Looks at what was bound, as [`check`] does, and at the files of Unix sockets: of mode 600, and ours. They are then given
/// to that user, if there is one.
///
/// # Errors
/// As [`check`]; a file that is not what was bound, or cannot be given away.
pub fn secure(endpoints: &[Endpoint], owner: Option<&Account>) -> Result<(), Error> {
    for endpoint in endpoints {
        check(endpoint)?;
        match endpoint {
            Endpoint::Unix { name: UnixName::Path(path), .. } => secure_file(path, owner)?,
            Endpoint::Tcp { host: Host::Ip(_), .. } | Endpoint::Tls { host: Host::Ip(_), .. } => {}
            other => return Err(Error::new(format!("`{other}`: where it is bound is not known; {MISSING}"))),
        }
    }
    Ok(())
}

fn secure_file(path: &Path, owner: Option<&Account>) -> Result<(), Error> {
    let refuse = |why: String| Error::new(format!("`unix:{}`: {why}", path.display()));
    let failed = |error: rustix::io::Errno| refuse(std::io::Error::from(error).to_string());
    // Held, so that what is looked at is what is then given away, whoever may write the directory.
    let file =
        rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let is = rustix::fs::fstat(&file).map_err(failed)?;
    let us = rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(is.st_mode) != FileType::Socket || is.st_uid != us {
        return Err(refuse("somebody else has put another file there".into()));
    }
    if is.st_mode & 0o777 != OWNER {
        return Err(refuse(format!(
            "its mode is {:03o}, and others than its owner could ask there; 600 is right",
            is.st_mode & 0o777
        )));
    }
    if let Some(owner) = owner {
        let (uid, gid) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
        rustix::fs::chownat(&file, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH).map_err(failed)?;
    }
    Ok(())
}
