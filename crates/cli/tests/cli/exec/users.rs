//! Whose privileges commands have.

use super::stage::{Desk, ask, is_root, root, shell};
use crate::harness::{Place, Served, client, command, run};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

#[test]
fn root_has_to_name_a_user_and_never_root_for_a_shell() {
    if !root() {
        return;
    }
    let desk = Desk::new("");
    let file = desk.path("commands.toml");
    let file = file.to_str().unwrap();
    for what in [&["--shell"][..], &["--commands", file]] {
        let start = [&["serve", "exec", ":0", "--wire", "int32"], what].concat();
        run(&start, b"").failed(2, &["as root", "`--user NAME`"]);
        run(&[&start[..], &["--user", "nobody-of-that-name"]].concat(), b"")
            .failed(2, &["`--user nobody-of-that-name`"]);
    }
    run(&["serve", "exec", ":0", "--wire", "int32", "--shell", "--user", "root"], b"")
        .failed(2, &["`--user root`", "`--shell`", "`--commands`"]);
}

#[test]
fn only_root_becomes_another_user() {
    let desk = Desk::new("");
    for (user, words) in [("root", "`--user root`"), ("daemon", "only root can become another user")] {
        let start = ["serve", "exec", ":0", "--wire", "int32", "--shell", "--user", user];
        let mut start = if is_root() { desk.command(65534, &start) } else { command(&start) };
        let output = start.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(words), "{said}");
    }
}

#[test]
fn privileges_are_gone_before_it_says_that_it_listens() {
    if !root() {
        return;
    }
    for model in crate::harness::MODELS {
        let served = shell(&["--model", model]);
        let status = fs::read_to_string(format!("/proc/{}/status", served.pid())).unwrap();
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        assert_eq!(line("Uid:").split_whitespace().collect::<Vec<_>>(), ["65534"; 4]);
        let gids = line("Gid:");
        assert_eq!(gids.split_whitespace().collect::<Vec<_>>(), ["65534"; 4]);
        assert!(!line("Groups:").split_whitespace().any(|group| group == "0"), "{status}");
        for set in ["CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(line(set), "0000000000000000");
        }
        let mut client = served.client();
        assert_eq!(ask(&mut client, "id -un; echo $HOME $USER"), "nobody\n/nonexistent nobody\n");
        assert!(ask(&mut client, "cat /etc/shadow").contains("Permission denied"));
        drop(client);
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn a_program_that_the_user_may_not_execute_is_told_of_at_the_start() {
    if !root() {
        return;
    }
    let desk = Desk::new("");
    let program = desk.path("program");
    // By another process: what is open for writing in this one while another test forks could not be executed.
    let copied = Command::new("install").args(["-m", "700", env!("CARGO_BIN_EXE_socketserver")]).arg(&program).status();
    assert!(copied.unwrap().success());
    let mut start = Command::new(program);
    start.args(["serve", "exec", ":0", "--wire", "int32", "--shell", "--user", "nobody"]).stdin(Stdio::null());
    let output = start.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("may not be executed by its user"), "{said}");
    assert!(!said.contains("listening on"), "{said}");
}

#[test]
fn a_unix_socket_becomes_the_users() {
    if !root() {
        return;
    }
    let place = Place::new();
    let address = place.address();
    let start = ["serve", "exec", &address, "--wire", "int32", "--shell", "--user", "nobody"];
    let served = Served::listening(command(&start), 1);
    let file = fs::symlink_metadata(place.path()).unwrap();
    assert_eq!((file.mode() & 0o7777, file.uid(), file.gid()), (0o600, 65534, 65534));
    // Nobody else can get in, so there is nothing to warn of.
    assert_eq!(ask(&mut client(&address), "id -un"), "nobody\n");
    assert!(served.stop().lines("warning").is_empty());
}

#[test]
fn a_shell_over_tcp_is_warned_of() {
    let served = shell(&[]);
    let ended = served.stop();
    assert!(ended.line("warning: ").contains("every user of this machine"));
    assert!(ended.lines[0].starts_with("warning: "), "before it listens");
    let desk = Desk::new("");
    assert!(desk.serve(&[]).stop().lines("warning").is_empty());
}
