//! What an endpoint tells of itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use socketserver_proto::{Endpoint, Host};

/// (address, its scheme, whether streams of TCP come there, its port, whether TLS is spoken, its path, the same elsewhere)
type Case = (&'static str, &'static str, bool, Option<u16>, bool, Option<&'static str>, &'static str);

#[test]
fn each_kind_tells_what_it_has() {
    let cases: [Case; 9] = [
        ("tcp://a:1", "tcp", true, Some(1), false, None, "tcp://b:2"),
        ("tls://a:1", "tls", true, Some(1), true, None, "tls://b:2"),
        ("ws://a:1/x", "ws", true, Some(1), false, Some("/x"), "ws://b:2/x"),
        ("wss://a:1/x", "wss", true, Some(1), true, Some("/x"), "wss://b:2/x"),
        ("udp://a:1", "udp", false, Some(1), false, None, "udp://b:2"),
        ("unix:/x", "unix", false, None, false, None, "unix:/x"),
        ("unixgram:@x", "unixgram", false, None, false, None, "unixgram:@x"),
        ("seqpacket:/x", "seqpacket", false, None, false, None, "seqpacket:/x"),
        ("fd:3", "fd", false, None, false, None, "fd:3"),
    ];
    let (a, b) = (Host::Name("a".into()), Host::Name("b".into()));
    for (text, scheme, is_tcp, port, is_tls, path, elsewhere) in cases {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!(endpoint.scheme(), scheme);
        assert_eq!(endpoint.tcp(), is_tcp.then_some((&a, 1)), "{text}");
        assert_eq!((endpoint.port(), endpoint.is_tls(), endpoint.path()), (port, is_tls, path), "{text}");
        assert_eq!(endpoint.at(b.clone(), 2).to_string(), elsewhere);
        assert!(!endpoint.is_loopback() || text.starts_with("unix") || text.starts_with("seqpacket"), "{text}");
    }
    for (text, is_loopback) in [("tls://127.0.0.1:1", true), ("wss://[::1]:1/", true), ("tls://192.0.2.1:1", false)] {
        assert_eq!(text.parse::<Endpoint>().unwrap().is_loopback(), is_loopback, "{text}");
    }
}
