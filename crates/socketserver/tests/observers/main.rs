//! What the ready-made observers hand on: a real subscriber and a real recorder, each pair of them in a server process of
//! its own, since both are global.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod roles;

use libtest_mimic::{Arguments, Trial};
use socketserver_testkit::{Ended, How, Stage, play};
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(status) = play(roles::ALL) {
        return status;
    }
    let trials = vec![
        Trial::test("connections_refusals_failures_drain", wrap(connections)),
        Trial::test("failures_of_accept", wrap(failures_of_accept)),
        Trial::test("a_hog", wrap(a_hog)),
        Trial::test("a_child_that_aborts", wrap(a_child_that_aborts)),
        Trial::test("no_thread_to_be_had", wrap(no_thread_to_be_had)),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn wrap(test: fn()) -> impl FnOnce() -> Result<(), libtest_mimic::Failed> + Send + 'static {
    move || {
        test();
        Ok(())
    }
}

/// Where the server listens, and from where we come.
const HERE: &str = "peer=127.0.0.1:* endpoint=tcp://127.0.0.1:*";

fn connections() {
    let stage = open("script", How::Threads(4));
    let mut client = stage.connect();
    client.say("echo hello\n");
    client.expect("hello\n");
    client.end();
    client.expect_end();
    stage.line("event DEBUG socketserver closed id=1");
    // The handler turns away the second.
    stage.connect().expect_gone();
    stage.line("event INFO socketserver refused");
    for (id, words) in [(2, "fail no such room\n"), (3, "panic beyond help\n"), (4, "worse\n")] {
        let mut client = stage.connect();
        client.say(words);
        client.expect_gone();
        drop(client);
        stage.line(&format!("event WARN socketserver closed id={id}"));
    }
    let mut held = stage.connect();
    held.say("hold\nhalf a li");
    held.expect("held\n");
    let mut ended = stage.stop();
    assert_eq!(ended.status, Some(1), "one is cut: {ended:#?}");
    // The handler may be back before its cut is told.
    ended.lines.sort_by_key(|line| line.starts_with("event WARN socketserver cut"));
    events(
        &ended,
        &[
            &format!("DEBUG socketserver opened id=1 {HERE}"),
            &format!("DEBUG socketserver closed id=1 {HERE} read=11 written=6 duration=* reason=\"finished\""),
            &format!("INFO socketserver refused {HERE} why=\"unverified\""),
            &format!("DEBUG socketserver opened id=2 {HERE}"),
            &format!(
                "WARN socketserver closed id=2 {HERE} read=18 written=0 duration=* reason=\"failed\" \
                 failure=\"no such room\""
            ),
            &format!("DEBUG socketserver opened id=3 {HERE}"),
            &format!(
                "WARN socketserver closed id=3 {HERE} read=18 written=0 duration=* reason=\"panicked\" \
                 failure=\"panicked: beyond help\""
            ),
            &format!("DEBUG socketserver opened id=4 {HERE}"),
            "WARN socketserver hook_failed hook=\"on_error\" failure=\"panicked: it makes it worse\"",
            &format!(
                "WARN socketserver closed id=4 {HERE} read=6 written=0 duration=* reason=\"failed\" failure=\"worse\""
            ),
            &format!("DEBUG socketserver opened id=5 {HERE}"),
            "INFO socketserver draining open=1 deadline=*",
            &format!("DEBUG socketserver closed id=5 {HERE} read=14 written=5 duration=* reason=\"aborted\""),
            &format!("WARN socketserver cut id=5 {HERE} age=*"),
        ],
    );
    counts(
        &ended,
        &[
            ("connection_seconds", "5 values"),
            ("connections_closed_total{reason=aborted}", "1"),
            ("connections_closed_total{reason=failed}", "2"),
            ("connections_closed_total{reason=finished}", "1"),
            ("connections_closed_total{reason=panicked}", "1"),
            ("connections_opened_total", "5"),
            ("cut_total", "1"),
            ("hook_failures_total", "1"),
            ("read_bytes_total", "67"),
            ("refused_total{why=unverified}", "1"),
            ("written_bytes_total", "11"),
        ],
    );
    described(&ended);
}

/// Every name is there before it counts anything, with its unit and some words, and `docs/events.md` knows it.
fn described(ended: &Ended) {
    let mut names: Vec<_> = ended.lines.iter().filter_map(|line| line.strip_prefix("described ")).collect();
    names.sort_unstable();
    names.dedup();
    let expected = [
        "socketserver_accept_failures_total Counter Count",
        "socketserver_children_ended_total Counter Count",
        "socketserver_connection_seconds Histogram Seconds",
        "socketserver_connections_closed_total Counter Count",
        "socketserver_connections_open Gauge Count",
        "socketserver_connections_opened_total Counter Count",
        "socketserver_cut_total Counter Count",
        "socketserver_hogged_total Counter Count",
        "socketserver_hook_failures_total Counter Count",
        "socketserver_read_bytes_total Counter Bytes",
        "socketserver_refused_total Counter Count",
        "socketserver_shed_total Counter Count",
        "socketserver_spawn_failures_total Counter Count",
        "socketserver_tls_reload_failures_total Counter Count",
        "socketserver_tls_reloads_total Counter Count",
        "socketserver_undelivered_total Counter Count",
        "socketserver_unsent_total Counter Count",
        "socketserver_written_bytes_total Counter Bytes",
    ];
    assert_eq!(names, expected);
    let document = include_str!("../../docs/events.md");
    for name in names {
        let name = name.split(' ').next().unwrap();
        assert!(document.contains(&format!("`{name}`")), "docs/events.md does not know {name}");
    }
    let labels = ["closed_total{reason=", "refused_total{why=", "accept_failures_total{then="];
    let values = labels.map(|label| ended.lines.iter().filter_map(|line| line.split_once(label)).collect::<Vec<_>>());
    assert_eq!(values.each_ref().map(Vec::len), [30, 6, 3]);
    for (_, value) in values.iter().flatten() {
        let value = value.split('}').next().unwrap();
        assert!(document.contains(&format!("`{value}`")), "docs/events.md does not know {value}");
    }
}

fn failures_of_accept() {
    let ended = Stage::try_open("source", How::Serial, "").wait();
    events(
        &ended,
        &[
            "WARN socketserver accept_failed endpoint=* error=Software caused connection abort (os error 103) \
             then=\"retry\"",
            "WARN socketserver accept_failed endpoint=* error=Too many open files (os error 24) then=\"back-off\" \
             delay=* shed=1",
            "WARN socketserver accept_failed endpoint=* error=out of order then=\"give-up\"",
            "INFO socketserver draining open=0 deadline=*",
        ],
    );
    counts(
        &ended,
        &[
            ("accept_failures_total{then=back-off}", "1"),
            ("accept_failures_total{then=give-up}", "1"),
            ("accept_failures_total{then=retry}", "1"),
            ("shed_total", "1"),
        ],
    );
}

fn a_hog() {
    let stage = open("hog", How::Tasks(1));
    let mut client = stage.connect();
    client.expect("told\n");
    client.expect_end();
    drop(client);
    stage.line("event DEBUG socketserver closed id=1");
    let ended = stage.stop();
    events(
        &ended,
        &[
            &format!("DEBUG socketserver opened id=1 {HERE}"),
            "WARN socketserver hogged connection=1 shard=0 time=*",
            &format!("DEBUG socketserver closed id=1 {HERE} read=0 written=5 duration=* reason=\"finished\""),
            "INFO socketserver draining open=0 deadline=*",
        ],
    );
    counts(
        &ended,
        &[
            ("connection_seconds", "1 values"),
            ("connections_closed_total{reason=finished}", "1"),
            ("connections_opened_total", "1"),
            ("hogged_total", "1"),
            ("written_bytes_total", "5"),
        ],
    );
}

fn a_child_that_aborts() {
    let stage = open("script", How::Forks(4));
    let mut client = stage.connect();
    client.say("abort\n");
    client.expect_gone();
    stage.line("event WARN socketserver closed");
    let ended = stage.stop();
    events(
        &ended,
        &[
            &format!("DEBUG socketserver opened id=1 {HERE}"),
            "WARN socketserver child_ended pid=* connection=1 reason=\"killed\" detail=6",
            &format!("WARN socketserver closed id=1 {HERE} read=6 written=0 duration=* reason=\"killed\" detail=6"),
            "INFO socketserver draining open=0 deadline=*",
        ],
    );
    counts(
        &ended,
        &[
            ("children_ended_total", "1"),
            ("connection_seconds", "1 values"),
            ("connections_closed_total{reason=killed}", "1"),
            ("connections_opened_total", "1"),
            ("read_bytes_total", "6"),
        ],
    );
}

fn no_thread_to_be_had() {
    let ended = Stage::try_open("giant_stacks", How::Threads(1), "tcp://127.0.0.1:0").wait();
    events(
        &ended,
        &[
            "WARN socketserver spawn_failed what=\"thread\" error=Resource temporarily unavailable (os error 11)",
            "INFO socketserver draining open=0 deadline=*",
        ],
    );
    counts(&ended, &[("spawn_failures_total", "1")]);
}

fn open(role: &str, how: How) -> Stage {
    Stage::open(role, how, "tcp://127.0.0.1:0")
}

/// These events arrived at the subscriber, no others, and in this order. A `*` at the end of a word stands for anything.
fn events(ended: &Ended, expected: &[&str]) {
    let told: Vec<_> = ended.lines.iter().filter_map(|line| line.strip_prefix("event ")).collect();
    let alike =
        told.len() == expected.len() && told.iter().zip(expected).all(|(told, expected)| is_like(told, expected));
    assert!(alike, "got {told:#?}, expected {expected:#?}");
    // Times are seconds, and nothing here took a minute.
    for (key, value) in told.iter().flat_map(|told| told.split(' ')).filter_map(|word| word.split_once('=')) {
        if ["duration", "delay", "time", "age", "deadline"].contains(&key) {
            assert!((0.0..60.0).contains(&value.parse().unwrap()), "{key}={value}");
        }
    }
}

fn is_like(told: &str, expected: &str) -> bool {
    let alike = |(told, expected): (&str, &str)| {
        expected.strip_suffix('*').map_or(told == expected, |beginning| told.starts_with(beginning))
    };
    told.split(' ').count() == expected.split(' ').count() && told.split(' ').zip(expected.split(' ')).all(alike)
}

/// The recorder has these numbers at the end; all others are 0.
fn counts(ended: &Ended, expected: &[(&str, &str)]) {
    let mut numbers: Vec<_> = ended
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix("number socketserver_")?.split_once(" = "))
        .filter(|(_, number)| !["0", "0 values"].contains(number))
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, expected, "{ended:#?}");
}
