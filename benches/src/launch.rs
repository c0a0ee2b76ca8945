//! The command that runs a server, and whether this machine has what it takes.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::peer::{BACKLOG, CERTIFICATE, How, Peer};

/// Debian's, which is the one that has Debian's uvloop.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// Where scripts and sources are.
const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

/// A server about to be started.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) command: Command,
    pub(crate) tells: Tells,
}

/// How a server's address becomes known.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tells {
    /// It prints `listening on …` on its standard output.
    Address,
    /// It prints the port, and nothing else.
    Port,
    /// It was given the address, and listens before it is started.
    Listening(SocketAddr),
    /// It was given the address, and says nothing.
    Nothing(SocketAddr),
}

/// How to start that server; `behind` is the one that it passes connections on to, if it does. It may have at most so many
/// `descriptors`.
pub(crate) fn launch(peer: Peer, behind: Option<SocketAddr>, descriptors: Option<usize>) -> io::Result<Launch> {
    if let Some(why) = missing(peer) {
        return Err(io::Error::other(why));
    }
    let mut tells = Tells::Address;
    let program = |program: &Path| limited(program, descriptors);
    let mut command = match peer.how() {
        How::Here(_) | How::Before(_) => {
            // This same program again: so a peer is never older than the runner.
            let mut command = program(&std::env::current_exe()?);
            command.args(["peer", peer.name()]).args(behind.map(|behind| behind.to_string()));
            command
        }
        How::Python(script, options) => {
            let mut command = program(PYTHON.as_ref());
            command.arg(Path::new(PEERS).join(script)).args(filled_in(options)?);
            command
        }
        How::Go(options) => {
            let mut command = program(go_program()?);
            command.args(filled_in(options)?);
            command
        }
        How::Haproxy { limit, tls } => {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            rustix::net::listen(&listener, BACKLOG.cast_signed())?;
            let address = listener.local_addr()?;
            tells = Tells::Listening(address);
            let mut command = program("haproxy".as_ref());
            command.arg("-db").arg("-f").arg(haproxy_configuration(behind, limit, tls)?);
            command.stdin(OwnedFd::from(listener));
            command
        }
        How::Socat | How::SocatBefore => {
            let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            tells = Tells::Nothing(address);
            let mut command = program("socat".as_ref());
            command
                .arg(format!("TCP4-LISTEN:{},bind=127.0.0.1,reuseaddr,fork,nodelay,backlog={BACKLOG}", address.port()));
            command.arg(behind.map_or("PIPE".to_owned(), |behind| format!("TCP4:{behind},nodelay")));
            command
        }
        How::Tcpserver { limit } => {
            tells = Tells::Port;
            let mut command = program("tcpserver".as_ref());
            // No look-ups, TCP_NODELAY, and the port on standard output.
            command.args(["-1", "-H", "-R", "-l", "0", "-D", "-c", &limit.to_string(), "-b", &BACKLOG.to_string()]);
            command.args(["127.0.0.1", "0", "cat"]);
            command
        }
    };
    if !matches!(peer.how(), How::Haproxy { .. }) {
        command.stdin(Stdio::null());
    }
    if !matches!(peer.how(), How::Here(_) | How::Before(_)) {
        // They tell of every reset.
        command.stderr(Stdio::null());
    }
    Ok(Launch { command, tells })
}

/// A command that becomes the program, ends with the runner, and may have so many descriptors: `setpriv` and `prlimit` (Debian:
/// util-linux) each become what they run.
fn limited(program: &Path, descriptors: Option<usize>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(descriptors) = descriptors {
        command.arg("prlimit").arg(format!("--nofile={descriptors}:{descriptors}"));
    }
    command.arg(program);
    command
}

/// Why that server cannot be run on this machine; `None` when it can.
pub(crate) fn missing(peer: Peer) -> Option<String> {
    let program = match peer.how() {
        How::Here(_) | How::Before(_) => return None,
        How::Python(_, options) => {
            let module = if options.contains(&"--uvloop") { "uvloop" } else { "socketserver" };
            let found = Command::new(PYTHON).args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
            let found = found.is_ok_and(|status| status.success());
            let package = if module == "uvloop" { "python3-uvloop" } else { "python3" };
            return (!found).then(|| format!("{PYTHON} has no {module} (Debian: {package})"));
        }
        How::Go(_) => return go_program().err().map(|error| error.to_string()),
        How::Haproxy { .. } => ("haproxy", "haproxy"),
        How::Socat | How::SocatBefore => ("socat", "socat"),
        How::Tcpserver { .. } => ("tcpserver", "ucspi-tcp"),
    };
    let (program, package) = program;
    (!installed(program)).then(|| format!("{program} is not installed (Debian: {package})"))
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The program in `peers/go`, built when it is first asked for.
fn go_program() -> io::Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || {
        let program = scratch()?.join("go-peer");
        let mut command = Command::new("go");
        command.args(["build", "-o"]).arg(&program).arg(".").current_dir(Path::new(PEERS).join("go"));
        // The standard library is all it needs: nothing is fetched.
        let output = command.envs([("GOFLAGS", "-mod=mod"), ("GOPROXY", "off"), ("GOTOOLCHAIN", "local")]).output();
        let output = output.map_err(|_| io::Error::other("go is not installed (Debian: golang-go)"))?;
        if !output.status.success() {
            return Err(io::Error::other(format!("go build: {}", String::from_utf8_lossy(&output.stderr).trim())));
        }
        Ok(program)
    };
    let built = BUILT.get_or_init(|| build().map_err(|error: io::Error| error.to_string()));
    built.as_deref().map_err(|why| io::Error::other(why.clone()))
}

/// The arguments, with the path of the certificate where it stands.
fn filled_in(options: &[&'static str]) -> io::Result<Vec<PathBuf>> {
    let fill = |option: &&'static str| match *option {
        CERTIFICATE => certificate().map(Path::to_owned),
        option => Ok(PathBuf::from(option)),
    };
    options.iter().map(fill).collect()
}

/// A file with a self-signed P-256 certificate and its key, made when it is first asked for.
fn certificate() -> io::Result<&'static Path> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let make = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
        let file = scratch()?.join("certificate.pem");
        fs::write(&file, made.cert.pem() + &made.signing_key.serialize_pem())?;
        Ok(file)
    };
    let made = MADE.get_or_init(|| make().map_err(|error: io::Error| error.to_string()));
    made.as_deref().map_err(|why| io::Error::other(why.clone()))
}

/// As short as its manual allows; the listener is its standard input.
fn haproxy_configuration(behind: Option<SocketAddr>, limit: usize, tls: bool) -> io::Result<PathBuf> {
    let behind = behind.ok_or_else(|| io::Error::other("it has nothing to pass connections on to"))?;
    let bind = if tls { format!("ssl crt {}", certificate()?.display()) } else { String::new() };
    let text = format!(
        "global\n nbthread 1\n maxconn {limit}\ndefaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n \
         timeout server 60s\nlisten relay\n maxconn {limit}\n bind fd@0 {bind}\n server behind {behind}\n"
    );
    // It reads it once; the next visit has another.
    let file = scratch()?.join("haproxy.cfg");
    fs::write(&file, text)?;
    Ok(file)
}

/// A folder beside this program for what servers need.
pub(crate) fn scratch() -> io::Result<PathBuf> {
    let folder = std::env::current_exe()?.with_extension("scratch");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
