//! The servers that the tests talk to.

use socketserver::{Report, Result, ServerTls, Signal};
use socketserver_testkit::{Cast, Connection, Part, Role};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

pub(crate) const ALL: &[(&str, Role)] =
    &[("pair", pair), ("absent", absent), ("unwatched", unwatched), ("half-watched", half_watched)];

/// Does what each line says.
struct Script;

impl Part for Script {
    async fn handle(&self, c: &mut impl Connection) -> Result {
        while let Some(line) = c.read_line(1000).await? {
            let answer = match line.split_once(' ') {
                Some(("echo", rest)) => rest.to_owned(),
                _ if line == "pid" => std::process::id().to_string(),
                _ if line == "reload" => match c.server().reload_tls() {
                    Ok(()) => "done".to_owned(),
                    Err(error) => error.to_string(),
                },
                _ => return Err(line.into()),
            };
            c.write_all(format!("{answer}\n").as_bytes()).await?;
        }
        Ok(())
    }
}

/// One certificate and its key, in the directory of the second line.
fn pair(cast: &Cast) -> Result<Report> {
    let dir = Path::new(cast.endpoints().nth(1).unwrap_or_default());
    let tls = ServerTls::new().certificate(dir.join("live.pem"), dir.join("live.key"));
    let server = Cast::server_at(&[cast.endpoint()])?.tls(tls)?.reload_tls_on(Signal::Hangup)?;
    cast.serve(server, Script)
}

/// A signal asks for what is not there.
fn absent(cast: &Cast) -> Result<Report> {
    let server = Cast::server_at(&[cast.endpoint()])?.on_signal(Signal::Hangup, |handle| Ok(handle.reload_tls()?))?;
    cast.serve(server, Script)
}

/// As [`pair`], for a user who may watch nothing.
fn unwatched(cast: &Cast) -> Result<Report> {
    allowed("max_inotify_instances", 0)?;
    pair(cast)
}

/// As [`pair`], for a user who may watch one place.
fn half_watched(cast: &Cast) -> Result<Report> {
    allowed("max_inotify_watches", 1)?;
    pair(cast)
}

/// Starts this program once more, in a namespace of its own where its user may have so many (`user_namespaces(7)`).
fn allowed(what: &str, many: u32) -> Result {
    const DONE: &str = "SOCKETSERVER_TEST_USER";
    if std::env::var_os(DONE).is_some() {
        return Ok(());
    }
    let script = format!("echo {many} > /proc/sys/user/{what} && exec \"$0\"");
    let mut command = Command::new("unshare");
    Err(command.args(["-Ur", "sh", "-c", &script]).arg(std::env::current_exe()?).env(DONE, "1").exec().into())
}
