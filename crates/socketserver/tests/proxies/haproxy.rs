//! HAProxy in front, with and without TLS behind it or before it.

use crate::MODELS;
use socketserver::Endpoint;
use socketserver_testkit::{Client, Haproxy, How, OpenSsl, Python, Stage, Suite};
use std::net::Ipv4Addr;

pub(crate) fn add(suite: &mut Suite) {
    suite.tcp("haproxy_sends_version_1", &MODELS, |how, at| plain(how, at, "send-proxy", "V1"));
    suite.tcp("haproxy_sends_version_2", &MODELS, |how, at| plain(how, at, "send-proxy-v2", "V2"));
    suite.tcp("haproxy_sends_more_in_version_2", &MODELS, more);
    suite.tcp("haproxy_passes_tls_on", &MODELS, tls_behind);
    suite.tcp("haproxy_tells_of_the_tls_that_it_ends", &MODELS, tls_before);
    suite.tcp("haproxy_asks_whether_the_server_is_there", &MODELS, checks);
}

/// From an address that is not the proxy's.
fn client(at: &Endpoint) -> (Client, String) {
    let client = Client::connect_from(at, Ipv4Addr::new(127, 0, 0, 7)).unwrap();
    let local = client.local().unwrap().to_string();
    (client, local)
}

fn plain(how: How, endpoint: &str, send: &str, version: &str) {
    if !Haproxy::is_there() {
        return;
    }
    let stage = Stage::open("plain", how, endpoint);
    let haproxy = Haproxy::before(stage.endpoint(), "", send);
    for _ in 0..3 {
        let (mut client, local) = client(haproxy.endpoint());
        client.say("hello\n");
        client.expect(format!("hello {local} by loopback {version}\n"));
        let opened = stage.line("opened ");
        assert!(opened.contains(&local), "{opened}");
        client.end();
        client.expect_end();
        stage.line("closed ");
    }
    drop(haproxy);
    assert_eq!(stage.stop().status, Some(0));
}

fn more(how: How, endpoint: &str) {
    if !Haproxy::is_there() {
        return;
    }
    let stage = Stage::open("plain", how, endpoint);
    let send = "send-proxy-v2 proxy-v2-options crc32c,unique-id,ssl,cert-cn,authority";
    let haproxy = Haproxy::before(stage.endpoint(), "", send);
    let (mut client, local) = client(haproxy.endpoint());
    let port = client.local().unwrap().port();
    client.say("hello\n");
    client.expect(format!("hello {local} by loopback V2 id=number-{port}\n"));
    drop((client, haproxy));
    assert_eq!(stage.stop().status, Some(0));
}

/// TLS comes behind the header, and is none of the proxy's business.
fn tls_behind(how: How, endpoint: &str) {
    let (true, Some(python)) = (Haproxy::is_there(), Python::find()) else { return };
    let stage = Stage::open("tls", how, &endpoint.replace("tcp:", "tls:"));
    for (send, version) in [("send-proxy", "V1"), ("send-proxy-v2", "V2")] {
        let haproxy = Haproxy::before(stage.endpoint(), "", send);
        let said = python.client(
            &haproxy.endpoint().to_string(),
            "import ssl\n\
             context = ssl._create_unverified_context()\n\
             s = context.wrap_socket(connect('127.0.0.7'), server_hostname='localhost')\n\
             s.sendall(b'hello\\n')\n\
             print('%s:%d' % s.getsockname()[:2])\n\
             print(s.recv(1000).decode(), end='')",
        );
        let (local, heard) = said.trim().split_once('\n').unwrap();
        assert_eq!(heard, format!("hello {local} by loopback {version}"));
        assert!(local.starts_with("127.0.0.7:"));
        stage.line("closed ");
    }
    assert_eq!(stage.stop().status, Some(0));
}

fn tls_before(how: How, endpoint: &str) {
    let (true, Some(openssl)) = (Haproxy::is_there(), OpenSsl::find()) else { return };
    let Some(python) = Python::find() else { return };
    openssl.authority("staff");
    openssl.issue("staff", "front", "DNS:localhost");
    openssl.issue("staff", "ada", "DNS:ada");
    let files = ["front.pem", "front.key"].map(|name| std::fs::read(openssl.path(name)).unwrap());
    std::fs::write(openssl.path("both.pem"), files.concat()).unwrap();
    let stage = Stage::open("plain", how, endpoint);
    let of = |name: &str| openssl.path(name).display().to_string();
    let bind = format!("ssl crt {} verify required ca-file {}", of("both.pem"), of("staff.pem"));
    let haproxy =
        Haproxy::before(stage.endpoint(), &bind, "send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,unique-id");
    let said = python.client(
        &haproxy.endpoint().to_string(),
        &format!(
            "import ssl\n\
             context = ssl._create_unverified_context()\n\
             context.load_cert_chain('{}', '{}')\n\
             s = context.wrap_socket(connect('127.0.0.7'), server_hostname='localhost')\n\
             s.sendall(b'hello\\n')\n\
             print('%s:%d' % s.getsockname()[:2])\n\
             print(s.recv(1000).decode(), end='')",
            of("ada.pem"),
            of("ada.key")
        ),
    );
    let (local, heard) = said.trim().split_once('\n').unwrap();
    let port = local.rsplit(':').next().unwrap();
    assert_eq!(heard, format!("hello {local} by loopback V2 id=number-{port} cn=ada tls=TLSv1.3"));
    drop(haproxy);
    assert_eq!(stage.stop().status, Some(0));
}

/// A health check is a connection of the proxy's own.
fn checks(how: How, endpoint: &str) {
    if !Haproxy::is_there() {
        return;
    }
    let stage = Stage::open("plain", how, endpoint);
    let haproxy = Haproxy::before(stage.endpoint(), "", "send-proxy-v2 check check-send-proxy inter 20ms");
    for _ in 0..3 {
        let opened = stage.line("opened ");
        assert!(opened.contains("peer=127.0.0.1:"), "{opened}");
        stage.line("closed ");
    }
    drop(haproxy);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0));
    assert_eq!(ended.count("refused "), 0, "{ended:?}");
}
