//! Who is there, as connections tell it: TLS, certificates, proxies. The program is the supervisor of its commands too, so it
//! has a `main` of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use libtest_mimic::{Arguments, Failed, Trial};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use socketserver::client::{ClientTls, Connector};
use socketserver::proxy::Header;
use socketserver::{Endpoint, ProxySource, Rate, Running, Server, ServerTls, Tasks, Threads, blocking};
use socketserver_exec::{Auth, CallError, Caller, Commands, Exec, Token, Why, supervise_if_asked};
use socketserver_testkit::Python;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn main() -> ExitCode {
    supervise_if_asked();
    let tests = vec![
        trial("a_token_is_tied_to_the_tls_connection", a_token_is_tied_to_the_tls_connection),
        trial("a_challenge_that_is_relayed_to_another_connection", a_challenge_that_is_relayed),
        trial("a_certificate_is_good_for_the_names_of_a_list", a_certificate_is_good_for_the_names_of_a_list),
        trial("over_tls_12_no_token_is_taken", over_tls_12_no_token_is_taken),
        trial("nobody_is_near_behind_a_proxy", nobody_is_near_behind_a_proxy),
        trial("who_is_gone_before_it_is_denied_is_told_of", who_is_gone_before_it_is_denied_is_told_of),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok::<_, Failed>(())
    })
}

/// A server of `echo`, and what it tells of requests: `status subject`.
struct Stage {
    server: Running,
    told: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    /// On each engine.
    fn each(at: &str, auth: &Auth, set: impl Fn(Server) -> Server) -> [Self; 2] {
        [false, true].map(|tasks| {
            let commands = Commands::parse("[echo]\nargv = ['/bin/echo']\narguments = ['.*']", "commands").unwrap();
            let told = Arc::new(Mutex::new(Vec::new()));
            let tell = told.clone();
            let exec = Exec::native(commands, auth.clone()).unwrap().on_event(move |event| {
                tell.lock().unwrap().push(format!("{} {}", event.status, event.subject.unwrap_or("nobody")));
            });
            let server = set(Server::bind(at).unwrap());
            let server = match tasks {
                true => server.spawn(Tasks::new(1), exec).unwrap(),
                false => server.spawn(Threads::new(4), exec).unwrap(),
            };
            Self { server, told }
        })
    }

    fn at(&self) -> Endpoint {
        self.server.handle().endpoints()[0].clone()
    }

    /// Ends it, and gives what it told.
    fn told(self) -> Vec<String> {
        self.server.stop().unwrap();
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

fn token() -> Token {
    Token::new(b"0123456789abcdef0123456789abcdef").unwrap()
}

fn self_signed() -> ServerTls {
    ServerTls::new().self_signed(["localhost", "127.0.0.1"]).unwrap()
}

/// Whoever trusts this server and no other.
fn pinned(tls: &ServerTls) -> ClientTls {
    ClientTls::new().fingerprint(tls.fingerprint().unwrap())
}

/// A call on these terms.
fn caller(tls: ClientTls) -> Caller {
    Caller::new().connector(Connector::new().tls(tls))
}

/// What comes of a call.
fn call(caller: &Caller, at: &Endpoint) -> Result<String, CallError> {
    let mut said = Vec::new();
    let exit = caller.connect(at)?.run(&["echo", "hello"], &mut |_, bytes| {
        said.extend_from_slice(bytes);
        Ok(())
    })?;
    assert_eq!(exit.status(), 0);
    Ok(String::from_utf8(said).unwrap())
}

fn a_token_is_tied_to_the_tls_connection() {
    let tls = self_signed();
    let trusting = caller(pinned(&tls));
    for stage in
        Stage::each("tls://127.0.0.1:0", &Auth::new().token(token()), |server| server.tls(tls.clone()).unwrap())
    {
        // Sessions go on, and each connection has bytes of its own all the same.
        for _ in 0..3 {
            assert_eq!(call(&trusting.clone().token(token()), &stage.at()).unwrap(), "hello\n");
        }
        assert!(matches!(call(&trusting, &stage.at()), Err(CallError::WantsToken)));
        let other = Token::new(&[b'x'; 32]).unwrap();
        let refused = call(&trusting.clone().token(other), &stage.at());
        assert!(matches!(refused, Err(CallError::NotLetIn { why: Why::Unauthenticated, .. })), "{refused:?}");
        // Another server than the one that is trusted.
        assert!(matches!(call(&caller(pinned(&self_signed())), &stage.at()), Err(CallError::Unreachable(_))));
        assert_eq!(stage.told(), ["exited token", "exited token", "exited token", "denied nobody"]);
    }
}

/// Somebody whom the client takes for the server hands on what both say, as it is: over connections of his own.
fn relay(tls: &ServerTls, to: Endpoint, trusts: ClientTls) -> Running {
    let connector = Connector::new().tls(trusts);
    let handler = move |c: &mut blocking::Stream| {
        let mut server = connector.connect(&to)?;
        for (ours, theirs) in [(8, 8 + 5 + 33), (5 + 65, 0)] {
            let (mut said, mut answered) = (vec![0; ours], vec![0; theirs]);
            c.read_exact(&mut said)?;
            server.write_all(&said)?;
            server.read_exact(&mut answered)?;
            c.write_all(&answered)?;
        }
        Ok(c.write_all(&server.read_to_end(10_000)?)?)
    };
    Server::bind("tls://127.0.0.1:0").unwrap().tls(tls.clone()).unwrap().spawn(Threads::new(2), handler).unwrap()
}

fn a_challenge_that_is_relayed() {
    let (tls, false_tls) = (self_signed(), self_signed());
    for stage in
        Stage::each("tls://127.0.0.1:0", &Auth::new().token(token()), |server| server.tls(tls.clone()).unwrap())
    {
        let relay = relay(&false_tls, stage.at(), pinned(&tls));
        let fooled = caller(pinned(&false_tls)).token(token());
        let Err(CallError::NotLetIn { why, text }) = call(&fooled, &relay.handle().endpoints()[0]) else {
            panic!("it was let in")
        };
        assert!(why == Why::Unauthenticated && text.contains("for this connection"), "{text}");
        relay.stop().unwrap();
        assert_eq!(stage.told(), ["denied nobody"]);
    }
}

/// An authority, and certificates of it in files.
struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let (directory, key) = (tempfile::tempdir().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        fs::write(directory.path().join("ca"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { directory, issuer: Issuer::new(params, key) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A client that has a certificate for these names.
    fn client(&self, tls: &ServerTls, names: &[&str]) -> Caller {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path("certificate"), certificate.pem()).unwrap();
        fs::write(self.path("key"), key.serialize_pem()).unwrap();
        caller(pinned(tls).certificate(self.path("certificate"), self.path("key")))
    }
}

fn a_certificate_is_good_for_the_names_of_a_list() {
    let authority = Authority::new();
    let tls = self_signed().optional_client_ca(authority.path("ca"));
    let auth = Auth::new().allow_san("client.example").token(token());
    for stage in Stage::each("tls://127.0.0.1:0", &auth, |server| server.tls(tls.clone()).unwrap()) {
        let may = authority.client(&tls, &["other.example", "client.example"]);
        assert_eq!(call(&may, &stage.at()).unwrap(), "hello\n");
        // Verified, and of no use.
        for names in [&["other.example"][..], &["*.example"], &["127.0.0.1"], &[]] {
            let Err(CallError::NotLetIn { text, .. }) = call(&authority.client(&tls, names), &stage.at()) else {
                panic!("{names:?} was let in")
            };
            assert!(text.contains("no name that may ask"), "{text}");
        }
        // Who has shown none is told what would help, and asks no more.
        assert!(matches!(call(&caller(pinned(&tls)), &stage.at()), Err(CallError::WantsToken)));
        let told = stage.told();
        assert_eq!(told[..2], ["exited san=DNS:client.example", "denied san=DNS:other.example"]);
        assert_eq!(told[4..], ["denied nobody"]);
    }
}

fn over_tls_12_no_token_is_taken() {
    let Some(python) = Python::find() else { return };
    let tls = self_signed();
    let auth = Auth::new().token(token()).max_failures("1/h".parse::<Rate>().unwrap());
    for stage in Stage::each("tls://127.0.0.1:0", &auth, |server| server.tls(tls.clone()).unwrap()) {
        let program = "
import socket, ssl, sys
host, port = sys.argv[1].removeprefix('tls://').rsplit(':', 1)
def methods(version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = version
    with context.wrap_socket(socket.create_connection((host, int(port)), timeout=30)) as s:
        s.sendall(b'SSEXEC\\0\\1')
        heard = b''
        while len(heard) < 14 and (piece := s.recv(100)):
            heard += piece
        if heard[8] == 7:
            while piece := s.recv(100):
                heard += piece
            assert heard[13] == 2 or b'TLS 1.3' in heard, heard
        return heard[8], heard[13]
# HELLO, of which the token is all; REFUSED, for nothing can be proved.
print(methods(ssl.TLSVersion.TLSv1_3), methods(ssl.TLSVersion.TLSv1_2))
# Each of them was a failure, and the next is refused at once.
print(methods(ssl.TLSVersion.TLSv1_2))
";
        assert_eq!(python.program(program, &[&stage.at().to_string()]), "(1, 8) (7, 1)\n(7, 2)\n");
        assert_eq!(stage.told(), ["denied nobody", "throttled nobody"]);
    }
}

fn nobody_is_near_behind_a_proxy() {
    let proxies = || ["127.0.0.0/8".parse::<ProxySource>().unwrap()];
    for stage in Stage::each("tcp://127.0.0.1:0", &Auth::new(), |server| server.proxy_protocol(proxies())) {
        // Wherever one says that one is, and if one says nothing.
        let from = |at: &str| Header::proxied(at.parse().unwrap(), "127.0.0.1:9000".parse().unwrap()).unwrap();
        for header in [from("192.0.2.7:1000"), from("127.0.0.1:1000"), Header::local()] {
            let stream = Connector::new().proxy_header(header).connect(stage.at()).unwrap();
            let Err(CallError::NotLetIn { why, .. }) = Caller::new().begin(stream) else { panic!("it was let in") };
            assert_eq!(why, Why::Unauthenticated);
        }
        assert_eq!(stage.told(), ["denied nobody"; 3]);
    }
}

fn who_is_gone_before_it_is_denied_is_told_of() {
    // Nothing can be proved over TCP: the server says so to somebody who has reset the connection by then.
    let begun_and_reset = |server: Server| {
        let port = server.endpoints()[0].port().unwrap();
        let mut gone = TcpStream::connect(("127.0.0.1", port)).unwrap();
        gone.write_all(b"SSEXEC\0\x01").unwrap();
        rustix::net::sockopt::set_socket_linger(&gone, Some(Duration::ZERO)).unwrap();
        server
    };
    for stage in Stage::each("tcp://127.0.0.1:0", &Auth::new().allow_user(1), begun_and_reset) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while stage.server.handle().totals().closed == 0 {
            assert!(Instant::now() < deadline, "nobody has come");
            thread::yield_now();
        }
        assert_eq!(stage.told(), ["denied nobody"]);
    }
}
