//! `serve talk`: a conversation with an operator, who types into a pipe or at a terminal.

mod terminal;

use crate::harness::{Place, Served, client, command, run};
use rustix::process::Signal;
use socketserver_testkit::{Client, PATIENCE, Python};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// Those that serve talks.
const MODELS: [&str; 3] = ["tasks", "threads", "serial"];

/// A server with an operator who is not at a terminal.
struct Talk {
    served: Served,
    input: Option<ChildStdin>,
    shown: Receiver<String>,
    address: String,
}

impl Talk {
    #[track_caller]
    fn start(args: &[&str]) -> Self {
        Self::of(command(&[&["serve", "talk"], args].concat()))
    }

    #[track_caller]
    fn of(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let (send, shown) = channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        let served = Served::adopt(child);
        let line = served.line("");
        let address = line.split("listening on ").nth(1).unwrap().trim_end_matches(['"', '}']).to_owned();
        Self { served, input, shown, address }
    }

    /// A plain client that has said who it is, its number, and what stands before what it says.
    #[track_caller]
    fn peer(&self, name: &str) -> (Client, u64, String) {
        let mut client = client(&self.address);
        client.say(name);
        let line = self.shows();
        let (label, text) = line.split_once("] ").unwrap();
        assert_eq!(text, name);
        let id = label[1..].split(' ').next().unwrap().parse().unwrap();
        (client, id, format!("{label}] "))
    }

    #[track_caller]
    fn types(&mut self, line: &str) {
        self.input.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    #[track_caller]
    fn shows(&self) -> String {
        self.shown.recv_timeout(PATIENCE).unwrap()
    }

    /// Whether everything that was shown was asked for.
    #[track_caller]
    fn shows_nothing_more(&self) {
        assert_eq!(self.shown.iter().collect::<Vec<_>>(), [""; 0]);
    }
}

/// A client as a first lesson on sockets has it, that knows nothing of this project.
const LESSON: &str = "
import sys
from socket import *
host, port = sys.argv[1].removeprefix('tcp://').split(':')
client = socket(AF_INET, SOCK_STREAM)
client.settimeout(30)
client.connect((host, int(port)))
for message in sys.argv[2:]:
    client.sendall(message.encode())
    data = client.recv(1024)
    print(data.decode())
client.close()
";

#[test]
fn three_lessons_at_once_are_talked_to_by_turns() {
    let Some(python) = Python::find() else { return };
    for model in ["tasks", "threads"] {
        let mut talk = Talk::start(&[":0", "--model", model]);
        let address = talk.address.clone();
        let said = std::thread::scope(|scope| {
            let lesson = |name: &'static str| {
                let (python, address) = (&python, &address);
                scope.spawn(move || python.program(LESSON, &[address, name, "你好 again"]))
            };
            let lessons = ["anna", "bert", "chris"].map(lesson);
            let ids = [0; 3].map(|_| {
                let line = talk.shows();
                let (label, name) = line.split_once("] ").unwrap();
                (name.to_owned(), label[1..].split(' ').next().unwrap().to_owned())
            });
            for (name, id) in ids.iter().rev() {
                talk.types(&format!("/to {id}"));
                talk.types(&format!("hello {name}"));
                let line = talk.shows();
                assert!(line.starts_with(&format!("[{id} 127.0.0.1:")) && line.ends_with("] 你好 again"), "{line}");
            }
            talk.types("/all  bye");
            lessons.map(|lesson| lesson.join().unwrap())
        });
        assert_eq!(said, ["anna", "bert", "chris"].map(|name| format!("hello {name}\n bye\n")), "{model}");
        let ended = talk.served.stop();
        assert_eq!(ended.status, Some(0), "{model} {:#?}", ended.lines);
    }
}

#[test]
fn one_lesson_after_the_other_on_each_model() {
    let Some(python) = Python::find() else { return };
    for model in MODELS {
        let mut talk = Talk::start(&[":0", "--model", model]);
        for id in 1..=2 {
            let address = talk.address.clone();
            let said = std::thread::scope(|scope| {
                let lesson = scope.spawn(|| python.program(LESSON, &[&address, "hello"]));
                assert!(talk.shows().starts_with(&format!("[{id} 127.0.0.1:")));
                // The first one is chosen by itself.
                if id > 1 {
                    talk.types(&format!("/{id}"));
                }
                talk.types("hello yourself");
                lesson.join().unwrap()
            });
            assert_eq!(said, "hello yourself\n", "{model}");
            talk.served.line(&format!("{id} 127.0.0.1:"));
        }
        talk.types("/quit");
        talk.shows_nothing_more();
        assert_eq!(talk.served.wait().status, Some(0), "{model}");
    }
}

#[test]
fn what_is_typed_is_sent_as_it_is_over_streams_and_packets() {
    let Some(python) = Python::find() else { return };
    let place = Place::new();
    let (stream, packets) = (place.address(), format!("unixgram:{}", place.path().display()));
    for address in ["tcp://127.0.0.1:0", "udp://127.0.0.1:0", &stream, &packets] {
        let program = "
import os, socket, subprocess, sys, tempfile
scheme, _, rest = sys.argv[2].partition(':')
unix = scheme.startswith('unix')
kind = socket.SOCK_STREAM if scheme in ('tcp', 'unix') else socket.SOCK_DGRAM
server = subprocess.Popen([sys.argv[1], 'serve', 'talk', sys.argv[2]], bufsize=0,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
try:
    listening = server.stderr.readline().decode().split()[-1]
    peer = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, kind)
    peer.settimeout(30)
    with tempfile.TemporaryDirectory() as directory:
        if kind == socket.SOCK_DGRAM and unix:
            peer.bind(directory + '/peer')
        host, _, port = rest.removeprefix('//').rpartition(':')
        peer.connect(rest if unix else (host, int(listening.rpartition(':')[2])))
        peer.sendall(b'hello')
        shown = server.stdout.readline().decode()
        assert shown.startswith('[1 ') and shown.endswith('] hello\\n'), shown
        for typed, sent in [(b'one', b'one'), (b'  two\\r', b'  two\\r'), (b'//three', b'/three'),
                            ('四\\0'.encode(), '四\\0'.encode()), (b'\\xff\\xfe', b'\\xff\\xfe')]:
            # An empty line is nothing.
            server.stdin.write(b'\\n' + typed + b'\\n')
            assert peer.recv(1024) == sent, typed
        if kind == socket.SOCK_DGRAM:
            server.stdin.write(b'x' * 65508 + b'\\n')
            while b'too long for a packet' not in (line := server.stderr.readline()):
                assert line
        # Everything before the end is sent, and the end as well.
        server.stdin.write(b'bye\\n/close\\n')
        assert peer.recv(1024) == b'bye'
        if kind == socket.SOCK_STREAM:
            assert peer.recv(1024) == b''
        while b' has left (finished); 0 open' not in (line := server.stderr.readline()):
            assert line
        server.stdin.write(b'/quit\\n')
        assert server.wait(30) == 0
finally:
    server.kill()
";
        python.program(program, &[env!("CARGO_BIN_EXE_socketserver"), address]);
    }
}

#[test]
fn nothing_is_sent_to_the_wrong_one() {
    for model in ["tasks", "threads"] {
        let mut talk = Talk::start(&[":0", "--model", model]);
        talk.types("hello?");
        talk.served.line("nobody is chosen, so this was not sent");
        let (first, one, _) = talk.peer("first");
        assert_eq!(one, 1);
        talk.served.line("1 127.0.0.1:");
        talk.served.line("what you type goes to 1 127.0.0.1:");
        let (mut second, two, _) = talk.peer("second");
        drop(first);
        talk.served.line("1 127.0.0.1:");
        talk.types("for the first");
        talk.served.line("nobody is chosen, so this was not sent");
        // Nor is whoever comes next.
        let (mut third, three, _) = talk.peer("third");
        talk.types("for the first");
        talk.served.line("nobody is chosen, so this was not sent");
        talk.types("/to 1");
        talk.served.line("there is no peer 1;");
        talk.types("/close");
        talk.served.line("nobody is chosen;");
        talk.types("/sned");
        talk.served.line("`/sned` is no command");
        talk.types(&format!("/{two}"));
        talk.types("for the second");
        talk.types("/who");
        assert!(talk.served.line("> ").starts_with(&format!("> {two} 127.0.0.1:")));
        assert!(talk.served.line("  ").starts_with(&format!("  {three} 127.0.0.1:")));
        second.expect("for the second");
        // Another than the chosen one is closed, and the chosen one stays.
        talk.types(&format!("/close {three}"));
        third.expect_end();
        talk.types("still for the second");
        second.expect("still for the second");
        drop((second, third));
        assert_eq!(talk.served.stop().status, Some(0), "{model}");
    }
}

#[test]
fn peers_that_come_and_leave_are_counted() {
    let talk = Talk::start(&[":0"]);
    let (first, ..) = talk.peer("a");
    assert!(talk.served.line("1 ").ends_with(" has come; 1 open"));
    let (second, ..) = talk.peer("b");
    assert!(talk.served.line("2 ").ends_with(" has come; 2 open"));
    drop(second);
    assert!(talk.served.line("2 ").ends_with(" has left (finished); 1 open"));
    drop(first);
    assert!(talk.served.line("1 ").contains(", to whom you talked, has left; nobody is chosen"));
    assert!(talk.served.line("1 ").ends_with(" has left (finished); 0 open"));
}

#[test]
fn each_line_of_the_log_is_an_object_if_that_is_asked_for() {
    let talk = Talk::start(&["unix:@socketserver-talk-json", "--log", "json"]);
    let (first, ..) = talk.peer("a");
    drop(first);
    let event = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].clone();
    while event(&talk.served.line("{")) != "close" {}
    let ended = talk.served.stop();
    let events: Vec<_> = ended.lines.iter().map(event).collect();
    assert_eq!(events, ["listening", "open", "note", "note", "close", "draining", "stopped"]);
}

#[test]
fn a_peer_can_write_neither_to_the_terminal_nor_in_the_name_of_another() {
    let talk = Talk::start(&[":0"]);
    let (mut client, _, label) = talk.peer("evil");
    client.say("\x1b[2J\x1b]0;title\x07\u{9b}31m\u{202e}abc\r\x08");
    let line = talk.shows();
    assert_eq!(line, format!("{label}\\u{{1b}}[2J\\u{{1b}}]0;title\\u{{7}}\\u{{9b}}31m\\u{{202e}}abc\\r\\u{{8}}"));
    client.say("hello\n[2 127.0.0.1:1] I am somebody else\n");
    assert_eq!(talk.shows(), format!("{label}hello"));
    assert_eq!(talk.shows(), format!("{label}[2 127.0.0.1:1] I am somebody else"));
    client.say(b"\xff\xfe");
    assert_eq!(talk.shows(), format!("{label}\u{fffd}\u{fffd}"));
    drop(client);
    assert_eq!(talk.served.stop().status, Some(0));
}

#[test]
fn raw_output_is_what_came() {
    let mut talk = Talk::start(&[":0", "--raw"]);
    let mut client = client(&talk.address);
    client.say("\x1b[2J\u{202e}\n");
    assert_eq!(talk.shows(), "\x1b[2J\u{202e}");
    talk.types("hi");
    client.expect("hi");
    drop(client);
    assert_eq!(talk.served.stop().status, Some(0));
}

#[test]
fn the_end_of_input_ends_nothing() {
    for model in MODELS {
        let mut talk = Talk::start(&[":0", "--model", model]);
        let (mut client, _, label) = talk.peer("before");
        talk.types("one");
        // The last line has no newline.
        talk.input.as_mut().unwrap().write_all(b"/quit?").unwrap();
        drop(talk.input.take());
        client.expect("one");
        talk.served.line("`/quit?` is no command");
        client.say("after");
        assert_eq!(talk.shows(), format!("{label}after"));
        talk.served.signal(Signal::INT);
        client.expect_end();
        talk.shows_nothing_more();
        let ended = talk.served.wait();
        assert_eq!(ended.status, Some(0), "{model} {:#?}", ended.lines);
        assert_eq!(ended.line("stopped"), "stopped served=1 cut=0");
    }
}

#[test]
fn what_was_said_before_the_end_is_shown() {
    for model in MODELS {
        let talk = Talk::start(&[":0", "--model", model]);
        let (mut client, _, label) = talk.peer("first");
        // Lines of one message: what it is cut into on the way makes no difference.
        let lines: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
        client.say(&lines);
        client.end();
        client.expect_end();
        talk.served.signal(Signal::TERM);
        let shown: String = talk.shown.iter().map(|line| line.strip_prefix(&label).unwrap().to_owned()).collect();
        assert_eq!(shown, lines.replace('\n', ""), "{model}");
        assert_eq!(talk.served.wait().status, Some(0), "{model}");
    }
}

/// A reader that takes nothing makes the peers wait, and no end.
#[test]
fn nobody_who_reads_is_an_end_and_a_slow_reader_is_none() {
    for model in MODELS {
        let mut command = command(&["serve", "talk", ":0", "--model", model, "--drain", "300ms"]);
        let (reader, writer) = std::io::pipe().unwrap();
        command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).process_group(0);
        let served = Served::adopt(command.spawn().unwrap());
        drop(command);
        let address = served.line("listening on ")["listening on ".len()..].to_owned();
        let mut flood = client(&address);
        let taken = flood.stuff();
        assert!(taken < 64 << 20, "{model}: {taken} bytes were taken");
        drop(reader);
        let ended = served.wait();
        assert_eq!(ended.status, Some(1), "{model} {:#?}", ended.lines);
        ended.line("socketserver: standard output: ");
    }
}

#[test]
fn a_second_signal_ends_it_though_nobody_reads() {
    for model in MODELS {
        let mut command = command(&["serve", "talk", ":0", "--model", model, "--drain", "60s"]);
        let (_reader, writer) = std::io::pipe().unwrap();
        command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).process_group(0);
        let served = Served::adopt(command.spawn().unwrap());
        let address = served.line("listening on ")["listening on ".len()..].to_owned();
        let mut flood = client(&address);
        flood.stuff();
        served.signal(Signal::INT);
        served.line("draining open=1 ");
        served.signal(Signal::INT);
        let ended = served.wait();
        assert_eq!(ended.status, Some(130), "{model} {:#?}", ended.lines);
    }
}

#[test]
fn what_cannot_be_is_refused_in_plain_words() {
    run(&["serve", "talk", ":0", "--model", "forks"], b"").failed(2, &["`--model forks`", "`threads`"]);
    run(&["serve", "echo", ":0", "--raw"], b"").failed(2, &["`--raw`", "`talk`"]);
}
