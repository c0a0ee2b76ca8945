//! Clients that know nothing of the framework: OpenSSL's, and Python's `ssl`.

use crate::{MODELS, authority, open};
use socketserver_testkit::{How, OpenSsl, Python, SClientEnded, Stage, Suite};
use std::fs;

const VERSIONS: [(&str, &str); 2] = [("-tls1_2", "Tls12"), ("-tls1_3", "Tls13")];
const TRUSTS: [&str; 4] = ["-CAfile", "ca.pem", "-verify_return_error", "-verify_hostname"];
const SHOWS: [&str; 4] = ["-cert", "client.pem", "-key", "client.key"];

pub(crate) fn add(suite: &mut Suite) {
    suite.tcp("openssl_is_served", &MODELS, openssl_is_served);
    suite.tcp("a_client_has_to_say_who_it_is", &MODELS, required);
    suite.tcp("a_client_may_say_who_it_is", &MODELS, optional);
    suite.tcp("sessions_go_on", &MODELS, sessions);
    suite.tcp("python_is_served", &MODELS, python);
    #[cfg(feature = "websocket")]
    suite.tcp("a_python_client_speaks_websocket", &MODELS, websocket);
    suite.tcp("a_name_has_its_certificate", &[How::Threads(4), How::Tasks(1)], names);
    suite.tcp("keys_of_each_kind", &[How::Threads(4)], keys);
}

fn ask(stage: &Stage, openssl: &OpenSsl, version: &str, more: &[&str], lines: &str) -> SClientEnded {
    openssl.ask(stage.endpoint(), &[&[version][..], &TRUSTS, &["localhost"], more].concat(), lines)
}

fn stop(stage: Stage, failed: usize) {
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count(&format!("handshakes_failed={failed} ")), 1, "{ended:?}");
    assert_eq!(ended.count("opened "), ended.count("closed "), "{ended:?}");
}

fn openssl_is_served(how: How, _: &str) {
    let Some(openssl) = authority() else { return };
    let stage = open("script", how, &openssl);
    for (version, name) in VERSIONS {
        let told = ask(&stage, &openssl, version, &["-alpn", "h2,http/1.1"], "echo hello\nwho\nbye");
        assert!(told.success && told.heard("hello") && told.heard("bye"), "{told:?}");
        assert!(told.tells("Verify return code: 0 (ok)"), "{told:?}");
        // No name was asked for: `s_client` sends none for an address.
        let who = format!("nobody {name} Some(\"http/1.1\") None resumed=false");
        assert!(told.heard(&who), "{who}: {told:?}");
        let told = ask(&stage, &openssl, version, &["-servername", "localhost"], "who\nbye");
        assert!(told.heard(&format!("nobody {name} None Some(\"localhost\") resumed=false")), "{told:?}");
        let told = ask(&stage, &openssl, version, &["-alpn", "h3"], "bye");
        assert!(!told.heard("bye"), "{told:?}");
    }
    stop(stage, 2);
}

fn required(how: How, _: &str) {
    let Some(openssl) = authority() else { return };
    let names = "DNS:client.example,URI:spiffe://example.org/billing,email:me@example.org,IP:192.0.2.7";
    openssl.issue("ca", "client", names);
    openssl.authority("other");
    openssl.issue("other", "stranger", "DNS:stranger");
    fs::copy(openssl.path("ca.pem"), openssl.path("required.pem")).unwrap();
    let stage = open("script", how, &openssl);
    let sans =
        r#"[Dns("client.example"), Uri("spiffe://example.org/billing"), Email("me@example.org"), Ip(192.0.2.7)]"#;
    for (version, name) in VERSIONS {
        let told = ask(&stage, &openssl, version, &SHOWS, "who\nbye");
        let fingerprint = openssl.fingerprint("client.pem");
        assert!(told.heard(&format!("CN=client {sans} {fingerprint} {name} None None resumed=false")), "{told:?}");
        let told = ask(&stage, &openssl, version, &[], "bye");
        assert!(!told.heard("bye"), "{told:?}");
        let told = ask(&stage, &openssl, version, &["-cert", "stranger.pem", "-key", "stranger.key"], "bye");
        assert!(!told.heard("bye"), "{told:?}");
    }
    let ended = stage.stop();
    assert_eq!(ended.count("handshakes_failed=4 "), 1, "{ended:?}");
    let reasons = |word: &str| ended.lines.iter().filter(|line| line.contains(&format!(" reason={word} "))).count();
    assert_eq!(
        [reasons("handshake-no-certificate"), reasons("handshake-unknown-ca"), reasons("finished")],
        [2, 2, 2],
        "{ended:?}"
    );
}

fn optional(how: How, _: &str) {
    let Some(openssl) = authority() else { return };
    openssl.issue("ca", "client", "DNS:client");
    openssl.self_signed("stranger", "DNS:stranger");
    fs::copy(openssl.path("ca.pem"), openssl.path("optional.pem")).unwrap();
    let stage = open("script", how, &openssl);
    for (version, _) in VERSIONS {
        let told = ask(&stage, &openssl, version, &SHOWS, "who\nbye");
        assert!(told.tells("CN=client [Dns(\"client\")]"), "{told:?}");
        let told = ask(&stage, &openssl, version, &[], "who\nbye");
        assert!(told.tells("nobody Tls"), "{told:?}");
        let told = ask(&stage, &openssl, version, &["-cert", "stranger.pem", "-key", "stranger.key"], "bye");
        assert!(!told.heard("bye"), "{told:?}");
    }
    stop(stage, 2);
}

fn sessions(how: How, _: &str) {
    let Some(openssl) = authority() else { return };
    let stage = open("renewed", how, &openssl);
    let goes_on = |version: &str| {
        let told = ask(&stage, &openssl, version, &["-sess_in", "session"], "who\nbye");
        assert!(told.tells("Reused, ") && told.tells("resumed=true"), "{told:?}");
    };
    for (version, _) in VERSIONS {
        let told = ask(&stage, &openssl, version, &["-sess_out", "session"], "who\nbye");
        assert!(told.tells("New, ") && told.tells("resumed=false"), "{told:?}");
        goes_on(version);
        openssl.issue("ca", "next", "DNS:localhost,IP:127.0.0.1");
        for kind in ["key", "pem"] {
            fs::rename(openssl.path(&format!("next.{kind}")), openssl.path(&format!("live.{kind}"))).unwrap();
        }
        stage.line(&format!("tls_reloaded {}", openssl.fingerprint("live.pem")));
        goes_on(version);
    }
    stop(stage, 0);
}

fn python(how: How, _: &str) {
    let (Some(openssl), Some(python)) = (authority(), Python::find()) else { return };
    openssl.issue("ca", "client", "DNS:client");
    fs::copy(openssl.path("ca.pem"), openssl.path("optional.pem")).unwrap();
    let stage = open("script", how, &openssl);
    let program = r#"
import os, ssl
os.chdir(sys.argv[2])
def shake(version=None, shows=False):
    context = ssl.create_default_context(cafile='ca.pem')
    context.set_alpn_protocols(['http/1.1'])
    if version:
        context.minimum_version = context.maximum_version = version
    if shows:
        context.load_cert_chain('client.pem', 'client.key')
    return context.wrap_socket(connect(), server_hostname='localhost')
for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    for shows in (False, True):
        with shake(version, shows) as s:
            s.sendall(b'who\n')
            print(s.makefile().readline().split()[0], s.version(), s.selected_alpn_protocol(), s.getpeercert()['subjectAltName'][0][1])
            s.sendall(b'bulk 1000000\n')
            print(len(exactly(s, 1000000)))
            # It says goodbye, and hears one.
            s.unwrap().close()
with shake() as s:
    s.sendall(b'bye\n')
    # An end without a goodbye would be an error.
    print(everything(s))
s = shake()
s.sendall(b'echo a line\n')
print(exactly(s, 7))
# And without a word.
socket.socket(fileno=s.detach()).close()
"#;
    let (_, port) = stage.endpoint().tcp().unwrap();
    let dir = openssl.dir().display().to_string();
    let told = python.client_with(&format!("tcp://127.0.0.1:{port}"), program, &[&dir]);
    let expected: String = ["TLSv1.2", "TLSv1.3"]
        .iter()
        .flat_map(|version| ["nobody", "CN=client"].map(|who| format!("{who} {version} http/1.1 localhost\n1000000\n")))
        .collect();
    assert_eq!(told, format!("{expected}b'bye\\n'\nb'a line\\n'\n"));
    stage.line("closed id=6 reason=disconnected ");
    stop(stage, 0);
}

fn names(how: How, _: &str) {
    let Some(openssl) = authority() else { return };
    openssl.issue("ca", "second", "DNS:example.org,DNS:*.example.org");
    let stage = open("script", how, &openssl);
    for (name, subject) in [
        ("localhost", "live"),
        ("example.org", "second"),
        ("A.Example.Org", "second"),
        ("a.b.example.org", "live"),
        ("example.net", "live"),
    ] {
        for (version, _) in VERSIONS {
            let told = openssl.ask(stage.endpoint(), &[version, "-servername", name], "bye");
            assert_eq!(told.fact("subject="), Some(&*format!("CN = {subject}")), "{name}: {told:?}");
        }
    }
    stop(stage, 0);
}

fn keys(how: How, _: &str) {
    let Some(openssl) = authority() else { return };
    for (make, begins) in [
        (&["genpkey", "-algorithm", "ED25519"][..], "-----BEGIN PRIVATE KEY-----"),
        (&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "-----BEGIN PRIVATE KEY-----"),
        (&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "-----BEGIN PRIVATE KEY-----"),
        (&["ecparam", "-name", "prime256v1", "-genkey", "-noout"], "-----BEGIN EC PRIVATE KEY-----"),
        (&["genrsa", "-traditional"], "-----BEGIN RSA PRIVATE KEY-----"),
    ] {
        let key = openssl.run(make);
        assert!(key.starts_with(begins), "{make:?}: {key}");
        fs::write(openssl.path("live.key"), key).unwrap();
        openssl.run(&[
            "req",
            "-x509",
            "-days",
            "30",
            "-subj",
            "/CN=live",
            "-key",
            "live.key",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-out",
            "live.pem",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=CA:FALSE",
        ]);
        let stage = open("script", how, &openssl);
        for (version, _) in VERSIONS {
            let told = ask(&stage, &openssl, version, &[], "bye");
            assert!(told.success && told.heard("bye"), "{make:?}: {told:?}");
        }
        stop(stage, 0);
    }
}

#[cfg(feature = "websocket")]
fn websocket(how: How, _: &str) {
    let python = Python::with("websockets", "python3-websockets");
    let (Some(openssl), Some(python)) = (authority(), python) else { return };
    let dir = openssl.dir().display().to_string();
    let stage = Stage::open_with("messages", how, "wss://127.0.0.1:0/chat", &dir);
    let program = r#"
import asyncio, ssl, sys, websockets
async def main(port, ca):
    context = ssl.create_default_context(cafile=ca)
    async with websockets.connect(f'wss://localhost:{port}/chat', ssl=context, max_size=None) as ws:
        for message in ['hello', '', b'bytes', 'x' * 2_000_000]:
            await ws.send(message)
            assert await ws.recv() == message
        await asyncio.wait_for(await ws.ping(b'there?'), 10)
        for n in range(500):
            await ws.send(str(n))
        for n in range(500):
            assert await ws.recv() == str(n)
    assert ws.close_code == 1000
    try:
        await websockets.connect(f'wss://localhost:{port}/chat', ssl=ssl.create_default_context())
    except ssl.SSLCertVerificationError:
        print('it is trusted by those alone who know the authority')
asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 30))
"#;
    let (_, port) = stage.endpoint().tcp().unwrap();
    let told = python.program(program, &[&port.to_string(), &format!("{dir}/ca.pem")]);
    assert_eq!(told, "it is trusted by those alone who know the authority\n");
    let closed = stage.line("closed id=2 ");
    // `asyncio` closes before it has said why.
    assert!(closed.contains("reason=handshake-"), "{closed}");
    assert_eq!(stage.stop().status, Some(0));
}
