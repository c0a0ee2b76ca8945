//! Where commands may be asked for, and which files of commands are believed.

use super::stage::{Desk, ask, is_root, root};
use crate::harness::{Place, Served, client, command, run};
use rustix::fs::{Gid, Uid};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

/// `serve exec` with these arguments does not start, and says why in one line with these words.
#[track_caller]
fn refused(args: &[&str], words: &[&str]) {
    run(&[&["serve", "exec"], args].concat(), b"").failed(2, words);
}

#[test]
fn what_is_missing_is_named() {
    refused(&[":0"], &["`--commands FILE`"]);
    refused(&[":0", "--shell"], &["`--shell`", "`--wire int32`", "`--wire ready`", "native protocol"]);
    refused(&[":0", "--encoding", "gbk", "--commands", "x"], &["`--encoding`", "`--wire int32`"]);
    for flag in [["--token-file", "x"], ["--allow-user", "root"], ["--allow-san", "x"], ["--auth-failures", "5/m"]] {
        refused(&[":0", "--wire", "int32", "--shell", flag[0], flag[1]], &[flag[0], "without `--wire`"]);
        run(&["serve", "echo", ":0", flag[0], flag[1]], b"").failed(2, &[flag[0], "`serve exec` alone"]);
    }
    refused(&[":0", "--wire", "json"], &["`json`", "`int32`", "`ready`"]);
    refused(&[":0", "--wire", "int32"], &["`--commands FILE`", "`--shell`"]);
    refused(&[":0", "--wire", "int32", "--timeout", "soon"], &["`soon`", "`500ms`", "`off`"]);
    refused(&[":0", "--wire", "int32", "--output-limit", "1TiB"], &["`1TiB`", "`16MiB`"]);
    refused(&[":0", "--wire", "int32", "--max-commands", "0"], &["`0`", "`200`"]);
    for flag in [["--wire", "int32"], ["--encoding", "gbk"], ["--user", "nobody"], ["--timeout", "1s"]] {
        run(&["serve", "echo", ":0", flag[0], flag[1]], b"").failed(2, &[flag[0], "`serve exec` alone"]);
    }
    run(&["serve", "echo", ":0", "--shell"], b"").failed(2, &["`--shell`", "`serve exec` alone"]);
}

#[test]
fn places_that_others_reach_are_refused() {
    let others =
        ["0.0.0.0:0", "*:0", "[::]:0", "192.0.2.7:9000", "udp://127.0.0.1:0", "unix:@exec", "unixgram:/tmp/exec"];
    for place in others {
        refused(
            &[place, "--wire", "int32", "--shell"],
            &[
                &format!("`{}`", place.parse::<socketserver::Endpoint>().unwrap()),
                "authentication and TLS",
                "native protocol",
            ],
        );
        // One that is right does not make up for it.
        refused(&[":0", place, "--wire", "ready", "--shell"], &["authentication and TLS"]);
    }
    let place = Place::new();
    let wide = format!("{}?mode=660", place.address());
    refused(&[&wide, "--wire", "int32", "--shell"], &["mode=660", "others than its owner", "authentication and TLS"]);
    assert!(!place.path().exists());
}

#[test]
fn what_is_missing_beyond_the_loopback_is_named() {
    let desk = Desk::new("");
    let file = desk.token("0123456789abcdef0123456789abcdef");
    let refused = |address: &str, more: &[&str], words: &[&str], not: &[&str]| {
        let args = desk.native_args(address, more);
        let output = run(&args.iter().map(String::as_str).collect::<Vec<_>>(), b"");
        output.failed(2, words);
        for word in not {
            assert!(!output.stderr.contains(word), "`{word}` is in {}", output.stderr);
        }
    };
    let (proof, tls) = ("authentication (`--token-file FILE`", "TLS (`tls://…`)");
    for address in ["0.0.0.0:0", "*:0", "[::]:0", "192.0.2.7:9000"] {
        let named = format!("`{}`", address.parse::<socketserver::Endpoint>().unwrap());
        refused(address, &[], &[&named, proof, tls, "are missing"], &[]);
        refused(address, &["--token-file", &file], &[&named, tls, "is missing"], &[proof]);
        refused(&format!("tls://{address}"), &[], &[address, proof, "is missing"], &[tls]);
    }
    // Neither do packets, nor messages.
    for address in ["udp://127.0.0.1:0", "unixgram:/tmp/exec", "ws://127.0.0.1:0", "seqpacket:@exec"] {
        refused(address, &["--token-file", &file], &[address, "over streams"], &[]);
    }
    // Users are known by the kernel, and it knows none over TCP.
    refused("127.0.0.1:0", &["--allow-user", "root"], &["nobody could prove there who he is", "Unix sockets"], &[]);
    refused("127.0.0.1:0", &["--allow-user", "nobody-of-that-name"], &["`nobody-of-that-name`"], &[]);
}

#[test]
fn an_inherited_socket_is_judged_by_where_it_is() {
    let desk = Desk::new("");
    let start = |address: &str, mut args: Vec<String>| {
        let listener = std::net::TcpListener::bind(address).unwrap();
        args[2] = "fd:9".into();
        let mut shell = std::process::Command::new("sh");
        shell.arg("-c").arg("exec \"$0\" \"$@\" 9<&0").arg(env!("CARGO_BIN_EXE_socketserver")).args(&args);
        shell.stdin(std::os::fd::OwnedFd::from(listener)).stderr(std::process::Stdio::piped());
        shell.spawn().unwrap()
    };
    for (args, words) in [(desk.args(&[]), "authentication and TLS"), (desk.native_args("", &[]), "are missing")] {
        let output = start("0.0.0.0:0", args).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(words));
    }
    let served = Served::adopt(start("127.0.0.1:0", desk.args(&[])));
    let address = served.line("listening on ")["listening on ".len()..].to_owned();
    assert_eq!(ask(&mut client(&address), "sh 'ls /proc/self/fd | wc -l'"), "4\n");
}

#[test]
fn a_unix_socket_is_for_its_owner_alone() {
    let (desk, place) = (Desk::new(""), Place::new());
    let mut args = desk.args(&[]);
    args[2] = place.address();
    let served = Served::listening(command(&args.iter().map(String::as_str).collect::<Vec<_>>()), 1);
    let file = fs::symlink_metadata(place.path()).unwrap();
    assert_eq!((file.mode() & 0o7777, file.uid()), (0o600, rustix::process::geteuid().as_raw()));
    assert_eq!(ask(&mut client(&place.address()), "sh 'echo hello'"), "hello\n");
    assert_eq!(served.stop().status, Some(0));
    assert!(!place.path().exists());
}

#[test]
fn a_file_of_commands_that_others_could_have_written_is_refused() {
    let desk = Desk::new("");
    let start = |file: &str, words: &[&str]| {
        let user: &[&str] = if is_root() { &["--user", "nobody"] } else { &[] };
        refused(&[&[":0", "--wire", "int32", "--commands", file], user].concat(), &[&[file], words].concat());
    };
    let text = "[a]\nargv = ['/bin/true']";
    start(&desk.write("world", text, 0o602), &["mode 602", "`chmod go-w`"]);
    start(&desk.write("group", text, 0o660), &["mode 660", "`chmod go-w`"]);
    // Whoever may write a directory on the way could put another there.
    let (outer, inner) = (desk.path("outer"), desk.path("outer/inner"));
    fs::create_dir_all(&inner).unwrap();
    let right = desk.write("outer/inner/file", text, 0o600);
    let has_mode = |mode: u32| fs::set_permissions(&outer, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    let cure = format!("`chmod go-w {}`", outer.display());
    for mode in [0o777, 0o775] {
        has_mode(mode);
        start(&right, &["is in", &format!("mode {mode:o}"), &cure]);
        run(&["call", ":1", "x", "--token-file", &right], b"").failed(255, &[&right, &cure]);
    }
    has_mode(0o1777);
    run(&["call", ":1", "x", "--token-file", &desk.write("outer/inner/short", "x", 0o600)], b"")
        .failed(255, &["32 bytes"]);
    if is_root() {
        rustix::fs::chown(&outer, Some(Uid::from_raw(65534)), None).unwrap();
        start(&right, &["is in", "user 65534", "`chown`"]);
    }
    let right = desk.write("right", text, 0o644);
    symlink(&right, desk.path("link")).unwrap();
    start(desk.path("link").to_str().unwrap(), &["symbolic link", &right]);
    start(desk.path("nowhere").to_str().unwrap(), &["No such file"]);
    start(desk.path(".").to_str().unwrap(), &["not a file"]);
    start("/dev/zero", &["not a file"]);
    start(&desk.write("relative", "[a]\nargv = ['true']", 0o600), &["line 2", "`true`", "absolute"]);
    start(&desk.write("long", &"#".repeat(2 << 20), 0o600), &["1 MiB"]);
    let fifo = desk.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    start(fifo.to_str().unwrap(), &["not a file"]);
    if root() {
        let foreign = desk.write("foreign", text, 0o600);
        rustix::fs::chown(&foreign, Some(Uid::from_raw(65534)), Some(Gid::from_raw(65534))).unwrap();
        start(&foreign, &["user 65534", "`chown`"]);
    }
}
