//! The generator over TLS, against servers that speak it and servers that do not.
#![allow(clippy::unwrap_used, reason = "a test's servers and clients fail by panicking")]

#[path = "common/run.rs"]
mod run;
#[path = "common/serve.rs"]
mod serve;

use run::run;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use socketserver_load::{ConnectClose, Load, Outcome, Target};

type Stream = StreamOwned<ServerConnection, TcpStream>;

fn config(versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap().with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![made.cert.der().clone()], key).unwrap())
}

fn serve(config: Arc<ServerConfig>, handler: impl Fn(Stream) + Clone + Send + 'static) -> Target {
    serve::serve(move |stream| handler(StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream)))
}

fn tls13() -> Arc<ServerConfig> {
    config(&[&rustls::version::TLS13])
}

/// Echoes until the client is gone, in pieces of at most `chunk` bytes, with `spoil` run over each of them.
fn echo(stream: &mut Stream, chunk: usize, spoil: impl Fn(&mut [u8])) {
    let mut buffer = vec![0; chunk];
    while let Ok(received @ 1..) = stream.read(&mut buffer) {
        spoil(&mut buffer[..received]);
        if stream.write_all(&buffer[..received]).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

fn echo_server() -> Target {
    serve(tls13(), |mut stream| echo(&mut stream, 4096, |_| {}))
}

#[track_caller]
fn assert_clean(outcome: &Outcome) {
    assert!(outcome.errors.is_empty(), "{}", outcome.errors);
}

#[test]
fn every_message_comes_back_whole_whatever_its_size() {
    for (size, depth) in [(1, 1), (64, 16), (16_384, 3), (65_536, 1), (300_000, 4)] {
        for chunk in [1000, 100_000] {
            let target = serve(tls13(), move |mut stream| echo(&mut stream, chunk, |_| {}));
            let outcome = run(Load::new(target).tls().connections(3).depth(depth).size(size).requests(50));
            assert_clean(&outcome);
            assert_eq!((outcome.messages, outcome.opened), (50, 3), "{size} bytes in pieces of {chunk}");
            assert_eq!(outcome.bytes, 50 * size as u64);
        }
    }
}

#[test]
fn each_request_has_a_full_handshake_of_its_own() {
    for close in [ConnectClose::Reset, ConnectClose::HalfClose] {
        let full = Arc::new(AtomicUsize::new(0));
        let counted = full.clone();
        let target = serve(tls13(), move |mut stream| {
            echo(&mut stream, 4096, |_| {});
            assert_eq!(stream.conn.protocol_version(), Some(ProtocolVersion::TLSv1_3));
            assert_eq!(stream.conn.handshake_kind(), Some(HandshakeKind::Full));
            counted.fetch_add(1, SeqCst);
            if close == ConnectClose::HalfClose {
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        let outcome = run(Load::new(target).tls().connections(4).requests(40).connect_per_request(close));
        assert_clean(&outcome);
        assert_eq!((outcome.messages, outcome.opened), (40, 40), "{close:?}");
        if close == ConnectClose::HalfClose {
            assert_eq!(full.load(SeqCst), 40, "a client that says goodbye is heard before it counts");
        }
    }
}

#[test]
fn a_large_message_on_a_connection_of_its_own() {
    let load = Load::new(echo_server()).tls().size(200_000).requests(5);
    let outcome = run(load.connect_per_request(ConnectClose::Reset));
    assert_clean(&outcome);
    assert_eq!(outcome.messages, 5);
}

#[test]
fn a_wrong_byte_is_a_mismatch() {
    let target = serve(tls13(), |mut stream| echo(&mut stream, 4096, |bytes| bytes[0] ^= 1));
    assert_eq!(run(Load::new(target.clone()).tls().requests(1)).errors.mismatch, 1);
    let load = Load::new(target).tls().requests(1).connect_per_request(ConnectClose::Reset);
    assert_eq!(run(load).errors.mismatch, 1);
}

#[test]
fn a_server_that_leaves_before_it_has_answered_closes_early() {
    let target = serve(tls13(), |mut stream| {
        let _ = stream.read(&mut [0; 64]);
        stream.conn.send_close_notify();
        let _ = stream.flush();
    });
    let load = Load::new(target).tls().stall(Duration::from_secs(20));
    assert_eq!(run(load.clone().requests(1)).errors.early_close, 1);
    assert_eq!(run(load.requests(1).connect_per_request(ConnectClose::Reset)).errors.early_close, 1);
}

#[test]
fn another_version_and_no_tls_at_all_are_failures() {
    let old = serve(config(&[&rustls::version::TLS12]), |mut stream| echo(&mut stream, 4096, |_| {}));
    assert_eq!(run(Load::new(old).tls().requests(1)).errors.tls, 1);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::Tcp(listener.local_addr().unwrap());
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(received @ 1..) = stream.read(&mut buffer) {
                    stream.write_all(&buffer[..received]).unwrap();
                }
            });
        }
    });
    assert_eq!(run(Load::new(target.clone()).tls().requests(1)).errors.tls, 1);
    let load = Load::new(target).tls().requests(1).connect_per_request(ConnectClose::Reset);
    assert_eq!(run(load).errors.tls, 1);
}

#[test]
fn a_room_and_udp_are_plain() {
    let nowhere = Target::Tcp("127.0.0.1:1".parse().unwrap());
    assert!(Load::new(nowhere).tls().room().lines().run().unwrap_err().is_invalid());
    let nowhere = Target::Udp("127.0.0.1:1".parse().unwrap());
    assert!(Load::new(nowhere).tls().run().unwrap_err().is_invalid());
}
