//! For peers that are plain sockets: what they say is carried over TLS, and what they are told.

use rcgen::{CertificateParams, KeyPair};
use socket2::{SockRef, Socket};
use socketserver::client::{self, ClientTls};
use socketserver::{Endpoint, ServerTls, blocking};
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::LazyLock;
use std::thread;

/// One for all servers, each of which is in a process of its own.
static PAIR: LazyLock<[String; 2]> = LazyLock::new(|| {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    [certificate.pem(), key.serialize_pem()]
});

/// Puts it there.
pub(crate) fn certificate(dir: &Path) {
    for (name, pem) in ["live.pem", "live.key"].iter().zip(&*PAIR) {
        std::fs::write(dir.join(name), pem).unwrap();
    }
}

/// What was put there.
pub(crate) fn tls(dir: &Path) -> ServerTls {
    ServerTls::new().certificate(dir.join("live.pem"), dir.join("live.key"))
}

/// Where a single plain connection is to go that is carried there.
pub(crate) fn to(server: &Endpoint) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (_, port) = server.tcp().unwrap();
    // Now, for peers have their turns in the order in which they come.
    let mut secure = client::connect(format!("tcp://127.0.0.1:{port}")).unwrap();
    thread::spawn(move || {
        let (plain, _) = listener.accept().unwrap();
        plain.set_nodelay(true).unwrap();
        let [certificate, key] = &*PAIR;
        let fingerprint = ServerTls::new().certificate_pem(certificate, key).fingerprint().unwrap();
        // One that the server turns away is at its end.
        if secure.start_tls_as_client(&ClientTls::new().fingerprint(fingerprint), "localhost").is_ok() {
            carry(plain, secure);
        }
    });
    here
}

fn carry(mut plain: TcpStream, secure: blocking::Stream) {
    let raw: Socket = SockRef::from(&secure).try_clone().unwrap();
    let (mut hears, mut says) = secure.split().unwrap();
    let mut back = plain.try_clone().unwrap();
    thread::spawn(move || {
        let end = if io::copy(&mut hears, &mut back).is_ok() { Shutdown::Write } else { Shutdown::Both };
        let _ = back.shutdown(end);
    });
    // Who goes without a word does so at the other end, too.
    if io::copy(&mut plain, &mut says).and_then(|_| says.close()).is_err() {
        let _ = raw.shutdown(Shutdown::Both);
    }
}
