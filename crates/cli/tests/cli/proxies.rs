//! Behind proxies that speak the PROXY protocol.

use crate::harness::{MODELS, PARALLEL, Place, Served};
use rustix::process::Signal;
use socketserver::Endpoint;
use socketserver_testkit::{Client, Haproxy};
use std::net::Ipv4Addr;

const HEADER: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";

#[test]
fn the_log_and_the_limits_are_about_who_is_behind_the_proxy() {
    // One after the other nobody has too many.
    for model in PARALLEL {
        let limits = ["--proxy-protocol", "127.0.0.1,10.0.0.0/8", "--deny", "192.0.2.9", "--max-per-ip", "1"];
        let served = Served::start(&[&["echo", ":0", "--model", model][..], &limits].concat());
        let at: Endpoint = served.address().parse().unwrap();
        let mut first = served.client();
        first.say(format!("{HEADER}hello"));
        first.expect("hello");
        let open = served.line("open ");
        assert!(open.contains(" peer=192.0.2.7:56324 "), "{open}");

        let mut second = served.client();
        second.say(HEADER);
        second.expect_gone();
        assert_eq!(served.line("refused "), format!("refused peer=192.0.2.7:56324 endpoint={at} why=peer-limit"));
        let mut denied = served.client();
        denied.say("PROXY TCP6 ::ffff:192.0.2.9 ::ffff:192.0.2.1 9 443\r\n");
        denied.expect_gone();
        assert_eq!(served.line("refused "), format!("refused peer=192.0.2.9:9 endpoint={at} why=denied"));

        let mut stranger = Client::connect_from(&at, Ipv4Addr::new(127, 0, 0, 2)).unwrap();
        stranger.expect_gone();
        let line = served.line("refused ");
        assert!(line.starts_with("refused peer=127.0.0.2:") && line.ends_with(" why=untrusted"), "{line}");
        let mut wrong = served.client();
        wrong.say("hello\n");
        wrong.expect_gone();
        let line = served.line("refused ");
        assert!(line.ends_with(" why=bad-header error=\"not a PROXY header\""), "{line}");

        drop(first);
        let close = served.line("close ");
        assert!(close.contains(" peer=192.0.2.7:56324 ") && close.contains(" read=5 "), "{close}");
        served.signal(Signal::USR1);
        let totals = served.line("totals ");
        let counted =
            " accepted=1 closed=1 refused=4 denied=1 untrusted=1 bad-headers=1 over-limit=0 over-peer-limit=1 ";
        assert!(totals.contains(counted), "{totals}");
        let ended = served.stop();
        assert_eq!((ended.status, ended.line("stopped ")), (Some(0), "stopped served=1 cut=0"));
    }
}

#[test]
fn whoever_comes_over_a_unix_socket_speaks_for_others() {
    for model in MODELS {
        let place = Place::new();
        let served = Served::start(&["echo", &place.address(), "--model", model, "--proxy-protocol", "unix"]);
        let mut client = served.client();
        client.say(format!("{HEADER}hello"));
        client.expect("hello");
        let open = served.line("open ");
        assert!(open.contains(" peer=192.0.2.7:56324 "), "{open}");
        drop(client);
        assert_eq!(served.stop().status, Some(0));
    }
}

/// The time of the handshake is that of the header too.
#[test]
fn one_that_is_silent_is_closed() {
    for model in MODELS {
        let flags = ["--proxy-protocol", "127.0.0.1", "--handshake", "100ms"];
        let served = Served::start(&[&["echo", ":0", "--model", model][..], &flags].concat());
        served.client().expect_gone();
        let line = served.line("refused ");
        let words = " why=bad-header error=\"the handshake deadline passed: the PROXY header is not there\"";
        assert!(line.ends_with(words), "{line}");
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn haproxy_comes_in_front() {
    if !Haproxy::is_there() {
        return;
    }
    for model in MODELS {
        let served = Served::start(&["echo", ":0", "--model", model, "--proxy-protocol", "127.0.0.1"]);
        let haproxy = Haproxy::before(&served.address().parse().unwrap(), "", "send-proxy-v2");
        let mut client = Client::connect_from(haproxy.endpoint(), Ipv4Addr::new(127, 0, 0, 7)).unwrap();
        client.say("hello");
        client.expect("hello");
        let open = served.line("open ");
        assert!(open.contains(&format!(" peer={} ", client.local().unwrap())), "{open}");
        drop((client, haproxy));
        assert_eq!(served.stop().status, Some(0));
    }
}
