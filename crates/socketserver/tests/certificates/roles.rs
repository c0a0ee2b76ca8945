//! The servers that the tests talk to.

use socketserver::{Report, Result, ServerTls, Signal};
use socketserver_testkit::{Cast, Connection, Part, Role};
use std::path::Path;

pub(crate) const ALL: &[(&str, Role)] = &[("pair", pair), ("absent", absent)];

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
