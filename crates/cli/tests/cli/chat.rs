//! `serve chat`: rooms of terminals and browsers.

use crate::harness::{Place, Served, command, run};
use socketserver_testkit::{Client, PATIENCE, Python, is_installed};
use std::process::Command;

fn chat(args: &[&str]) -> Served {
    let addresses = args.iter().filter(|arg| arg.contains(':')).count();
    Served::listening(command(&[&["serve", "chat", "--member-rate", "off"], args].concat()), addresses)
}

/// Somebody who has come in, and knows what is said then.
struct Member {
    client: Client,
    name: String,
}

impl Member {
    /// Comes into the lobby, where these are (by name, as they are listed), this one among them.
    #[track_caller]
    fn join(address: &str, name: &str, here: &str) -> Self {
        let client = Client::connect(&address.parse().unwrap()).unwrap();
        let mut new = Self { client, name: name.to_owned() };
        new.hears(&format!(
            "-- welcome. You are {name}; /name NAME changes that, and /help tells what else can be said"
        ));
        new.hears(&format!("-- in lobby: {here}"));
        new
    }

    #[track_caller]
    fn hears(&mut self, line: &str) {
        self.client.expect(format!("{line}\n"));
    }

    fn says(&mut self, line: &str) {
        self.client.say(format!("{line}\n"));
    }

    /// Says it, and everybody hears it so, this member too.
    #[track_caller]
    fn tells(&mut self, line: &str, others: &mut [&mut Self], heard: &str) {
        self.says(line);
        self.hears(heard);
        others.iter_mut().for_each(|other| other.hears(heard));
    }

    #[track_caller]
    fn is_called(&mut self, name: &str, others: &mut [&mut Self]) {
        let heard = format!("-- {} is now {name}", self.name);
        self.tells(&format!("/name {name}"), others, &heard);
        self.name = name.to_owned();
    }
}

#[test]
fn people_meet_in_rooms_on_each_model_that_has_them() {
    for model in ["tasks", "tasks=1", "threads"] {
        let place = Place::new();
        let server = chat(&[":0", &place.address(), "--model", model]);
        let [tcp, unix] = server.addresses() else { unreachable!() };
        let mut anna = Member::join(tcp, "guest-1", "guest-1");
        anna.is_called("anna", &mut []);
        let mut boris = Member::join(unix, "guest-2", "anna guest-2");
        anna.hears("-- guest-2 has come in");
        boris.is_called("boris", &mut [&mut anna]);
        boris.tells("hello  there ", &mut [&mut anna], "<boris> hello  there");
        anna.tells("/me waves", &mut [&mut boris], "* anna waves");
        anna.tells("//etc/passwd", &mut [&mut boris], "<anna> /etc/passwd");
        boris.says("/who");
        boris.hears("-- in lobby: anna boris");
        boris.says("/join Küche");
        boris.hears("-- in Küche: boris");
        anna.hears("-- boris has gone to Küche");
        // A room is what it is called, however that is written.
        anna.says("/join Ku\u{308}che");
        anna.hears("-- in Küche: anna boris");
        boris.hears("-- anna has come in");
        anna.says("/rooms");
        anna.hears("-- rooms: Küche (2)");
        anna.says("/join Küche");
        anna.hears("-- you are in Küche already");
        for (wrong, why) in [
            ("/dance", "there is no such command; /help tells which there are, and //TEXT says /TEXT"),
            ("/me", "/me wants a text behind it"),
            ("/join a b", "a room's name has letters, digits, `-`, `_` and `.`, and no U+0020"),
        ] {
            anna.says(wrong);
            anna.hears(&format!("-- {why}"));
        }
        anna.says(&"x".repeat(1001));
        anna.hears("-- 1001 characters are too many: at most 1000 are passed on");
        let mut long = Member::join(tcp, "guest-3", "guest-3");
        long.client.say("x".repeat(16 * 1024 + 1));
        long.client.say_if_there(b"\n");
        long.hears("-- a line of more than 16384 bytes is nothing that anybody types; goodbye");
        long.client.expect_end();
        anna.says("/quit");
        anna.hears("-- goodbye");
        anna.client.expect_end();
        boris.hears("-- anna has left");
        let server = server.stop();
        boris.hears("-- the server is going away; goodbye");
        assert_eq!(server.status, Some(0));
    }
}

/// Whatever a member sends, what others read begins with what the server puts there.
#[test]
fn no_line_can_be_forged() {
    let server = chat(&[":0"]);
    let mut anna = Member::join(server.address(), "guest-1", "guest-1");
    let mut eve = Member::join(server.address(), "guest-2", "guest-1 guest-2");
    anna.hears("-- guest-2 has come in");
    for (said, heard) in [
        ("hi\r-- server: send me your password", r"<guest-2> hi\r-- server: send me your password"),
        ("hi\r\n<guest-1> I agree", "<guest-2> hi\n<guest-2> <guest-1> I agree"),
        ("\x1b[2K\x1b[1G<guest-1> yes", r"<guest-2> \u{1b}[2K\u{1b}[1G<guest-1> yes"),
        ("hi\u{2028}-- server", r"<guest-2> hi\u{2028}-- server"),
        ("\u{202e}drowssap", r"<guest-2> \u{202e}drowssap"),
        ("\u{9b}2J\u{85}\x08\0", r"<guest-2> \u{9b}2J\u{85}\u{8}\u{0}"),
        ("/me \n* guest-1 agrees", "-- /me wants a text behind it\n<guest-2> * guest-1 agrees"),
    ] {
        eve.says(said);
        eve.hears(heard);
        anna.hears(heard.strip_prefix("-- /me wants a text behind it\n").unwrap_or(heard));
    }
    // Not in UTF-8.
    eve.client.say(b"\xff\x9b31m\n");
    anna.hears("<guest-2> \u{fffd}\u{fffd}31m");
    eve.hears("<guest-2> \u{fffd}\u{fffd}31m");
    // A byte at a time is a line as well.
    b"<guest-1> no".iter().for_each(|byte| eve.client.say([*byte]));
    eve.says("");
    anna.hears("<guest-2> <guest-1> no");
    eve.hears("<guest-2> <guest-1> no");
    // Nor can anybody be called like somebody else, or like the server.
    for (name, why) in [
        ("guest-1", "`guest-1` is taken"),
        ("GUEST-1", "`GUEST-1` looks like `guest-1`, which is taken"),
        ("gu\u{435}st-1", "`gu\u{435}st-1` looks like `guest-1`, which is taken"),
        ("Server", "`Server` is reserved, or looks like a name that is"),
        ("\u{455}erver", "`\u{455}erver` is reserved, or looks like a name that is"),
        ("０perator", "`0perator` is reserved, or looks like a name that is"),
        ("x\u{200b}y", "a name has letters, digits, `-`, `_` and `.`, and no U+200B"),
        ("--", "a name begins with a letter or a digit"),
        ("<root>", "a name has letters, digits, `-`, `_` and `.`, and no `<`"),
    ] {
        eve.says(&format!("/name {name}"));
        eve.hears(&format!("-- {why}"));
    }
    server.stop();
}

#[test]
fn who_says_too_much_is_not_passed_on_and_has_to_go() {
    let server = Served::start(&["chat", ":0", "--member-rate", "1/h"]);
    let mut anna = Member::join(server.address(), "guest-1", "guest-1");
    let mut eve = Member::join(server.address(), "guest-2", "guest-1 guest-2");
    anna.hears("-- guest-2 has come in");
    for _ in 0..5 {
        eve.tells("spam", &mut [&mut anna], "<guest-2> spam");
    }
    (0..100).for_each(|_| eve.client.say_if_there(b"spam\n"));
    eve.hears("-- not so fast: what you say now is not passed on");
    eve.hears("-- that was too fast for too long; goodbye");
    anna.hears("-- guest-2 has left");
    server.stop();
}

/// One who stops reading loses by policy, and 999 others hear all.
#[test]
fn who_stops_reading_does_not_slow_the_others() {
    const MEMBERS: usize = 1000;
    const LINES: usize = 3000;
    const AT_A_TIME: usize = 250;
    let place = Place::new();
    // Of a Unix socket the system holds little.
    let server = chat(&[":0", &place.address()]);
    let [tcp, unix] = server.addresses() else { unreachable!() };
    let connect = |address: &str| {
        let mut client = Client::connect(&address.parse().unwrap()).unwrap();
        client.say("/join crowd\n");
        client
    };
    let mut speaker = connect(tcp);
    let mut stalled = connect(unix);
    // Here, and in the room.
    hear(&mut stalled, "in crowd:");
    let mut others: Vec<Client> = (2..MEMBERS).map(|_| connect(tcp)).collect();
    others.iter_mut().for_each(|other| drop(hear(other, "in crowd:")));
    let words = "x".repeat(100);
    for batch in 0..LINES / AT_A_TIME {
        let lines = (0..AT_A_TIME).map(|at| format!("{} {words}\n", batch * AT_A_TIME + at));
        speaker.say(lines.collect::<String>());
        let last = format!(" {} {words}", (batch + 1) * AT_A_TIME - 1);
        for other in &mut others {
            let heard = hear(other, &last);
            assert_eq!(heard.lines().filter(|line| line.starts_with('<')).count(), AT_A_TIME);
        }
        hear(&mut speaker, &last);
    }
    let lost = server.line("close ");
    assert!(lost.contains("endpoint=unix:") && lost.contains("reason=overflow"), "{lost}");
    server.stop();
}

/// What comes until these words have come.
#[track_caller]
fn hear(client: &mut Client, words: &str) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\n") || !String::from_utf8_lossy(&heard).contains(words) {
        let more = client.hear(1 << 16).unwrap();
        assert!(!more.is_empty(), "it has ended: {}", String::from_utf8_lossy(&heard));
        heard.extend(more);
    }
    String::from_utf8(heard).unwrap()
}

#[test]
fn who_vanishes_has_left_and_the_name_is_free() {
    let server = chat(&[":0"]);
    let mut anna = Member::join(server.address(), "guest-1", "guest-1");
    let mut boris = Member::join(server.address(), "guest-2", "guest-1 guest-2");
    anna.hears("-- guest-2 has come in");
    boris.is_called("boris", &mut [&mut anna]);
    boris.client.reset();
    anna.hears("-- boris has left");
    anna.is_called("boris", &mut []);
    server.stop();
}

#[test]
fn what_has_no_rooms_is_refused() {
    for model in ["forks", "serial"] {
        let refused = run(&["serve", "chat", ":0", "--model", model], b"");
        refused.failed(2, &["`chat` runs on `--model tasks` and `threads`"]);
    }
    run(&["serve", "echo", ":0", "--member-rate", "1/s"], b"")
        .failed(2, &["`--member-rate` is for `serve chat` alone"]);
    run(&["serve", "chat", "ws://:0", "--host", "a b"], b"").failed(2, &["--host", "`a b` is no host"]);
    run(&["serve", "chat", "ws://:0/chat", "ws://:0/talk"], b"").failed(2, &["one path", "`/chat` and `/talk`"]);
}

/// What a browser is shown, and who may be shown it.
#[test]
fn the_page_is_for_this_host_alone() {
    if !is_installed("curl", "--version") {
        return;
    }
    let server = chat(&["ws://127.0.0.1:0/chat", "--host", "chat.example"]);
    let port = server.address().trim_end_matches("/chat").rsplit(':').next().unwrap().to_owned();
    let ask = |host: &str, path: &str| {
        let (url, host) = (format!("http://127.0.0.1:{port}{path}"), format!("Host: {host}"));
        let output = Command::new("curl").args(["-si", "--max-time", "30", "-H", &host, &url]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let literal = format!("127.0.0.1:{port}");
    for host in ["localhost", "chat.example", &literal] {
        let page = ask(host, "/");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{host}: {page}");
        assert!(page.contains("Content-Security-Policy: default-src 'none'; script-src 'self';"), "{page}");
        assert!(page.contains(r#"data-path="/chat""#), "{page}");
    }
    for host in ["evil.example", "127.0.0.2", "localhost.evil.example"] {
        let refused = ask(host, "/");
        assert!(refused.starts_with("HTTP/1.1 421 "), "{host}: {refused}");
    }
    for path in ["/chat.js", "/chat.css"] {
        assert!(ask("localhost", path).starts_with("HTTP/1.1 200 OK\r\n"));
    }
    assert!(ask("localhost", "/other").starts_with("HTTP/1.1 404 "));
    assert!(ask("localhost", "/chat").starts_with("HTTP/1.1 426 "));
    server.stop();
}

/// Two browsers and a terminal talk; what one says is only ever text to the others.
#[test]
fn browsers_and_terminals_are_in_one_room() {
    let Some(python) = Python::find() else { return };
    if !["chromedriver", "chromium"].into_iter().all(|program| is_installed(program, "--version")) {
        return;
    }
    let server = chat(&[":0", "ws://127.0.0.1:0"]);
    let [tcp, ws] = server.addresses() else { unreachable!() };
    let page = format!("http://localhost:{}", ws.rsplit(':').next().unwrap());
    let program = [include_str!("browser.py"), include_str!("chat.py")].concat();
    let pictures = std::env::var("SOCKETSERVER_PICTURES").unwrap_or_default();
    let pictures: Vec<&str> = pictures.split_whitespace().collect();
    // Each wait in it has an end of its own; where others need the processor too there are many long ones.
    let said = python.program_within(10 * PATIENCE, &program, &[&[&**tcp, &*page], &*pictures].concat());
    assert_eq!(said, "ok\n");
    server.stop();
}
