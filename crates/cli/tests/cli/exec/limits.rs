//! What a command may take, and what the client is told of that.

use super::stage::{Desk, ask, result, shell};
use crate::harness::{MODELS, PARALLEL, Served};
use socketserver_testkit::{Client, Process};

#[test]
fn output_beyond_the_limit_is_cut_and_said_so() {
    let more = "[little]\nargv = ['/bin/sh', '-c', 'seq 1000']\noutput-limit = '10'\n";
    let desk = Desk::new(more);
    for model in MODELS {
        let served = desk.serve(&["--model", model, "--output-limit", "64KiB"]);
        let mut client = served.client();
        let said = ask(&mut client, "sh 'head -c 1G /dev/zero'");
        let zeroes = said.trim_start_matches('\0');
        assert_eq!((said.len() - zeroes.len(), zeroes), (65_536, "\n[output cut at 64 KiB]\n"));
        assert_eq!(ask(&mut client, "sh yes").lines().last(), Some("[output cut at 64 KiB]"));
        assert_eq!(ask(&mut client, "little"), "1\n2\n3\n4\n5\n[output cut at 10 bytes]\n");
        // Standard error counts too, and as much as the limit is not too much.
        let said = ask(&mut client, "sh 'head -c 60k /dev/zero; head -c 60k /dev/zero >&2'");
        assert!(said.ends_with("\n[output cut at 64 KiB]\n"), "{}", said.len());
        assert_eq!(ask(&mut client, "sh 'head -c 64K /dev/zero'").len(), 65_536);
        assert!(served.line("exec ").contains("output-cut=true"));
    }
}

#[test]
fn a_gibibyte_costs_no_more_memory_than_the_limit() {
    let desk = Desk::new("");
    let served = desk.serve(&[]);
    let mut client = served.client();
    let said = ask(&mut client, "sh 'head -c 1G /dev/zero'");
    assert_eq!(said.len(), (16 << 20) + "\n[output cut at 16 MiB]\n".len());
    assert!(served.process().resident() < 160 << 20, "{}", served.process().resident());
}

#[test]
fn a_command_that_takes_too_long_is_ended_and_the_client_told() {
    let desk = Desk::new("[slow]\nargv = ['/bin/sleep', '1000']\ntimeout = '100ms'\n");
    for model in MODELS {
        let served = desk.serve(&["--model", model, "--timeout", "1s"]);
        let mut client = served.client();
        assert_eq!(ask(&mut client, "slow"), "[timed out after 100 ms; killed]\n");
        assert_eq!(ask(&mut client, "sh 'printf half; sleep 1000'"), "half\n[timed out after 1 s; killed]\n");
        // It ignores TERM, and so do those that it started.
        assert_eq!(
            ask(&mut client, "sh 'trap \"\" TERM; sleep 1000 & sleep 1000; sleep 1000'"),
            "[timed out after 1 s; killed]\n"
        );
        desk.is_empty();
        assert!(served.line("exec ").contains("status=timed-out bytes=33"));
        drop(client);
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn a_command_is_over_when_it_ends_and_not_when_it_closes_its_output() {
    let desk = Desk::new("");
    let served = desk.serve(&[]);
    let mut client = served.client();
    let file = desk.path("later");
    let command = format!("sh 'echo now; exec >&- 2>&-; sleep 0.3; touch {}'", file.display());
    assert_eq!(ask(&mut client, &command), "now\n");
    assert!(file.exists());
    // Standard input has its end at once.
    assert_eq!(ask(&mut client, "sh 'cat; echo $?'"), "0\n");
}

#[test]
fn so_many_run_at_a_time() {
    let desk = Desk::new("");
    for model in PARALLEL.into_iter().filter(|model| *model != "forks") {
        let served = desk.serve(&["--model", model, "--max-commands", "2"]);
        let mut first: [Client; 2] = [served.client(), served.client()];
        for (at, client) in first.iter_mut().enumerate() {
            client.say(format!("sh 'touch {model}{at}; while [ ! -e {model} ]; do sleep 0.01; done; echo done'"));
            Process::me().settles("it runs", |_| desk.path(&format!("{model}{at}")).exists());
        }
        let mut late = served.client();
        assert!(ask(&mut late, "sh true").contains("2 commands run already"));
        desk.write(model, "", 0o600);
        for client in &mut first {
            assert_eq!(result(client), "done\n");
        }
        assert_eq!(ask(&mut late, "sh 'echo hello'"), "hello\n");
    }
}

#[test]
fn a_long_result_that_nobody_takes_has_the_place_of_its_command() {
    let desk = Desk::new("");
    for model in PARALLEL.into_iter().filter(|model| *model != "forks") {
        let served = desk.serve(&["--model", model, "--wire", "ready", "--max-commands", "1"]);
        let (mut slow, mut other) = (served.client(), served.client());
        // A short one does not.
        slow.say("sh 'echo hello'");
        slow.expect("6");
        other.say("sh 'echo there'");
        other.expect("6");
        for client in [&mut slow, &mut other] {
            client.say("ready");
        }
        slow.expect("hello\n");
        other.expect("there\n");
        slow.say("sh 'head -c 100000 /dev/zero'");
        slow.expect("100000");
        let said = "the command could not be run: 1 commands run already; try again later\n";
        other.say("sh 'echo there'");
        other.expect(said.len().to_string());
        other.say("ready");
        other.expect(said);
        slow.say("ready");
        slow.expect(vec![0; 100_000]);
        // Its place is free a moment after the last byte has left, so whoever asks on the same connection has it.
        slow.say("sh 'echo hello'");
        slow.expect("6");
    }
}

#[test]
fn what_cannot_be_run_is_told() {
    let desk = Desk::new("[gone]\nargv = ['/bin/true']\n");
    let script = desk.write("script", "#!/no/such/interpreter\n", 0o755);
    desk.write("commands.toml", &format!("[gone]\nargv = ['{script}']\n"), 0o600);
    let served = desk.serve(&[]);
    let mut client = served.client();
    assert!(ask(&mut client, "gone").starts_with(&format!("cannot run `{script}`: No such file")));
    assert!(served.line("exec ").contains("status=not-started detail=2"));
}

#[test]
fn without_descriptors_a_command_is_refused_and_the_server_lives() {
    let desk = Desk::new("");
    let args = desk.args(&["--model", "tasks=1"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let served = Served::listening(crate::harness::after("ulimit -n 48", &args), 1);
    let mut clients: Vec<Client> = (0..4).map(|_| served.client()).collect();
    let hold = "sh 'while [ ! -e go ]; do sleep 0.01; done; echo done'";
    clients.iter_mut().for_each(|client| client.say(hold));
    // Not all of them have room; who has none is told.
    desk.has_processes(1);
    desk.write("go", "", 0o600);
    let said: Vec<String> = clients.iter_mut().map(result).collect();
    assert!(said.iter().any(|said| said == "done\n"), "{said:?}");
    assert!(said.iter().any(|said| said.contains("Too many open files")), "{said:?}");
    assert_eq!(ask(&mut clients[0], "sh 'echo hello'"), "hello\n");
}

#[test]
fn a_thousand_requests_leak_nothing() {
    let desk = Desk::new("");
    for model in PARALLEL {
        let served = desk.serve(&["--model", model]);
        let process = served.process();
        let mut client = served.client();
        assert_eq!(ask(&mut client, "sh true"), "");
        let held = |process: &Process| (process.descriptors().len(), process.children().len());
        let before = held(&process);
        let requests = |count: usize, client: &mut Client| {
            for at in 0..count {
                assert_eq!(ask(client, "sh 'echo hello'"), "hello\n");
                // Now and then somebody leaves meanwhile.
                if at % 20 == 0 {
                    served.client().say("sh 'sleep 1000'");
                }
            }
        };
        // What is kept for the next is there after some.
        requests(100, &mut client);
        let (threads, memory) = (process.threads(), process.resident());
        requests(if model == "tasks" { 900 } else { 200 }, &mut client);
        desk.is_empty();
        process
            .settles(&format!("on {model} descriptors and children are {before:?}"), |process| held(process) == before);
        assert!(process.threads() <= threads + 8, "{} after {threads}", process.threads());
        assert!(process.resident() < memory + (8 << 20), "{} after {memory}", process.resident());
        drop(client);
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn a_shell_has_no_limits_of_its_own() {
    let served = shell(&["--timeout", "off", "--output-limit", "1MiB"]);
    let said = ask(&mut served.client(), "head -c 2M /dev/zero");
    assert!(said.ends_with("\n[output cut at 1 MiB]\n"));
}
