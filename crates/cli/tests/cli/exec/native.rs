//! The native protocol, by a client that is written down from its description.

use super::stage::{Desk, exactly};
use crate::harness::{LONG, MODELS, PARALLEL, Place, Served};
use rustix::process::Signal;
use socketserver_testkit::{Client, Process, Python};

const NATIVE: &str = include_str!("native.py");

/// What that client does with a server, and prints.
#[track_caller]
pub(super) fn python(python: &Python, address: &str, program: &str) -> String {
    python.client(address, &format!("{NATIVE}\n{program}"))
}

/// A plain client that is let in: anybody is, or this user.
fn entered(served: &Served) -> Client {
    let mut client = served.client();
    client.say(b"SSEXEC\0\x01");
    client.expect(b"SSEXEC\0\x01\x01\0\0\0\x21");
    let methods = exactly(&mut client, 33)[0];
    client.say([2, 0, 0, 0, 1, if methods & 2 > 0 { 2 } else { 1 }]);
    client.expect(b"\x02\0\0\0\0");
    client
}

/// The request of these words.
fn request(words: &[&str]) -> Vec<u8> {
    let mut payload = u16::try_from(words.len()).unwrap().to_be_bytes().to_vec();
    for word in words {
        payload.extend(u32::try_from(word.len()).unwrap().to_be_bytes());
        payload.extend(word.as_bytes());
    }
    let mut frame = vec![3];
    frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend(payload);
    frame
}

#[test]
fn python_runs_commands() {
    let Some(interpreter) = Python::find() else { return };
    let desk = Desk::new("[gone]\nargv = ['/bin/true']\n");
    let script = desk.write("script", "#!/no/such/interpreter\n", 0o755);
    let commands = std::fs::read_to_string(desk.path("commands.toml")).unwrap().replace("/bin/true", &script);
    desk.write("commands.toml", &commands, 0o600);
    let place = Place::new();
    for (model, address) in MODELS.into_iter().flat_map(|model| [(model, ":0".to_owned()), (model, place.address())]) {
        let served = desk.serve_native(&address, &["--model", model, "--output-limit", "200000", "--timeout", "1s"]);
        let program = "
s = enter(connect())
lines = ''.join(f'{n}\\n' for n in range(1, 20001)).encode()
assert run(s, 'sh', 'seq 20000') == (lines, b'', (0, 0, 0, 0))
assert run(s, 'sh', 'echo out; echo err >&2; exit 3') == (b'out\\n', b'err\\n', (0, 3, 0, 0))
assert run(s, 'sh', 'kill -9 $$') == (b'', b'', (1, 9, 0, 0))
assert run(s, 'sh', 'echo half; sleep 1000') == (b'half\\n', b'', (2, 0, 0, 0))
assert run(s, 'gone') == (b'', b'', (3, 2, 0, 0))
out, err, end = run(s, 'sh', 'head -c 1G /dev/zero')
assert (out, err, end[2]) == (bytes(200000), b'', 1), (len(out), end)
# What is refused ends nothing.
why, text = run(s, 'nothing')
assert (why, text) == (3, 'unknown command `nothing`; known: gone, sh'), (why, text)
why, text = run(s, 'sh', 'a', 'b')
assert (why, text) == (4, '`sh` takes 1 argument, and 2 were given'), (why, text)
why, text = run(s, 'sh', '-c')
assert (why, text) == (4, 'argument 1 of `sh`, `-c`, is not as `(?s).*` says'), (why, text)
# What is not text is handed on as it is, and nothing of a request is for a shell before it is one.
assert run(s, 'sh', 'printf \"\\\\377\\\\0\"')[0] == b'\\xff\\0'
assert run(s, 'sh', 'printf %s \"$0\"')[0] == b'/bin/sh'
# Two at a time come one after the other.
s.sendall(frame(RUN, request('sh', 'echo one')) + frame(RUN, request('sh', 'echo two')))
assert (result(s)[0], result(s)[0]) == (b'one\\n', b'two\\n')
print('done')
";
        assert_eq!(python(&interpreter, served.address(), program), "done\n", "{model} {address}");
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn what_is_said_comes_as_it_is_said() {
    let desk = Desk::new("");
    for model in MODELS {
        let served = desk.serve_native(":0", &["--model", model]);
        let mut client = entered(&served);
        // Behind a request that waits too.
        let more = format!("echo now; echo then >&2; while [ ! -e {model} ]; do sleep 0.01; done; echo later");
        client.say([request(&["sh", &more]), request(&["sh", "true"])].concat());
        client.expect(b"\x04\0\0\0\x04now\n");
        client.expect(b"\x05\0\0\0\x05then\n");
        desk.write(model, "", 0o600);
        client.expect(b"\x04\0\0\0\x06later\n\x06\0\0\0\x12");
    }
}

#[test]
fn what_is_out_of_order_or_too_long_is_refused_before_anything_is_run_or_held() {
    let desk = Desk::new("");
    let touch = request(&["sh", "touch touched"]);
    for model in MODELS {
        let served = desk.serve_native(":0", &["--model", model]);
        drop(entered(&served));
        let before = served.process().resident();
        let opening = &b"SSEXEC\0\x01"[..];
        for wrong in [
            // Before anybody has said who is there.
            touch.clone(),
            [opening, &touch].concat(),
            [opening, &[1, 0, 0, 0, 0]].concat(),
            [opening, &[2, 0xff, 0xff, 0xff, 0xff]].concat(),
            [opening, &[2, 0, 0, 0, 66]].concat(),
            [opening, &[2, 0, 0, 0, 1, 77]].concat(),
            [opening, &[99, 0, 0, 0, 0]].concat(),
            b"SSEXEC\0\0".to_vec(),
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            b"sh 'touch touched'".to_vec(),
        ] {
            let mut client = served.client();
            client.say(&wrong);
            client.say_if_there(&touch);
            let _ = client.hear_all();
            assert!(served.line("exec ").contains("status=rejected"), "{model} {wrong:?}");
        }
        for wrong in [
            // Four GiB of a request, one of more than may be, and one of more words than there are bytes.
            &b"\x03\xff\xff\xff\xff"[..],
            b"\x03\0\x02\0\x01",
            b"\x03\0\0\0\x02\xff\xff",
            b"\x03\0\0\0\x08\0\x01\xff\xff\xff\xffls",
            b"\x03\0\0\0\x08\0\x01\0\0\0\x02l\0",
            b"\x02\0\0\0\x01\x01",
            b"\x04\0\0\0\x01x",
            b"\x06\0\0\0\x12",
        ] {
            let mut client = entered(&served);
            client.say(wrong);
            client.say_if_there(&touch);
            let _ = client.hear_all();
            assert!(served.line("exec ").contains("status=rejected"), "{model} {wrong:?}");
        }
        assert!(served.process().resident() < before + (2 << 20), "{model}");
        assert_eq!(served.stop().status, Some(0));
    }
    assert!(!desk.path("touched").exists() && desk.processes().is_empty());
}

#[test]
fn who_does_not_say_who_is_there_is_not_waited_for() {
    let desk = Desk::new("");
    // However long one may be silent otherwise, and however slowly one begins.
    let servers = PARALLEL.map(|model| desk.serve_native(":0", &["--model", model, "--idle", "off"]));
    let mut clients: Vec<Client> = servers.iter().flat_map(|served| [served.client(), served.client()]).collect();
    for client in clients.iter_mut().step_by(2) {
        client.say("SSEX");
    }
    clients.iter_mut().for_each(Client::expect_gone);
    // Whoever has said so may be silent.
    let mut entered: Vec<Client> = servers.iter().map(entered).collect();
    for client in &mut entered {
        client.say(request(&["sh", "sleep 11; echo here"]));
    }
    for client in &mut entered {
        client.expect(b"\x04\0\0\0\x05here\n");
    }
}

#[test]
fn who_does_not_take_what_is_said_holds_the_command_up_and_not_the_server() {
    let desk = Desk::new("");
    for model in PARALLEL {
        let args = ["--model", model, "--output-limit", "256MiB", "--timeout", "2s", "--write-timeout", "off"];
        let served = desk.serve_native(":0", &args);
        let mut client = entered(&served);
        let server = served.process();
        let before = server.resident();
        client.say(request(&["sh", "exec cat /dev/zero"]));
        desk.has_processes(1);
        // Nobody waits for the client longer than the command may take.
        desk.is_empty();
        assert!(server.resident() < before + (8 << 20), "{} after {before}", server.resident());
        // It is told when it comes back.
        let end = loop {
            let head = exactly(&mut client, 5);
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let payload = exactly(&mut client, usize::try_from(length).unwrap());
            if head[0] == 6 {
                break payload;
            }
        };
        assert_eq!(end[0], 2, "its time was up");
    }
}

#[test]
fn who_leaves_ends_the_command_with_all_that_it_started() {
    let desk = Desk::new("");
    let family = "sleep 1000 & (setsid sh -c 'trap \"\" TERM; sleep 1000; sleep 1000' &); sleep 1000";
    for model in MODELS {
        let served = desk.serve_native(":0", &["--model", model]);
        for leave in [drop::<Client>, Client::reset] {
            let mut client = entered(&served);
            client.say(request(&["sh", family]));
            desk.has_processes(4);
            leave(client);
            assert!(served.line("exec ").contains("status=disconnected"));
            desk.is_empty();
        }
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn a_drain_lets_a_command_finish_and_ends_who_waits() {
    let desk = Desk::new("");
    for model in MODELS {
        let served = desk.serve_native(":0", &["--model", model, "--drain", LONG]);
        let mut client = entered(&served);
        client.say(request(&["sh", &format!("while [ ! -e {model} ]; do sleep 0.01; done; echo done")]));
        desk.has_processes(1);
        served.signal(Signal::TERM);
        served.line("draining");
        desk.write(model, "", 0o600);
        client.expect(b"\x04\0\0\0\x05done\n\x06\0\0\0\x12");
        let _ = exactly(&mut client, 18);
        client.expect_gone();
        assert_eq!(served.wait().status, Some(0));
    }
}

#[test]
fn so_many_run_at_a_time() {
    let desk = Desk::new("");
    let served = desk.serve_native(":0", &["--max-commands", "1"]);
    let mut first = entered(&served);
    first.say(request(&["sh", "while [ ! -e go ]; do sleep 0.01; done"]));
    desk.has_processes(1);
    let mut late = entered(&served);
    late.say(request(&["sh", "true"]));
    let words = "\x05the command could not be run: 1 commands run already; try again later";
    late.expect([&b"\x07\0\0\0"[..], &[words.len() as u8], words.as_bytes()].concat());
    desk.write("go", "", 0o600);
    first.expect(b"\x06\0\0\0\x12");
    late.say(request(&["sh", "echo hello"]));
    late.expect(b"\x04\0\0\0\x06hello\n");
}

#[test]
fn a_thousand_calls_leak_nothing() {
    let Some(interpreter) = Python::find() else { return };
    let desk = Desk::new("");
    let token = "x".repeat(32);
    let file = desk.token(&token);
    for model in PARALLEL {
        let served = desk.serve_native(":0", &["--model", model, "--token-file", &file]);
        let process = served.process();
        let calls = |count: usize| {
            let program = format!(
                "
for at in range({count}):
    s = enter(connect(), b'{token}')
    assert run(s, 'sh', 'echo hello') == (b'hello\\n', b'', (0, 0, 0, 0))
    if at % 20 == 0:
        say(s, RUN, request('sh', 'sleep 1000'))
    s.close()
"
            );
            assert_eq!(python(&interpreter, served.address(), &program), "");
        };
        calls(1);
        served.line("close id=1 ");
        desk.is_empty();
        process.settles("the first is over", |process| process.children().is_empty());
        // A moment after its end a child is still held.
        let before = process.descriptors().len();
        // What is kept for the next is there after some.
        calls(100);
        let (threads, memory) = (process.threads(), process.resident());
        calls(if model == "tasks" { 900 } else { 200 });
        desk.is_empty();
        let nothing_more = |process: &Process| process.children().is_empty() && process.descriptors().len() <= before;
        process.settles(&format!("on {model} no children, and {before} descriptors"), nothing_more);
        assert!(process.threads() <= threads + 8, "{} after {threads}", process.threads());
        assert!(process.resident() < memory + (8 << 20), "{} after {memory}", process.resident());
        assert_eq!(served.stop().status, Some(0));
    }
}
