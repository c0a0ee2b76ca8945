//! `call`: it says what the command says, and ends as the command does.

use super::native::python;
use super::stage::Desk;
use crate::harness::{Output, PARALLEL, Place, Running, Served, accept, command, kill, run};
use rustix::process::Signal;
use serde_json::Value;
use socketserver_testkit::Python;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

fn call(served: &Served, args: &[&str]) -> Output {
    run(&[&["call", served.address()], args].concat(), b"")
}

/// What it prints, with this status; and what it says of it, which has these words.
#[track_caller]
fn ends(output: &Output, status: i32, stdout: &str, words: &[&str]) {
    let got = String::from_utf8_lossy(&output.stdout);
    assert_eq!((output.status, &*got), (Some(status), stdout), "{}", output.stderr);
    assert_eq!(words.is_empty(), output.stderr.is_empty(), "{}", output.stderr);
    for word in words {
        assert!(output.stderr.contains(word), "`{word}` is not in {}", output.stderr);
    }
}

#[test]
fn it_ends_as_the_command_does() {
    let place = Place::new();
    let desk = Desk::new("[gone]\nargv = ['/bin/true']\n[closed]\nargv = ['/bin/false']\n");
    let [gone, closed] =
        [("gone", 0o755), ("closed", 0o755)].map(|(name, mode)| desk.write(name, "#!/no/such\n", mode));
    let commands = std::fs::read_to_string(desk.path("commands.toml")).unwrap();
    desk.write("commands.toml", &commands.replace("/bin/true", &gone).replace("/bin/false", &closed), 0o600);
    for address in [":0".to_owned(), place.address()] {
        let served = desk.serve_native(&address, &["--timeout", "1s", "--output-limit", "10"]);
        // Since it was read at the start.
        desk.write("closed", "", 0o644);
        let sh = |text: &str| call(&served, &["sh", text]);
        ends(&sh("echo out"), 0, "out\n", &[]);
        ends(&sh("echo out; echo err >&2; exit 3"), 3, "out\n", &["err"]);
        ends(&sh("exit 255"), 255, "", &[]);
        ends(&sh("kill -9 $$"), 137, "", &["signal 9"]);
        ends(&sh("kill -TERM $$"), 143, "", &["signal 15"]);
        ends(&sh("printf half; sleep 1000"), 124, "half", &["took longer than the server lets it"]);
        ends(&call(&served, &["gone"]), 127, "", &["No such file"]);
        ends(&call(&served, &["closed"]), 126, "", &["Permission denied"]);
        ends(&call(&served, &["nothing"]), 127, "", &["refused: unknown command `nothing`", "known: closed, gone, sh"]);
        ends(&call(&served, &["sh"]), 126, "", &["refused: `sh` takes 1 argument"]);
        ends(&call(&served, &["sh", "--", "-x"]), 126, "", &["refused: argument 1"]);
        let cut = sh("echo 0123456789; echo 0123456789; exit 0");
        assert_eq!(cut.stdout, b"0123456789");
        assert!(cut.stderr.contains("was cut"), "{}", cut.stderr);
        assert_eq!(served.stop().status, Some(0));
        desk.write("closed", "#!/no/such\n", 0o755);
    }
}

#[test]
fn arguments_reach_the_program_as_plain_text() {
    let desk = Desk::new("[echo]\nargv = ['/bin/echo']\narguments = ['(?s).*', '(?s).*']\n");
    let served = desk.serve_native(":0", &[]);
    for text in [
        "$(touch touched)",
        "`touch touched`",
        ";touch touched",
        "|&>*?[a]{b,c}~\\n\\",
        "a  b\n\tc",
        "'\"",
        "日志 ''",
        "",
    ] {
        ends(&call(&served, &["echo", text, "end"]), 0, &format!("{text} end\n"), &[]);
    }
    let large = "x".repeat(100_000);
    ends(&call(&served, &["echo", &large, ""]), 0, &format!("{large} \n"), &[]);
    call(&served, &["echo", &large, &large]).failed(255, &["RUN", "131072"]);
    assert!(!desk.path("touched").exists());
}

#[test]
fn what_is_no_end_of_the_commands_is_255_or_124() {
    let desk = Desk::new("");
    let file = desk.token("0123456789abcdef0123456789abcdef");
    let other = desk.write("other", &"x".repeat(32), 0o600);
    let served = desk.serve_native(":0", &["--token-file", &file]);
    ends(&call(&served, &["sh", "echo hello", "--token-file", &file]), 0, "hello\n", &[]);
    call(&served, &["sh", "true"]).failed(255, &["wants a token", "`--token-file FILE`"]);
    call(&served, &["sh", "true", "--token-file", &other]).failed(255, &["refused", "proof"]);
    ends(&call(&served, &["sh", "sleep 1000", "--token-file", &file, "--timeout", "300ms"]), 124, "", &["time is up"]);
    desk.is_empty();
    // Nobody there, nobody who speaks it, and where nothing of it goes.
    let place = Place::new();
    run(&["call", &place.address(), "x"], b"").failed(255, &["cannot connect", &place.address()]);
    for address in ["udp://127.0.0.1:9", "unixgram:/tmp/x", "seqpacket:/tmp/x", "ws://127.0.0.1:9/"] {
        run(&["call", address, "x"], b"").failed(255, &[address, "no commands are run over", "`tls://…`"]);
    }
    let open = desk.serve_native(":0", &[]);
    call(&open, &["sh", "true", "--token-file", &file]).failed(255, &["takes no token", "none"]);
    let hello = Served::start(&["hello", ":0"]);
    call(&hello, &["x"]).failed(255, &["does not speak the native protocol"]);
    let discard = Served::start(&["discard", ":0"]);
    ends(&call(&discard, &["x", "--timeout", "300ms"]), 124, "", &["time is up"]);
    let wire = desk.serve(&["--wire", "int32"]);
    ends(&call(&wire, &["x"]), 255, "", &["broke off"]);
    // What no request can hold is not the server's fault.
    let long = "x".repeat(100_000);
    for words in [&vec!["x"; 1025][..], &["x", &long, &long]] {
        let output = call(&open, words);
        output.failed(255, &["cannot be asked for", "RUN"]);
        assert!(!output.stderr.contains("whoever is there"), "{}", output.stderr);
    }
    // 2 could be the command's own.
    for bad in
        [&["call"][..], &["call", ":1"], &["call", ":1", "x", "--no-such-flag"], &["call", ":1", "--timeout", "x", "y"]]
    {
        let output = run(bad, b"");
        assert!(output.status == Some(255) && output.stderr.contains("--help"), "{bad:?}: {}", output.stderr);
    }
    assert_eq!(run(&["call", "--help"], b"").status, Some(0));
}

#[test]
fn whoever_has_not_let_it_in_says_nothing_of_the_command() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    for why in 1..=6 {
        let calling = Running::start(&mut command(&["call", &address, "x"]));
        let mut peer = accept(&listener);
        peer.write_all(&[&b"SSEXEC\0\x01\x07\0\0\0\x03"[..], &[why], b"no"].concat()).unwrap();
        calling.output().failed(255, &["refused: no"]);
    }
}

#[test]
fn the_time_is_up_whatever_is_waited_for() {
    let (listener, place) = (TcpListener::bind("127.0.0.1:0").unwrap(), Place::new());
    // Whoever listens shakes no hands, and says nothing.
    for scheme in ["tls", "tcp"] {
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        ends(&run(&["call", &address, "x", "--timeout", "300ms"], b""), 124, "", &["time is up"]);
    }
    // Nobody accepts, and no more may wait for it.
    let path = place.path();
    let socket = rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let waits = std::os::unix::net::UnixStream::connect(path).unwrap();
    ends(&run(&["call", &place.address(), "x", "--timeout", "300ms"], b""), 124, "", &["time is up"]);
    drop(waits);
}

#[test]
fn the_time_is_up_while_the_command_is_handed_over() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 4096).unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let large = "x".repeat(120_000);
    let calling = Running::start(&mut command(&["call", &address, "--timeout", "2s", "x", &large]));
    let mut peer = accept(&listener);
    peer.write_all(&[&b"SSEXEC\0\x01\x01\0\0\0\x21\x01"[..], &[7; 32], b"\x02\0\0\0\0"].concat()).unwrap();
    ends(&calling.output(), 124, "", &["time is up"]);
}

#[test]
fn a_server_that_does_not_know_the_token_hears_no_command() {
    let desk = Desk::new("");
    let file = desk.token("0123456789abcdef0123456789abcdef");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    // It takes every proof; its own is none, or what it was sent.
    for answer in [&b"\x02\0\0\0\0"[..], b"\x02\0\0\0\x20", b"\x02\0\0\0\x20echo"] {
        let calling = Running::start(&mut command(&["call", &address, "sh", "secret", "--token-file", &file]));
        let mut peer = accept(&listener);
        let mut proof = [0; 8 + 5 + 65];
        peer.read_exact(&mut proof[..8]).unwrap();
        peer.write_all(&[&b"SSEXEC\0\x01\x01\0\0\0\x21\x08"[..], &[7; 32]].concat()).unwrap();
        peer.read_exact(&mut proof[8..]).unwrap();
        let mac = &proof[8 + 5 + 33..];
        let answer = match answer {
            [.., b'e', b'c', b'h', b'o'] => [b"\x02\0\0\0\x20", mac].concat(),
            [.., 0x20] => [answer, &[0; 32]].concat(),
            _ => answer.to_vec(),
        };
        peer.write_all(&answer).unwrap();
        let mut rest = Vec::new();
        let _ = peer.read_to_end(&mut rest);
        assert_eq!(rest, b"");
        calling.output().failed(255, &["does not know the token"]);
    }
}

#[test]
fn what_the_command_says_comes_at_once_and_apart() {
    let desk = Desk::new("");
    for model in PARALLEL {
        let served = desk.serve_native(":0", &["--model", model]);
        let text = format!("echo now; echo then >&2; while [ ! -e {model} ]; do sleep 0.01; done; echo later");
        let mut calling = Running::start(&mut command(&["call", served.address(), "sh", &text]));
        calling.prints("now\n");
        desk.write(model, "", 0o600);
        calling.prints("later\n");
        let output = calling.output();
        assert_eq!((output.status, &*output.stderr), (Some(0), "then\n"));
    }
}

/// That a signal which ends `call`, with this status, ends all that the command has started.
#[track_caller]
pub(super) fn is_ended_there(desk: &Desk, served: &Served, trust: &[&str], signal: Signal, status: Option<i32>) {
    let family = "sleep 1000 & (setsid sh -c 'trap \"\" TERM; sleep 1000; sleep 1000' &); echo runs; sleep 1000";
    let args = [&["call", served.address()], trust, &["sh", family]].concat();
    let mut calling = Running::start(&mut command(&args));
    calling.prints("runs\n");
    desk.has_processes(4);
    kill(calling.pid(), signal);
    assert_eq!(calling.output().status, status);
    assert!(served.line("exec ").contains("status=disconnected"));
    desk.is_empty();
}

#[test]
fn whoever_ends_it_ends_the_command_there() {
    let desk = Desk::new("");
    let place = Place::new();
    for address in [":0".to_owned(), place.address()] {
        let served = desk.serve_native(&address, &[]);
        for (signal, status) in [(Signal::INT, Some(130)), (Signal::TERM, Some(143)), (Signal::KILL, None)] {
            is_ended_there(&desk, &served, &[], signal, status);
        }
        // Nobody reads what it prints any more: `call … | head -1`.
        let mut head = std::process::Command::new("sh");
        let line = "\"$0\" call \"$1\" sh 'while echo y; do :; done' | head -n 1";
        head.arg("-c").arg(line).arg(env!("CARGO_BIN_EXE_socketserver")).arg(served.address());
        let output = head.stderr(Stdio::piped()).output().unwrap();
        assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"y\n"[..], &b""[..]));
        desk.is_empty();
    }
}

#[test]
fn it_prints_objects() {
    let desk = Desk::new("");
    let served = desk.serve_native(":0", &["--output-limit", "1000"]);
    let objects = |args: &[&str], status: i32| -> Vec<Value> {
        let output = call(&served, &[&["--json"], args].concat());
        assert_eq!((output.status, &*output.stderr), (Some(status), ""));
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let mut all = objects(&["sh", "echo 你好; exit 3"], 3);
    let mut exit = all.pop().unwrap();
    assert!(exit["duration"].as_f64().is_some_and(|duration| duration > 0.0));
    exit.as_object_mut().unwrap().remove("duration");
    let expected = serde_json::json!({
        "event": "exit", "status": "exited", "detail": 3, "code": 3, "output-cut": false, "left": 0,
    });
    assert_eq!((exit, all), (expected, vec![serde_json::json!({ "event": "stdout", "text": "你好\n" })]));
    // A character that comes in two pieces, and what is none.
    let text = "printf '\\344\\275'; sleep 0.2; printf '\\240'; printf '\\377' >&2; printf '\\345' >&2";
    let all = objects(&["sh", text], 0);
    let said = |event: &str, key: &str| -> String {
        all.iter().filter(|object| object["event"] == event).filter_map(|object| object[key].as_str()).collect()
    };
    assert_eq!((said("stdout", "text"), said("stderr", "hex")), ("你".into(), "ffe5".into()), "{all:?}");
    // What does something to a terminal, and what waits for its end when the time is up.
    let output = call(&served, &["--json", "sh", "printf '\\302\\2332J\\177\\342\\200\\256'"]);
    assert!(output.stdout.is_ascii(), "{:?}", String::from_utf8_lossy(&output.stdout));
    let all = objects(&["--timeout", "1s", "sh", "printf '\\345'; sleep 1000"], 124);
    let failed = serde_json::json!({ "event": "failed", "message": "the time is up", "code": 124 });
    assert_eq!(all, [serde_json::json!({ "event": "stdout", "hex": "e5" }), failed]);
    let all = objects(&["--token-file", "/nowhere", "sh", "true"], 255);
    assert_eq!((&all[0]["event"], &all[0]["code"]), (&"failed".into(), &255.into()));
    let refused = objects(&["nothing"], 127);
    assert_eq!((&refused[0]["event"], &refused[0]["why"]), (&"refused".into(), &"unknown-command".into()));
    assert!(refused[0]["message"].as_str().unwrap().contains("`nothing`"));
}

#[test]
fn objects_that_cannot_be_written_are_missed() {
    let desk = Desk::new("");
    let served = desk.serve_native(":0", &[]);
    // Of what the command says; of how it ended, where it says nothing; of why it was not run.
    for (words, status) in [(&["sh", "echo hello"][..], 255), (&["sh", "true"], 255), (&["nothing"], 127)] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut call = command(&[&["call", served.address(), "--json"], words].concat());
        let output = call.stdin(Stdio::null()).stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{words:?}: {said}");
        assert!(said.contains("standard output") && said.contains("No space left"), "{words:?}: {said}");
    }
}

#[test]
fn what_a_server_says_does_not_reach_the_terminal_as_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let calling = Running::start(&mut command(&["call", &address, "x"]));
    let mut peer: TcpStream = accept(&listener);
    let text = "\x01\x1b[2J\u{9b}31m\nall is well";
    let refused = [&b"SSEXEC\0\x01\x07\0\0\0"[..], &[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    peer.write_all(&refused).unwrap();
    calling.output().failed(255, &["refused: \\u{1b}[2J\\u{9b}31m\\nall is well"]);
}

#[test]
fn a_server_that_is_gone_is_told_of() {
    let desk = Desk::new("");
    let served = desk.serve_native(":0", &["--drain", "0"]);
    let mut calling = Running::start(&mut command(&["call", served.address(), "sh", "echo runs; sleep 1000"]));
    calling.prints("runs\n");
    served.signal(Signal::KILL);
    calling.output().failed(255, &["broke off"]);
    desk.is_empty();
}

#[test]
fn a_client_of_ones_own_and_call_see_the_same() {
    let Some(interpreter) = Python::find() else { return };
    let desk = Desk::new("");
    let served = desk.serve_native(":0", &[]);
    let text = "seq 1 50000; seq 1 1000 >&2";
    let program = format!("out, err, end = run(enter(connect()), 'sh', '{text}')\nprint(len(out), len(err), end)");
    let output = call(&served, &["sh", text]);
    let told = format!("{} {} (0, 0, 0, 0)\n", output.stdout.len(), output.stderr.len());
    assert_eq!(python(&interpreter, served.address(), &program), told);
}
