//! However it ends, nothing of a command is left.

use super::stage::{Desk, ask, result};
use crate::harness::{LONG, MODELS, PARALLEL, Place, Served, command};
use rustix::process::Signal;
use socketserver_testkit::Client;

/// A family: children, one that loses its parent, one in a session of its own, one that does not hear TERM.
const FAMILY: &str = "sh 'sleep 1000 & (sleep 1000 &); setsid sh -c \"sleep 1000 & sleep 1000\" & (setsid sh -c \"trap \\\"\\\" TERM; sleep 1000; sleep 1000\" &); echo started; sleep 1000'";
const MEMBERS: usize = 8;

/// A client whose command has started its family.
#[track_caller]
fn asks(desk: &Desk, served: &Served) -> Client {
    let mut client = served.client();
    client.say(FAMILY);
    desk.has_processes(MEMBERS);
    client
}

/// One leaves: that is told, and the family is gone.
#[track_caller]
fn leaves(desk: &Desk, served: &Served) {
    drop(asks(desk, served));
    assert!(served.line("exec ").contains("status=disconnected"));
    desk.is_empty();
}

/// On each model a client asks for a command before the server drains. It is to hear of its end, which is `done`.
#[track_caller]
fn may_finish(wire: &str, hears: impl Fn(&mut Client)) {
    let desk = Desk::new("");
    for model in MODELS {
        let served = desk.serve(&["--model", model, "--wire", wire, "--drain", LONG]);
        let mut client = served.client();
        client.say(format!("sh 'while [ ! -e {model} ]; do sleep 0.01; done; echo done'"));
        desk.has_processes(1);
        served.signal(Signal::TERM);
        served.line("draining");
        desk.write(model, "", 0o600);
        hears(&mut client);
        client.expect_gone();
        assert_eq!(served.wait().status, Some(0));
    }
}

#[test]
fn who_leaves_ends_the_command_with_all_that_it_started() {
    let desk = Desk::new("");
    for model in MODELS {
        let served = desk.serve(&["--model", model]);
        leaves(&desk, &served);

        let mut resets = asks(&desk, &served);
        // Requests that wait do not hide it.
        resets.say("sh true");
        resets.reset();
        desk.is_empty();

        // So does who says that it sends nothing more.
        let mut ends = served.client();
        ends.say("sh 'sleep 1000'");
        desk.has_processes(1);
        ends.end();
        ends.expect_gone();
        desk.is_empty();
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn who_leaves_a_unix_socket_ends_the_command_too() {
    let desk = Desk::new("");
    let place = Place::new();
    for model in MODELS {
        let mut args = desk.args(&["--model", model]);
        args[2] = place.address();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let served = Served::listening(command(&args), 1);
        leaves(&desk, &served);
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    let desk = Desk::new("");
    let served = desk.serve(&[]);
    let mut client = served.client();
    let said = ask(&mut client, "sh 'sleep 1000 & (setsid sleep 1000 > /dev/null 2>&1 &) ; echo here'");
    assert_eq!(said, "here\n");
    desk.is_empty();
    // It is asked first: who hears TERM can put things in order.
    desk.write("tidy", "trap 'echo in order; exit' TERM\nsleep 1000 &\ntouch ready\nwait\n", 0o600);
    let said = ask(&mut client, "sh 'sh tidy 2>/dev/null & while [ ! -e ready ]; do sleep 0.01; done'");
    assert_eq!(said, "in order\n");
}

#[test]
fn forks_without_end_come_to_one() {
    let desk = Desk::new("");
    // Each starts the next and ends: whoever looks for it finds one that has ended already.
    let chain = "#!/bin/sh\ntrap '' TERM\n[ -e go ] || exit\n\"$0\" & exit\n";
    let fan = "#!/bin/sh\ntrap '' TERM\nwhile [ -e go ]; do sleep 1000 & done\n";
    desk.write("chain", chain, 0o755);
    desk.write("fan", fan, 0o755);
    for shape in [
        "./chain; sleep 1000",
        "(setsid ./chain &); (setsid ./chain &); sleep 1000",
        "./chain",
        "timeout 0.3 ./fan; ./chain",
    ] {
        let served = desk.serve(&["--timeout", "500ms"]);
        desk.write("go", "", 0o600);
        let mut client = served.client();
        ask(&mut client, &format!("sh '{shape}'"));
        desk.is_empty();
        drop(client);
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn a_drain_lets_a_command_finish() {
    may_finish("int32", |client| assert_eq!(result(client), "done\n"));
}

#[test]
fn a_drain_lets_a_client_say_that_it_is_ready() {
    may_finish("ready", |client| {
        client.expect("5");
        client.say("ready");
        client.expect("done\n");
    });
}

#[test]
fn at_the_deadline_of_the_drain_it_is_ended_and_nothing_is_left() {
    let desk = Desk::new("");
    for model in MODELS {
        let served = desk.serve(&["--model", model, "--drain", "100ms"]);
        let mut client = asks(&desk, &served);
        let ended = served.stop();
        // Not later: the server itself sees to it.
        assert_eq!(desk.processes(), Vec::<u32>::new(), "{model}");
        assert_eq!(ended.status, Some(1), "{:#?}", ended.lines);
        if model == "tasks" {
            assert!(ended.line("exec ").contains("status=cut"));
        }
        client.expect_gone();
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let desk = Desk::new("");
    for model in PARALLEL {
        let served = desk.serve(&["--model", model, "--drain", LONG]);
        let _stays = asks(&desk, &served);
        served.signal(Signal::INT);
        served.line("draining");
        served.signal(Signal::INT);
        assert_eq!(served.wait().status, Some(130));
        desk.is_empty();
    }
}

#[test]
fn a_killed_server_takes_its_commands_along() {
    let desk = Desk::new("");
    for model in MODELS {
        let served = desk.serve(&["--model", model]);
        let _stays = asks(&desk, &served);
        served.signal(Signal::KILL);
        desk.is_empty();
    }
}

#[test]
fn a_lifetime_ends_a_command() {
    let desk = Desk::new("");
    for model in MODELS {
        let served = desk.serve(&["--model", model, "--lifetime", "500ms"]);
        let mut client = served.client();
        client.say("sh 'sleep 1000'");
        desk.has_processes(1);
        client.expect_gone();
        assert!(served.line("exec ").contains("status=cut"));
        desk.is_empty();
    }
}

#[test]
fn a_signal_to_the_group_of_the_server_is_not_for_its_commands() {
    let desk = Desk::new("");
    let served = desk.serve(&["--drain", LONG]);
    let mut client = served.client();
    client.say("sh 'touch runs; while [ ! -e go ]; do sleep 0.01; done; echo done'");
    desk.has_processes(1);
    served.signal_group(Signal::INT);
    served.line("draining");
    desk.write("go", "", 0o600);
    assert_eq!(result(&mut client), "done\n");
    assert_eq!(served.wait().status, Some(0));
}

#[test]
fn servers_and_clients_end_their_own_alone() {
    let (one, other) = (Desk::new(""), Desk::new(""));
    let servers = [one.serve(&[]), one.serve(&[]), other.serve(&[])];
    let wait = "sh 'while [ ! -e go ]; do sleep 0.01; done; echo done'";
    let mut stay: Vec<Client> = servers.iter().map(Served::client).collect();
    stay.iter_mut().for_each(|client| client.say(wait));
    one.has_processes(2);
    other.has_processes(1);
    // A client of the first leaves, and the second is killed.
    let mut leaves = servers[0].client();
    leaves.say("sh 'touch left; sleep 1000'");
    one.has_processes(4);
    drop(leaves);
    assert!(servers[0].line("exec ").contains("disconnected"));
    servers[1].signal(Signal::KILL);
    stay[1].expect_gone();
    for desk in [&one, &other] {
        desk.write("go", "", 0o600);
    }
    assert_eq!(result(&mut stay[0]), "done\n");
    assert_eq!(result(&mut stay[2]), "done\n");
}

#[test]
fn a_stopped_command_is_ended_too() {
    let desk = Desk::new("");
    let served = desk.serve(&["--timeout", "300ms"]);
    assert_eq!(ask(&mut served.client(), "sh 'kill -STOP $$'"), "[timed out after 300 ms; killed]\n");
    desk.is_empty();
}

#[test]
fn whoever_kills_its_supervisor_dies_with_it_and_the_client_is_told() {
    let desk = Desk::new("");
    let served = desk.serve(&[]);
    let mut client = served.client();
    let said = ask(&mut client, "sh 'kill -KILL $PPID; while :; do :; done'");
    assert_eq!(said, "[what became of the command is not known: its supervisor was killed]\n");
    assert!(served.line("exec ").contains("status=lost"));
    desk.is_empty();
    assert_eq!(ask(&mut client, "sh 'echo hello'"), "hello\n");
}

#[test]
fn whoever_stops_its_supervisor_is_ended_all_the_same() {
    let desk = Desk::new("");
    for model in MODELS {
        let served = desk.serve(&["--model", model, "--timeout", "500ms"]);
        let mut client = served.client();
        let stops = "sh 'sleep 1000 & kill -STOP $PPID; echo stopped; sleep 1000'";
        assert_eq!(ask(&mut client, stops), "stopped\n[timed out after 500 ms; killed]\n");
        desk.is_empty();
        client.say(stops);
        desk.has_processes(3);
        drop(client);
        desk.is_empty();
        assert_eq!(served.stop().status, Some(0));
    }
}
