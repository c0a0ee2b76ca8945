//! Rooms over TLS: terminals and browsers.

use super::{Office, made};
use crate::harness::{Running, Served, command};
use socketserver_testkit::{Python, is_installed};
use std::process::Command;

/// Says things over `wss://`, and waits for what others say there.
const BROWSER: &str = r"
import asyncio, ssl, sys, websockets
async def main(uri, ca):
    context = ssl.create_default_context(cafile=ca)
    async with websockets.connect(uri, ssl=context, origin=uri.replace('wss', 'https').removesuffix('/')) as ws:
        async def until(words):
            while words not in (line := await asyncio.wait_for(ws.recv(), 30)):
                pass
            return line
        await until('welcome. You are guest-2')
        await ws.send('/name boris')
        await until('guest-2 is now boris')
        await ws.send('hello from wss')
        print(await until('<guest-1>'))
        await ws.send('/quit')
        await until('goodbye')
asyncio.run(main(*sys.argv[1:]))
";

#[test]
fn a_room_has_members_over_tls_and_over_wss() {
    let (Some(office), Some(python)) = (Office::open(), Python::with("websockets", "python3-websockets")) else {
        return;
    };
    for model in ["tasks", "threads"] {
        let files = ["server.pem", "server.key"].map(|name| office.path(name));
        let args =
            ["serve", "chat", "tls://127.0.0.1:0", "wss://127.0.0.1:0", "--model", model, "--tls-cert", &files[0]];
        let served = Served::listening(command(&[&args[..], &["--tls-key", &files[1]]].concat()), 2);
        let [tls, wss] = served.addresses() else { unreachable!() };
        let ca = office.path("ca.pem");
        let mut anna = Running::start(&mut command(&["connect", tls, "--ca", &ca]));
        anna.prints("-- welcome. You are guest-1; /name NAME changes that, and /help tells what else can be said\n");
        anna.prints("-- in lobby: guest-1\n");
        let said = std::thread::scope(|scope| {
            let browser = scope.spawn(|| python.program(BROWSER, &[wss, &ca]));
            anna.prints("-- guest-2 has come in\n-- guest-2 is now boris\n<boris> hello from wss\n");
            anna.give("hello from tls, 你好\n".as_bytes());
            anna.prints("<guest-1> hello from tls, 你好\n-- boris has left\n");
            browser.join().unwrap()
        });
        assert_eq!(said, "<guest-1> hello from tls, 你好\n");
        anna.output().is("");
        assert_eq!(served.stop().status, Some(0), "{model}");
    }
}

/// The page is over TLS, and what it runs talks over TLS.
#[test]
fn curl_is_shown_the_page_under_each_name_of_the_made_certificate() {
    if !is_installed("curl", "--version") {
        return;
    }
    let (served, fingerprint) = made(&["chat", "wss://127.0.0.1:0/chat", "--host", "chat.example:8443"]);
    let port = served.address().trim_end_matches("/chat").rsplit(':').next().unwrap();
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shown.pem").to_str().unwrap().to_owned();
    let program = "
import hashlib, ssl, sys
shown = ssl.get_server_certificate(('127.0.0.1', int(sys.argv[1])))
open(sys.argv[2], 'w').write(shown)
print(hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown)).hexdigest(), end='')";
    assert_eq!(python.program(program, &[port, &file]).to_uppercase(), fingerprint.replace(':', ""));
    for host in ["localhost", "127.0.0.1"] {
        let output = Command::new("curl")
            .args(["-si", "--max-time", "30", "--cacert", &file, &format!("https://{host}:{port}/")])
            .output()
            .unwrap();
        let page = String::from_utf8_lossy(&output.stdout);
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains(r#"data-path="/chat""#), "{output:?}");
    }
    // What it is called by others is in it, too.
    let resolve = format!("chat.example:{port}:127.0.0.1");
    let output = Command::new("curl")
        .args(["-si", "--max-time", "30", "--cacert", &file, "--resolve", &resolve])
        .args(["-H", "Host: chat.example:8443", &format!("https://chat.example:{port}/")])
        .output()
        .unwrap();
    assert!(output.stdout.starts_with(b"HTTP/1.1 200 OK\r\n"), "{output:?}");
    // Who comes in plain words is none of it.
    let output = Command::new("curl").args(["-si", "--max-time", "30", &format!("http://127.0.0.1:{port}/")]).output();
    assert!(!output.unwrap().status.success());
    assert!(served.line("close ").contains("reason="));
    served.stop();
}

#[test]
fn a_browser_talks_over_the_page_of_https() {
    let Some(python) = Python::find() else { return };
    if !["chromedriver", "chromium"].into_iter().all(|program| is_installed(program, "--version")) {
        return;
    }
    let (served, fingerprint) = made(&["chat", "tls://127.0.0.1:0", "wss://127.0.0.1:0/chat", "--member-rate", "off"]);
    let [tls, wss] = served.addresses() else { unreachable!() };
    let page = format!("https://localhost:{}/", wss.trim_end_matches("/chat").rsplit(':').next().unwrap());
    let program = [include_str!("../browser.py"), include_str!("browser.py")].concat();
    assert_eq!(python.program(&program, &[tls, &page, &fingerprint, env!("CARGO_BIN_EXE_socketserver")]), "ok\n");
    served.stop();
}
