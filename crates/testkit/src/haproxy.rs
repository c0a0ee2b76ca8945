#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::is_installed;
use socketserver::Endpoint;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// HAProxy on the loopback, in front of a server. It is stopped when this is dropped.
///
/// ```
/// use socketserver::{ProxySource, Serial, Server, blocking};
/// use socketserver_testkit::{Client, Haproxy};
///
/// if Haproxy::is_there() {
///     let proxy = "127.0.0.1".parse::<ProxySource>()?;
///     let server = Server::bind("tcp://127.0.0.1:0")?.proxy_protocol([proxy]).spawn(Serial::default(), |c: &mut blocking::Stream| {
///         Ok(c.write_all(c.peer().to_string().as_bytes())?)
///     })?;
///     let haproxy = Haproxy::before(&server.handle().endpoints()[0], "", "send-proxy");
///     let mut client = Client::connect_from(haproxy.endpoint(), [127, 0, 0, 7].into())?;
///     assert_eq!(client.hear_all()?, client.local().ok_or("no address")?.to_string().as_bytes());
///     # drop(haproxy);
///     # server.stop()?;
/// }
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug)]
pub struct Haproxy {
    child: Child,
    endpoint: Endpoint,
    _dir: TempDir,
}

impl Haproxy {
    /// Whether it is [installed](is_installed).
    ///
    /// # Panics
    /// As [`skip`](crate::skip).
    #[must_use]
    pub fn is_there() -> bool {
        is_installed("haproxy", "-v")
    }

    /// Starts one that passes TCP connections on to that server. `bind` is what its configuration says of its listener
    /// (`ssl crt FILE`), `server` what it says of the server (`send-proxy-v2`).
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn before(at: &Endpoint, bind: &str, server: &str) -> Self {
        let (host, port) = at.tcp().unwrap();
        // It is given a socket that listens already: so its port is known, and whoever connects need not wait until it runs.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("haproxy.cfg");
        let text = format!(
            "global\n maxconn 100\ndefaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n\
             frontend front\n bind fd@0 {bind}\n unique-id-format number-%[src_port]\n default_backend back\n\
             backend back\n server only {host}:{port} {server}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(config).stdin(OwnedFd::from(listener));
        Self { child: command.stdout(Stdio::null()).spawn().unwrap(), endpoint, _dir: dir }
    }

    /// Where clients connect.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
