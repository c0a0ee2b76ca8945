//! How connections are run, seen from outside.

use crate::harness::Served;
use socketserver_testkit::Process;
use std::fs;
use std::time::Duration;

/// The names of a process' threads, in order. The kernel keeps 15 characters of each: enough for 99 shards.
fn threads(process: &Process) -> Vec<String> {
    // One that ends meanwhile has no name any more.
    let name = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("comm")).ok();
    let threads = fs::read_dir(format!("/proc/{}/task", process.pid())).unwrap();
    let mut names: Vec<_> = threads.filter_map(|thread| name(thread.unwrap())).collect();
    names.iter_mut().for_each(|name| name.truncate(name.trim_end().len()));
    names.sort();
    names
}

/// The shards among them.
fn shards(process: &Process) -> Vec<String> {
    let is_shard = |name: &String| name.strip_prefix("socketserver-").is_some_and(|at| at.parse::<usize>().is_ok());
    threads(process).into_iter().filter(is_shard).collect()
}

/// Serves one client to its end.
fn serving(args: &[&str]) -> Served {
    let served = Served::start(&[&["echo", ":0"], args].concat());
    served.is_served();
    served.line("close ");
    served
}

#[test]
fn unless_told_it_is_tasks_with_a_shard_a_processor() {
    let processors = std::thread::available_parallelism().unwrap().get();
    for args in [&[][..], &["--model", "tasks"]] {
        let served = serving(args);
        served.process().settles("there is a shard a processor", |process| shards(process).len() == processors);
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn tasks_has_as_many_shards_as_are_asked_for() {
    let served = serving(&["--model", "tasks=2"]);
    served.process().settles("there are two shards and one thread that watches", |process| {
        threads(process) == ["socketserver", "socketserver-0", "socketserver-1"]
    });
    assert_eq!(served.stop().status, Some(0));
}

#[test]
fn the_other_models_have_no_shards() {
    for model in ["serial", "threads", "threads=4", "forks", "forks=4"] {
        let served = serving(&["--model", model]);
        assert_eq!(shards(&served.process()), [""; 0], "{model}");
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn a_shard_that_spins_serves_and_sleeps_when_it_has_nothing_to_do() {
    let served = serving(&["--model", "tasks=1", "--spin", "2ms"]);
    let mut client = served.client();
    for _ in 0..100 {
        client.say("ping");
        client.expect("ping");
    }
    served.process().settles("its shard sleeps", |process| {
        let before = process.cpu();
        std::thread::sleep(Duration::from_millis(100));
        process.cpu() == before
    });
    client.say("ping");
    client.expect("ping");
    drop(client);
    assert_eq!(served.stop().status, Some(0));
}
