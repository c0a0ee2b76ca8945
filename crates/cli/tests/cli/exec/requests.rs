//! What is a request, and what a command is given of this machine.

use super::stage::{Desk, ask, is_root, shell};
use crate::harness::Served;
use socketserver_testkit::is_installed;
use std::process::Command;

#[test]
fn what_is_no_request_ends_the_connection_and_runs_nothing() {
    let desk = Desk::new("");
    let served = desk.serve(&[]);
    let touch = format!("sh 'touch {}'", desk.path("touched").display());
    let long = format!("{touch}{}", " ".repeat(4097 - touch.len()));
    for wrong in [
        format!("{touch}\n"),
        format!("{touch}\r"),
        format!("{touch}\0"),
        format!("true\n{touch}"),
        format!("GET / HTTP/1.1\r\n\r\n{touch}"),
        format!("POST {touch}"),
        "POST / HTTP/1.1".into(),
        "\n".into(),
        long.clone(),
    ] {
        let mut client = served.client();
        client.say(&wrong);
        // Neither is what comes after it.
        client.say_if_there(&touch);
        assert_eq!(client.hear_all().unwrap_or_default(), b"", "{wrong:?}");
        assert!(served.line("exec ").contains("status=rejected"));
    }
    assert!(!desk.path("touched").exists());
    // As long as may be.
    assert_eq!(ask(&mut served.client(), &long[..4096]), "");
    assert!(desk.path("touched").exists());
}

#[test]
fn a_browser_runs_nothing() {
    if !is_installed("curl", "--version") {
        return;
    }
    for wire in ["int32", "ready"] {
        let served = shell(&["--wire", wire]);
        let url = served.address().replace("tcp:", "http:");
        for request in
            [&["-d", "id"][..], &["-X", "id"], &["-X", "PUT", "-d", "id"], &["-I"], &["--http2-prior-knowledge"]]
        {
            let curl = Command::new("curl")
                .args(["-sS", "--max-time", "20", "--noproxy", "*"])
                .args(request)
                .arg(&url)
                .output()
                .unwrap();
            assert!(!curl.status.success() && curl.stdout.is_empty(), "{curl:?}");
            assert!(served.line("exec ").contains("status=rejected"));
        }
        let ended = served.stop();
        assert!(ended.lines("exec ").iter().all(|line| line.contains("rejected")), "{:#?}", ended.lines);
    }
}

#[test]
fn arguments_are_as_the_patterns_say_and_are_never_options() {
    let desk = Desk::new(
        "[log]\nargv = ['/bin/echo', '--']\narguments = ['[a-z]*\\.?log', '.*']\n[any]\nargv = ['/bin/echo']\narguments = ['-(?:n|e)', '.+']\n",
    );
    let served = desk.serve(&[]);
    let mut client = served.client();
    assert_eq!(ask(&mut client, "log web.log ''"), "-- web.log \n");
    assert_eq!(ask(&mut client, "log log '日志 *'"), "-- log 日志 *\n");
    assert_eq!(ask(&mut client, "any -n x"), "x");
    for (wrong, why) in [
        ("log web.log -x", "argument 2 of `log`, `-x`, is not as `.*` says\n"),
        ("log '' x", "argument 1 of `log`, ``, is not as"),
        ("log ../web.log x", "argument 1 of `log`"),
        ("log 'web.log ' x", "argument 1 of `log`"),
        ("log web.log", "`log` takes 2 arguments, and 1 were given\n"),
        ("log web.log a b", "`log` takes 2 arguments, and 3 were given\n"),
        ("any -l x", "argument 1 of `any`"),
        ("any -n ''", "argument 2 of `any`"),
        ("any '-n' '-n'", "argument 2 of `any`"),
        ("/bin/echo x y", "unknown command `/bin/echo`; known: any, log, sh\n"),
        ("log 'x", "a quotation in the request has no end\n"),
        (" ", "no command was given; known: any, log, sh\n"),
    ] {
        let said = ask(&mut client, wrong);
        assert!(said.starts_with(why), "{wrong}: {said}");
        assert!(served.line("exec ").contains("status="));
    }
}

#[test]
fn a_command_is_given_nothing_of_the_servers() {
    let desk = Desk::new("[env]\nargv = ['/usr/bin/env']\nenvironment = { LANG = 'C', OWN = 'a b' }\n");
    let args = desk.args(&[]);
    // Descriptors and variables of whoever started it, and a signal that is ignored.
    let mut command = crate::harness::after(
        "SECRET=x; export SECRET; trap '' HUP USR1; umask 077; exec 7</dev/null 8>/dev/null",
        &args.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    command.env("LD_LIBRARY_PATH", "/nowhere");
    let served = Served::listening(command, 1);
    let mut client = served.client();
    let said = ask(&mut client, "env");
    let mut variables: Vec<&str> = said.lines().filter(|line| !line.starts_with("HOME=")).collect();
    variables.retain(|line| !line.starts_with("USER=") && !line.starts_with("LOGNAME="));
    variables.sort_unstable();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(variables, ["LANG=C", "OWN=a b", path, "SHELL=/bin/sh"]);
    if is_root() {
        assert!(said.contains("HOME=/root\n") && said.contains("USER=root\n"), "{said}");
    }
    assert_eq!(
        ask(&mut client, "sh 'cat; readlink /proc/self/fd/0; ls /proc/self/fd | tr -d \"\\n\"; umask; pwd'"),
        format!("/dev/null\n01230022\n{}\n", desk.path("").display().to_string().trim_end_matches('/'))
    );
    let said = ask(&mut client, "sh 'exec cat /proc/self/stat /proc/self/status'");
    let stat: Vec<&str> = said.split(' ').collect();
    assert_eq!((stat[0], stat[0]), (stat[4], stat[5]), "it leads its group and its session");
    let line = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    assert_eq!(line("SigBlk:"), "0000000000000000");
    // But for the two of the C library.
    let ignored = u64::from_str_radix(line("SigIgn:"), 16).unwrap();
    assert_eq!(ignored & !0x1_8000_0000, 0, "{ignored:x}");
}

#[test]
fn whoever_starts_it_may_ignore_the_ends_of_children() {
    let desk = Desk::new("");
    let args = desk.args(&["--timeout", "off"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    // Not by `trap`: some shells never ignore this one.
    let served = Served::listening(crate::harness::after("exec env --ignore-signal=CHLD \"$0\" \"$@\"", &args), 1);
    let mut client = served.client();
    assert_eq!(ask(&mut client, "sh 'echo hello; exit 3'"), "hello\n");
    assert!(served.line("exec ").contains("status=exited detail=3"));
    client.say("sh 'sleep 1000 & sleep 1000'");
    desk.has_processes(2);
    drop(client);
    desk.is_empty();
    assert_eq!(served.stop().status, Some(0));
}
