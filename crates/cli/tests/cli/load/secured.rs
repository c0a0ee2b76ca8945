//! WebSocket over TLS, against a server that somebody else has written.

use super::{load, objects, row};
use crate::tls::Office;
use serde_json::Value;
use socketserver::{Channel, MessageHandler, Server, ServerTls, Tasks};
use socketserver_testkit::Python;

/// A server of `wss://`, which echoes at `/echo` and shouts at `/upper`, while a load runs on it: at a path, with arguments more.
const SERVER: &str = "
import asyncio, ssl, sys, websockets
program, certificate, key, path, *more = sys.argv[1:]
async def answer(socket):
    # Older versions know the path themselves.
    path = socket.request.path if getattr(socket, 'request', None) else socket.path
    async for message in socket:
        assert isinstance(message, bytes), message
        await socket.send(message if path == '/echo' else message.upper())
async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with websockets.serve(answer, '127.0.0.1', 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        load = await asyncio.create_subprocess_exec(
            program, 'load', f'wss://127.0.0.1:{port}{path}', '--json', *more, stdout=asyncio.subprocess.PIPE)
        print((await load.communicate())[0].decode(), end='')
        print(load.returncode)
asyncio.run(main())
";

/// What is found there, and the status.
#[track_caller]
fn found(python: &Python, office: &Office, path: &str, more: &[&str]) -> (Value, i32) {
    let (certificate, key) = (office.path("server.pem"), office.path("server.key"));
    let args = [&[env!("CARGO_BIN_EXE_socketserver"), &*certificate, &*key, path], more].concat();
    let printed = python.program(SERVER, &args);
    let (found, status) = printed.trim_end().rsplit_once('\n').unwrap();
    (serde_json::from_str(found).unwrap(), status.parse().unwrap())
}

#[test]
fn a_server_in_python_answers_over_wss() {
    let (Some(office), Some(python)) = (Office::open(), Python::with("websockets", "python3-websockets")) else {
        return;
    };
    let (ca, other) = (office.path("ca.pem"), office.path("other.pem"));
    for more in [&["--depth", "3"][..], &["--rate", "2k"], &["--size", "20k"]] {
        let (found, status) =
            found(&python, &office, "/echo", &[&["--ca", &*ca, "-n", "300", "-c", "3"], more].concat());
        assert_eq!((status, &found["messages"], &found["opened"]), (0, &300.into(), &3.into()), "{found}");
        assert_eq!((&found["errors"]["total"], &found["lost"]), (&0.into(), &0.into()), "{found}");
    }
    let (shouted, status) =
        found(&python, &office, "/upper", &["--ca", &ca, "-n", "3", "-c", "1", "--message", "hello"]);
    assert_eq!((status, &shouted["errors"]["mismatch"], &shouted["messages"]), (2, &1.into(), &0.into()), "{shouted}");
    // Whoever is not trusted is asked for nothing.
    let (refused, status) = found(&python, &office, "/echo", &["--ca", &other, "-n", "3", "-c", "2"]);
    assert_eq!((status, &refused["errors"]["tls"], &refused["opened"]), (2, &2.into(), &0.into()), "{refused}");
}

#[test]
fn our_own_server_answers_over_wss() {
    let reply = |message: &[u8], c: &mut Channel| Ok(c.send(message)?);
    let tls = ServerTls::new().self_signed(["localhost"]).unwrap();
    let fingerprint = tls.fingerprints().unwrap()[0].to_string();
    let server = Server::bind("wss://127.0.0.1:0/echo").unwrap().tls(tls).unwrap();
    let server = server.spawn(Tasks::new(1), reply.unframed()).unwrap();
    let address = server.handle().endpoints()[0].to_string();
    let args = ["-c", "3", "-n", "300", "--insecure-fingerprint", &fingerprint];
    let found = &objects(0, &[&[&*address], &args[..]].concat())[0];
    assert_eq!((&found["messages"], &found["bytes"]), (&300.into(), &19_200.into()), "{found}");
    let table = load(2, &[&[&*address.replace("/echo", "/other")], &args[..]].concat());
    assert_eq!(row(&table, "errors"), "3 WebSocket");
    server.stop().unwrap();
}
