//! Frames that are longer than anybody takes, and peers of other protocols: over each framing, on both engines.

use crate::{Reasons, within};
use socketserver::framing::{Delimiter, Framing, LengthPrefix, Line, Netstring, Varint};
use socketserver::{Channel, MessageHandler, Reason};
use socketserver_testkit::misbehaving::{Giant, Stranger};
use socketserver_testkit::{Carrier, Fixture, How};
use std::sync::Arc;

const MODELS: [How; 2] = [How::Threads(8), How::Tasks(1)];

fn serving<C: Framing + Send + Sync + 'static>(framing: C, how: How) -> (Fixture, Arc<Reasons>) {
    let reasons = Arc::new(Reasons::default());
    let observer = reasons.clone();
    let echo = |message: &[u8], c: &mut Channel| Ok(c.send(message)?);
    let server = Fixture::start_with(how, Carrier::Tcp, |server| server.observe(observer), echo.framed(framing));
    (server, reasons)
}

/// After whatever came before, one that keeps to the framing is served; then how many of the others said what is no message.
fn stop(server: Fixture, reasons: &Reasons, framing: &impl Framing, others: usize) -> usize {
    let mut frame = Vec::new();
    framing.encode(b"hello", &mut frame).unwrap();
    let mut client = server.connect();
    client.say(&frame);
    client.expect(&frame);
    client.end();
    client.expect_end();
    drop(server.stop());
    let reasons = reasons.0.lock().unwrap();
    assert_eq!(reasons.len(), others + 1, "{reasons:?}");
    assert!(reasons.contains(&Reason::Finished), "{reasons:?}");
    reasons.iter().filter(|reason| **reason == Reason::BadMessage).count()
}

fn giants<C: Framing + Clone + Send + Sync + 'static>(framing: C, giant: &Giant) {
    for how in MODELS {
        let (server, reasons) = serving(framing.clone(), how);
        let sent = giant.send(&mut server.connect());
        // What lies in the buffers of two sockets, and not what it announced.
        assert!(sent < 64 << 20, "{sent} bytes");
        assert_eq!(stop(server, &reasons, &framing, 1), 1);
    }
}

#[test]
fn giants_are_not_taken() {
    within("giant frames", || {
        giants(LengthPrefix::u32_be(), &Giant::length_u32_be());
        giants(LengthPrefix::u64_be(), &Giant::length_u64_be(1 << 40));
        giants(Line::new(), &Giant::line());
        giants(Delimiter::new("\r\n\r\n"), &Giant::line());
        // Which may be the beginning of one, each of them.
        giants(Delimiter::new("\r\n\r\n"), &Giant::line().filled_with(b'\r'));
        giants(Netstring::new(), &Giant::netstring());
        giants(Varint::new(), &Giant::varint());
    });
}

#[test]
fn what_is_announced_is_refused_before_it_comes() {
    within("giant frames that are announced", || {
        for how in MODELS {
            let (server, reasons) = serving(LengthPrefix::u32_be(), how);
            let mut client = server.connect();
            Giant::length_u32_be().announce(&mut client);
            client.expect_end();
            assert_eq!(stop(server, &reasons, &LengthPrefix::u32_be(), 1), 1);
        }
    });
}

/// How many of them are told that what they say is no message; the others say what could be one, or the beginning of one.
fn strangers<C: Framing + Clone + Send + Sync + 'static>(framing: C, malformed: usize) {
    for how in MODELS {
        let (server, reasons) = serving(framing.clone(), how);
        for stranger in Stranger::ALL {
            // A connection that is broken off is an answer too.
            let _ = stranger.visit(server.endpoint());
        }
        assert_eq!(stop(server, &reasons, &framing, Stranger::ALL.len()), malformed);
    }
}

#[test]
fn strangers_come_to_an_end() {
    within("strangers", || {
        strangers(Netstring::new(), 9);
        // Zeros are empty messages, and noise is the beginning of one of 64 KiB.
        strangers(LengthPrefix::u32_be(), 7);
        // Nearly every byte is a length.
        strangers(Varint::new(), 1);
        strangers(Line::new(), 0);
    });
}
