use crate::steering::still_out;
use crate::{MODELS, PARALLEL, Suite, step};
use socketserver_testkit::{Client, How, Stage};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

pub(crate) fn add(suite: &mut Suite) {
    suite.tcp("only_some_networks_may_come_in", &MODELS, some_networks);
    suite.tcp("who_may_come_in_changes_while_it_runs", &PARALLEL, rules);
    suite.tcp("how_many_and_what_then_changes_while_it_runs", &PARALLEL, policies);
    suite.tcp("so_many_a_second_and_no_more", &MODELS, rates);
}

fn from(stage: &Stage, last: u8) -> Client {
    Client::connect_from(stage.endpoint(), Ipv4Addr::new(127, 0, 0, last)).unwrap()
}

#[track_caller]
fn is_in(stage: &Stage, last: u8) -> Client {
    let mut client = from(stage, last);
    client.say("echo in\n");
    client.expect("in\n");
    client
}

/// It is closed without a word, and the server says why.
#[track_caller]
fn is_out(stage: &Stage, last: u8, why: &str) {
    let mut client = from(stage, last);
    assert!(client.hear(100).unwrap_or_default().is_empty());
    let refused = stage.line("refused ");
    assert!(refused.starts_with(&format!("refused why={why} peer=127.0.0.{last}:")), "{refused}");
}

fn some_networks(how: How, endpoint: &str) {
    let stage = Stage::open("some-networks", how, endpoint);
    for (last, may) in [(1, true), (2, false), (3, false), (4, true), (7, true), (8, false), (1, true)] {
        if may { drop(is_in(&stage, last)) } else { is_out(&stage, last, "denied") }
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0));
    assert_eq!(crate::number(ended.line("totals"), "denied: "), 3);
}

fn rules(how: How, endpoint: &str) {
    let stage = Stage::open("rules", how, endpoint);
    step(&stage, "one each");
    let two = is_in(&stage, 2);
    is_out(&stage, 2, "peer-limit");
    let three = is_in(&stage, 3);
    step(&stage, "any number each");
    drop([is_in(&stage, 2), is_in(&stage, 2), two, three]);
    step(&stage, "not 2");
    is_out(&stage, 2, "denied");
    drop(is_in(&stage, 3));
    step(&stage, "only 3");
    is_out(&stage, 2, "denied");
    is_out(&stage, 1, "denied");
    drop(is_in(&stage, 3));
    step(&stage, "everybody");
    drop([is_in(&stage, 1), is_in(&stage, 2), is_in(&stage, 3)]);
    assert_eq!(stage.stop().status, Some(0));
}

fn policies(how: How, endpoint: &str) {
    let stage = Stage::open("policies", how, endpoint);
    step(&stage, "at most one");
    let mut first = is_in(&stage, 1);
    let mut second = stage.connect();
    second.say("echo second\n");
    still_out(&stage, &mut first, 1);
    step(&stage, "at most two");
    second.expect("second\n");
    // One that waits need not any more.
    let mut third = stage.connect();
    still_out(&stage, &mut first, 2);
    step(&stage, "close");
    third.expect_gone();
    // It may have been told of before the step was.
    crate::settled(&stage, "it was refused", |_| {
        stage.so_far().iter().any(|line| line.starts_with("refused why=full "))
    });
    is_out(&stage, 1, "full");
    step(&stage, "reply");
    assert_eq!(stage.connect().hear_all().unwrap(), b"full\n");
    step(&stage, "queue");
    let mut fourth = stage.connect();
    fourth.say("echo fourth\n");
    still_out(&stage, &mut first, 2);
    drop(second);
    fourth.expect("fourth\n");
    step(&stage, "at most one again");
    let mut many: Vec<_> = (0..10).map(|_| stage.connect()).collect();
    for client in &mut many {
        client.say("echo many\n");
    }
    still_out(&stage, &mut first, 2);
    drop(fourth);
    crate::settled(&stage, "one is left", |facts| facts.len() == 1);
    still_out(&stage, &mut first, 1);
    step(&stage, "any number");
    for client in &mut many {
        client.expect("many\n");
    }
    drop((first, many));
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0));
    let told: Vec<_> = ended.lines.iter().filter(|line| line.starts_with("max ")).collect();
    assert_eq!(told, ["max Some(10000)", "max None"]);
}

/// Five at once and five a second: fifteen take two seconds. Then one an hour, and a change of mind.
fn rates(how: How, endpoint: &str) {
    let stage = Stage::open("rates", how, endpoint);
    let start = Instant::now();
    for _ in 0..15 {
        drop(is_in(&stage, 1));
    }
    // What was asked for counts from when the server came to it: a little after the first one did.
    assert!(start.elapsed() >= Duration::from_millis(1990), "{:?}", start.elapsed());
    step(&stage, "one an hour");
    drop(is_in(&stage, 1));
    crate::settled(&stage, "nobody is in", |facts| facts.is_empty());
    let mut late: Vec<_> = (0..5).map(|_| stage.connect()).collect();
    for client in &mut late {
        client.say("echo late\n");
    }
    for _ in 0..50 {
        assert!(crate::facts(&stage).is_empty());
    }
    step(&stage, "any number");
    for mut client in late {
        client.expect("late\n");
    }
    assert_eq!(stage.stop().status, Some(0));
}
