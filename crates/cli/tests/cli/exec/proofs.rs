//! Who may ask: what proves it, what does not, and what is said of it.

use super::native::python;
use super::stage::{Desk, root};
use crate::harness::{MODELS, PARALLEL, Place, Served, run};
use socketserver_testkit::Python;
use std::fs;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn a_token_is_proved_by_both_sides() {
    let Some(interpreter) = Python::find() else { return };
    let desk = Desk::new("");
    // White space around it is not of it.
    let file = desk.token(&format!("  {TOKEN}\n"));
    let place = Place::new();
    for (model, address) in MODELS.into_iter().flat_map(|model| [(model, ":0".to_owned()), (model, place.address())]) {
        let served = desk.serve_native(&address, &["--model", model, "--token-file", &file]);
        let program = format!(
            "
s = connect()
methods, server = greeting(s)
assert methods == (TOKEN if address.startswith('tcp') else TOKEN | CREDENTIALS), methods
s = enter(connect(), b'{TOKEN}')
print(run(s, 'sh', 'echo hello')[0].decode())
"
        );
        assert_eq!(python(&interpreter, served.address(), &program), "hello\n\n", "{model} {address}");
        let ended = served.stop();
        assert!(ended.line("exec ").contains("subject=token status=exited"), "{:#?}", ended.lines);
    }
}

#[test]
fn what_does_not_prove_it_is_refused_and_nothing_is_run() {
    let Some(interpreter) = Python::find() else { return };
    let desk = Desk::new("");
    let file = desk.token(TOKEN);
    for model in PARALLEL {
        let served = desk.serve_native(":0", &["--model", model, "--token-file", &file, "--auth-failures", "off"]);
        let program = format!(
            "
token = b'{TOKEN}'
def refused(payload, s):
    say(s, AUTH, payload)
    try:
        say(s, RUN, request('sh', 'touch touched'))
    except (BrokenPipeError, ConnectionResetError):
        pass
    kind, said = hear(s)
    assert kind == REFUSED and said[0] == 1, (kind, said)
    assert everything(s) == b''
    return said[1:].decode()

# Another token, and this one in part, and another word for the side.
for wrong in [b'x' * 32, token[:-1], token + b'\\n', b'']:
    s = connect()
    methods, server = greeting(s)
    text = refused(proof(wrong, methods, server, os.urandom(32)), s)
    assert token.decode() not in text and 'proof' in text, text
s = connect()
methods, server = greeting(s)
client = os.urandom(32)
refused(bytes([TOKEN]) + client + mac('server', token, methods, server, client), s)
# As over TLS, and with more that could be proved than was said.
s = connect()
methods, server = greeting(s)
refused(bytes([TOKEN]) + client + mac('client', token, methods, server, client, bytes(32)), s)
s = connect()
methods, server = greeting(s)
refused(bytes([TOKEN]) + client + mac('client', token, methods | CREDENTIALS, server, client), s)
# What was not offered.
for method in [NONE, CREDENTIALS, CERTIFICATE]:
    s = connect()
    greeting(s)
    assert 'token' in refused(bytes([method]), s)
# A proof that was good once, on another connection, and after it on its own.
first = connect()
methods, server = greeting(first)
good = proof(token, methods, server, client)
second = connect()
assert greeting(second)[1] != server
refused(good, second)
say(first, AUTH, good)
assert hear(first)[0] == AUTH
say(first, AUTH, good)
assert everything(first) == b''
print('done')
"
        );
        assert_eq!(python(&interpreter, served.address(), &program), "done\n");
        assert!(!desk.path("touched").exists());
        let ended = served.stop();
        let lines = ended.lines("exec ");
        assert_eq!(lines.iter().filter(|line| line.contains(" status=denied ")).count(), 11, "{lines:#?}");
        assert_eq!(lines.iter().filter(|line| line.contains("subject=token status=rejected")).count(), 1, "{lines:#?}");
        assert!(!ended.lines.iter().any(|line| line.contains(&TOKEN[..8])), "no secret is told");
    }
}

#[test]
fn who_fails_too_often_is_refused_at_once() {
    let Some(interpreter) = Python::find() else { return };
    let desk = Desk::new("");
    let file = desk.token(TOKEN);
    for model in PARALLEL {
        let served =
            desk.serve_native("127.0.0.1:0", &["--model", model, "--token-file", &file, "--auth-failures", "5/h"]);
        let program = format!(
            "
token = b'{TOKEN}'
def fail(source):
    s = connect(source)
    methods, server = greeting(s)
    say(s, AUTH, proof(b'x' * 32, methods, server, bytes(32)))
    assert hear(s)[1][0] == 1
# Whoever succeeds does not count.
for _ in range(20):
    enter(connect('127.0.0.2'), token).close()
waits = connect('127.0.0.2')
methods, server = greeting(waits)
for _ in range(5):
    fail('127.0.0.2')
# Neither greeted, whatever he knows, nor let in with what he was greeted with before.
s = connect('127.0.0.2')
s.sendall(OPENING)
assert exactly(s, 8) == OPENING
kind, said = hear(s)
assert (kind, said[0]) == (REFUSED, 2), (kind, said)
assert everything(s) == b''
say(waits, AUTH, proof(token, methods, server, bytes(32)))
kind, said = hear(waits)
assert (kind, said[0]) == (REFUSED, 2), (kind, said)
# Nobody else has failed.
enter(connect('127.0.0.3'), token)
print('done')
"
        );
        assert_eq!(python(&interpreter, served.address(), &program), "done\n");
        let ended = served.stop();
        assert_eq!(ended.lines("exec ").iter().filter(|line| line.contains("status=denied")).count(), 5);
        assert_eq!(ended.lines("exec ").iter().filter(|line| line.contains("status=throttled")).count(), 2);
    }
}

#[test]
fn other_users_are_for_those_to_name_who_serve() {
    if !root() {
        return;
    }
    let (desk, place) = (Desk::new(""), Place::new());
    fs::set_permissions(place.path().parent().unwrap(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let address = format!("{}?mode=666", place.address());
    let call = |uid: u32| desk.command(uid, &["call", &place.address(), "sh", "id -u"]).output().unwrap();
    for (more, denied) in [(&[][..], true), (&["--allow-user", "65534"], false), (&["--allow-user", "nobody"], false)] {
        let served = desk.serve_native(&address, more);
        let output = call(65534);
        let said = String::from_utf8(output.stderr).unwrap();
        if denied {
            assert_eq!(output.status.code(), Some(255), "{said}");
            assert!(said.contains("user 65534 may not ask here"), "{said}");
            assert!(served.line("exec ").contains("subject=uid=65534 status=denied"));
        } else {
            assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"0\n"[..]), "{said}");
            assert!(served.line("exec ").contains("subject=uid=65534 status=exited"));
        }
        // Others are not meant.
        assert_eq!(call(65533).status.code(), Some(255));
        assert_eq!(call(0).status.code(), Some(0));
    }
}

#[test]
fn a_server_of_another_user_is_told_nothing_unless_it_is_meant() {
    let desk = Desk::new("");
    let file = desk.token(TOKEN);
    let address = format!("unix:@socketserver-exec-{}", std::process::id());
    let call = |more: &[&str]| run(&[&["call", &address], more, &["sh", "echo hello"]].concat(), b"");
    let own = desk.serve_native(&address, &[]);
    call(&[]).is("hello\n");
    assert_eq!(own.stop().status, Some(0));
    run(&["call", ":1", "--server-user", "root", "x"], b"").failed(255, &["`--server-user`", "Unix sockets"]);
    if !root() {
        return;
    }
    let other = 65533;
    for path in [desk.path("commands.toml"), file.clone().into()] {
        rustix::fs::chown(&path, Some(rustix::fs::Uid::from_raw(other)), None).unwrap();
    }
    let own_token = desk.write("own", TOKEN, 0o600);
    let mut args = desk.native_args(&address, &["--token-file", &file, "--allow-user", "0"]);
    let user = args.iter().position(|arg| arg == "--user").unwrap();
    args.drain(user..user + 2);
    let command = desk.command(other, &args.iter().map(String::as_str).collect::<Vec<_>>());
    let served = Served::listening(command, 1);
    call(&[]).failed(255, &["user 65533", "`--server-user 65533`"]);
    call(&["--server-user", "65532"]).failed(255, &["user 65533"]);
    call(&["--server-user", "65532", "--server-user", "65533"]).is("hello\n");
    // The token proves who serves.
    call(&["--token-file", &own_token]).is("hello\n");
    // It was not greeted by those who did not ask.
    assert_eq!(served.stop().lines("exec ").len(), 2);
}

#[test]
fn a_token_that_others_may_read_or_guess_is_refused() {
    let desk = Desk::new("");
    let right = desk.token(TOKEN);
    let refused = |file: &str, words: &[&str]| {
        let args = desk.native_args(":0", &["--token-file", file]);
        run(&args.iter().map(String::as_str).collect::<Vec<_>>(), b"").failed(2, &[&[file], words].concat());
        // The same for who asks.
        run(&["call", ":1", "x", "--token-file", file], b"").failed(255, &[&[file], words].concat());
    };
    for mode in [0o640, 0o604, 0o620, 0o602, 0o660, 0o644, 0o610] {
        let file = desk.write(&format!("mode-{mode:o}"), TOKEN, mode);
        refused(&file, &[&format!("mode {mode:o}"), "`chmod 600`"]);
    }
    refused(&desk.write("short", "hunter2\n", 0o600), &["32 bytes", "has 7", "`openssl rand -hex 32`"]);
    refused(&desk.write("padded", &format!("{}{}", "x".repeat(31), " ".repeat(100)), 0o600), &["has 31"]);
    refused(&desk.write("empty", "", 0o600), &["has 0"]);
    refused(&desk.write("long", &"x".repeat(5000), 0o600), &["4 KiB"]);
    std::os::unix::fs::symlink(&right, desk.path("link")).unwrap();
    refused(desk.path("link").to_str().unwrap(), &["symbolic link", &right]);
    refused(desk.path("nowhere").to_str().unwrap(), &["No such file"]);
    refused(desk.path(".").to_str().unwrap(), &["not a file"]);
    if root() {
        let foreign = desk.write("foreign", TOKEN, 0o600);
        rustix::fs::chown(&foreign, Some(rustix::fs::Uid::from_raw(65534)), None).unwrap();
        refused(&foreign, &["user 65534", "`chown`"]);
    }
}
