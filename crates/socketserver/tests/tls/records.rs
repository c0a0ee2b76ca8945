//! Records as a client of another make puts them on the wire.

use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use socketserver::{Running, Serial, Server, ServerTls, Stream, Tasks, blocking};
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// What a handler has read, and what ended that.
type Heard = (Vec<u8>, io::Result<()>);

fn hear(heard: &Sender<Heard>, c: &mut blocking::Stream) {
    let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
    let end = loop {
        match c.read(&mut chunk) {
            Ok(0) => break Ok(()),
            Ok(count) => all.extend_from_slice(&chunk[..count]),
            Err(error) => break Err(error),
        }
    };
    heard.send((all, end)).unwrap();
}

async fn hear_async(heard: &Sender<Heard>, c: &mut Stream) {
    let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
    let end = loop {
        match c.read(&mut chunk).await {
            Ok(0) => break Ok(()),
            Ok(count) => all.extend_from_slice(&chunk[..count]),
            Err(error) => break Err(error),
        }
    };
    heard.send((all, end)).unwrap();
}

/// On each engine.
fn servers(tls: &ServerTls, heard: &Sender<Heard>) -> [Running; 2] {
    let server = || Server::bind("tls://127.0.0.1:0").unwrap().tls(tls.clone()).unwrap();
    let (one, other) = (heard.clone(), heard.clone());
    let blocking = move |c: &mut blocking::Stream| {
        hear(&one, c);
        Ok(())
    };
    let tasks = async move |c: &mut Stream| {
        hear_async(&other, c).await;
        Ok(())
    };
    [server().spawn(Serial::default(), blocking).unwrap(), server().spawn(Tasks::new(1), tasks).unwrap()]
}

#[test]
fn what_came_before_a_spoilt_record_is_read_before_its_error() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = ServerTls::new().certificate_pem(made.cert.pem(), made.signing_key.serialize_pem());
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = Arc::new(config.with_no_client_auth());
    let (heard, hears) = channel();
    for server in servers(&tls, &heard) {
        let at = server.handle().endpoints()[0].to_string();
        let mut socket = TcpStream::connect(at.strip_prefix("tls://").unwrap()).unwrap();
        let mut session = ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap();
        session.complete_io(&mut socket).unwrap();
        let mut records = Vec::new();
        for word in ["one ", "two ", "three"] {
            session.writer().write_all(word.as_bytes()).unwrap();
            session.write_tls(&mut records).unwrap();
        }
        session.writer().write_all(b"four").unwrap();
        session.write_tls(&mut records).unwrap();
        *records.last_mut().unwrap() ^= 1;
        socket.write_all(&records).unwrap();
        let (all, end) = hears.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(String::from_utf8(all).unwrap(), "one two three");
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::InvalidData);
        server.stop().unwrap();
    }
}
