//! Certificates that change while clients come and go.

use crate::{authority, connector, open};
use rustix::process::Signal;
use socketserver_testkit::{How, PATIENCE, Suite};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

const CLIENTS: usize = 50;
const TIMES: usize = 100;

pub(crate) fn add(suite: &mut Suite) {
    let models = [How::Threads(60), How::Prefork(4, 60), How::Tasks(2)];
    suite.tcp("no_handshake_fails_while_certificates_change", &models, renewed);
}

fn renewed(how: How, _: &str) {
    let Some(openssl) = authority() else { return };
    openssl.issue("ca", "odd", "DNS:localhost,IP:127.0.0.1");
    openssl.issue("ca", "even", "DNS:localhost,IP:127.0.0.1");
    let [even, odd] = ["even", "odd"].map(|name| openssl.fingerprint(&format!("{name}.pem")));
    let stage = open("renewed", how, &openssl);
    let at = stage.endpoint().clone();
    let over = AtomicBool::new(false);
    let (tell, served) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let tell = tell.clone();
            let (over, openssl, at) = (&over, &openssl, &at);
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    // A session of its own each time.
                    let mut c = connector(openssl).connect(at).unwrap();
                    c.write_all(b"echo hello\nbye\n").unwrap();
                    assert_eq!(c.read_to_end(100).unwrap(), b"hello\nbye\n");
                    tell.send(()).unwrap();
                }
            });
        }
        for time in 0..TIMES {
            let (name, fingerprint) = if time % 2 == 0 { ("even", &even) } else { ("odd", &odd) };
            if time % 40 == 5 {
                // What is no certificate changes nothing.
                fs::write(openssl.path("broken"), "-----BEGIN CERTIFICATE-----\n").unwrap();
                fs::rename(openssl.path("broken"), openssl.path("live.pem")).unwrap();
                stage.signal(Signal::HUP);
                stage.line("tls_reload_failed ");
            }
            for kind in ["key", "pem"] {
                fs::copy(openssl.path(&format!("{name}.{kind}")), openssl.path("next")).unwrap();
                fs::rename(openssl.path("next"), openssl.path(&format!("live.{kind}"))).unwrap();
            }
            stage.signal(Signal::HUP);
            stage.line(&format!("tls_reloaded {fingerprint}"));
            // On a busy machine too there is somebody in between.
            served.recv_timeout(PATIENCE).unwrap();
        }
        over.store(true, Ordering::SeqCst);
    });
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0));
    assert_eq!(ended.count("handshakes_failed=0 "), 1, "{}", ended.line("handshakes_failed="));
}
