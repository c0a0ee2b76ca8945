//! Where commands may be asked for: without a proof of who asks on this machine alone, with one over TLS anywhere.

use crate::{Auth, Error};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::process::{Gid, Uid};
use socketserver::{Endpoint, Host, UnixName};
use socketserver_sys::Account;
use std::path::Path;

/// The mode of a Unix socket that is for its owner alone.
const OWNER: u32 = 0o600;

/// What could make any other place safe.
const MISSING: &str = "there clients would have to prove who they are, over TLS: authentication and TLS come with the \
                       native protocol, without `--wire`; a classic wire is for loopback TCP, as `127.0.0.1:9000`, or a \
                       Unix socket of mode 600, as `unix:/run/exec.sock`, alone";

/// What `serve exec` calls what may be missing of the native protocol.
const AUTHENTICATION: &str = "authentication (`--token-file FILE`, or `--allow-san NAME` with `--tls-client-ca FILE`)";
const TLS: &str = "TLS (`tls://…`)";

/// Whether commands may be asked for at an endpoint without a proof: TCP on the loopback, with TLS or without, and Unix
/// sockets with a file that is for their owner alone. A name is not looked up: ask again about what was bound.
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

/// Whether commands may be asked for at an endpoint over the native protocol, by those whom `auth` lets in: TCP on the
/// loopback and Unix sockets with a file that is for their owner alone; other Unix sockets, for there the kernel says who
/// asks; and whatever is beyond the loopback over TLS, by those who prove who they are. A name is not looked up: ask again
/// about what was bound.
///
/// ```
/// use socketserver_exec::{Auth, Token, place};
/// for right in ["127.0.0.1:9000", "unix:/run/exec.sock?mode=666", "unix:@exec"] {
///     assert!(place::check_native(&right.parse()?, &Auth::new()).is_ok());
/// }
/// let said = place::check_native(&"192.0.2.1:9000".parse()?, &Auth::new()).unwrap_err().to_string();
/// assert!(said.contains("`--token-file FILE`") && said.contains("`tls://…`"));
/// let auth = Auth::new().token(Token::new(b"c4f0b1c5fd1c4c1e8d7a64a0f7bd3a52")?);
/// let said = place::check_native(&"192.0.2.1:9000".parse()?, &auth).unwrap_err().to_string();
/// assert!(!said.contains("`--token-file FILE`") && said.contains("`tls://…`"));
/// # Ok::<_, socketserver::Failure>(())
/// ```
///
/// # Errors
/// It may not; the error says what is missing.
pub fn check_native(endpoint: &Endpoint, auth: &Auth) -> Result<(), Error> {
    match endpoint {
        Endpoint::Tcp { host: Host::Ip(ip), .. } | Endpoint::Tls { host: Host::Ip(ip), .. }
            if ip.to_canonical().is_loopback() =>
        {
            provable(endpoint, auth)
        }
        // Judged by what is bound.
        Endpoint::Tcp { host: Host::Name(_), .. } | Endpoint::Tls { host: Host::Name(_), .. } | Endpoint::Fd(_) => {
            Ok(())
        }
        Endpoint::Tls { .. } if auth.has_token() || auth.has_names() => Ok(()),
        Endpoint::Tcp { .. } | Endpoint::Tls { .. } => missing(endpoint, auth),
        Endpoint::Unix { .. } => Ok(()),
        _ => Err(Error::new(format!("`{endpoint}`: commands are run over streams, as `unix:/run/exec.sock`"))),
    }
}

/// On the loopback, where something was asked for that cannot be proved there.
fn provable(endpoint: &Endpoint, auth: &Auth) -> Result<(), Error> {
    if auth.is_asked_for() && !auth.has_token() && !(auth.has_names() && endpoint.is_tls()) {
        return Err(Error::new(format!(
            "`{endpoint}`: nobody could prove there who he is: users are known over Unix sockets, and certificates over TLS; \
             `--token-file FILE` is for TCP too"
        )));
    }
    Ok(())
}

/// Beyond the loopback, without TLS or without a proof.
fn missing(endpoint: &Endpoint, auth: &Auth) -> Result<(), Error> {
    let missing = match (auth.has_token() || auth.has_names(), endpoint.is_tls()) {
        (true, _) => format!("{TLS} is missing"),
        // An authority may have issued any number of certificates.
        (false, true) => format!("{AUTHENTICATION} is missing; that a certificate was verified is not enough"),
        (false, false) => format!("{AUTHENTICATION} and {TLS} are missing"),
    };
    Err(Error::new(format!(
        "`{endpoint}`: it is not on the loopback, where commands are run for those alone who prove who they are, over TLS: \
         {missing}; otherwise there are loopback TCP, as `127.0.0.1:9000`, and Unix sockets, as `unix:/run/exec.sock`"
    )))
}

/// Looks at what was bound, as [`check_native`] does, and at the files of Unix sockets: ours, of whatever mode was asked
/// for. They are then given to that user, if there is one.
///
/// # Errors
/// As [`check_native`]; a file that is not what was bound, or cannot be given away.
pub fn secure_native(endpoints: &[Endpoint], auth: &Auth, owner: Option<&Account>) -> Result<(), Error> {
    for endpoint in endpoints {
        check_native(endpoint, auth)?;
        match endpoint {
            Endpoint::Unix { name: UnixName::Path(path), .. } => secure_file(path, owner, None)?,
            Endpoint::Unix { .. } | Endpoint::Tcp { host: Host::Ip(_), .. } => {}
            Endpoint::Tls { host, .. } if !matches!(host, Host::Name(_)) => {}
            other => return Err(Error::new(format!("`{other}`: where it is bound is not known"))),
        }
    }
    Ok(())
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
            Endpoint::Unix { name: UnixName::Path(path), .. } => secure_file(path, owner, Some(OWNER))?,
            Endpoint::Tcp { host: Host::Ip(_), .. } | Endpoint::Tls { host: Host::Ip(_), .. } => {}
            other => return Err(Error::new(format!("`{other}`: where it is bound is not known; {MISSING}"))),
        }
    }
    Ok(())
}

fn secure_file(path: &Path, owner: Option<&Account>, mode: Option<u32>) -> Result<(), Error> {
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
    if mode.is_some_and(|mode| is.st_mode & 0o777 != mode) {
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
