use crate::{MODELS, PARALLEL, Suite, facts, in_phase, settled, step};
use socketserver_testkit::{Client, How, Stage};
use std::net::Ipv4Addr;

pub(crate) fn add(suite: &mut Suite) {
    suite.both("what_is_known_of_a_connection", &MODELS, known);
    suite.both("a_kick_meets_whom_it_names", &PARALLEL, kick);
    suite.both("a_kick_meets_whoever_is_in", &MODELS, kick_all);
    suite.tcp("an_alarm_is_raised_once_and_again_after_a_lull", &PARALLEL, alarm);
    suite.tcp("an_alarm_does_not_count_the_exempt", &PARALLEL, alarm_exempt);
    suite.both("one_that_is_exempt_frees_a_place", &PARALLEL, exempt);
    suite.tcp("a_place_comes_free_once_and_for_certain", &PARALLEL, places);
    suite.both("suspended_means_wait", &MODELS, suspend);
    suite.tcp("a_handler_suspends_and_resumes", &PARALLEL, suspend_inside);
    suite.tcp("a_handler_raises_the_maximum", &PARALLEL, raised_inside);
}

fn say(client: &mut Client, word: &str) {
    client.say(format!("{word}\n"));
    let answer = word.strip_prefix("echo ").unwrap_or_else(|| word.split(' ').next().unwrap());
    client.expect(format!("{answer}\n"));
}

fn known(how: How, endpoint: &str) {
    let stage = Stage::open("plain", how, endpoint);
    assert!(facts(&stage).is_empty());
    let mut client = stage.connect();
    let of = |facts: &[crate::Fact], name: &str| facts.first().map(|fact| fact[name].clone()).unwrap_or_default();
    let seen = settled(&stage, "it waits", |facts| in_phase(facts, "waiting") == 1);
    assert_eq!((of(&seen, "id"), of(&seen, "read"), of(&seen, "label")), ("1".into(), "0".into(), "-".into()));
    assert_eq!(of(&seen, "endpoint"), stage.endpoint().to_string());
    if let Some(local) = client.local() {
        assert_eq!(of(&seen, "peer"), local.to_string());
    }
    assert_ne!(of(&seen, "idle"), "none");
    say(&mut client, "label Ada");
    let seen = settled(&stage, "it waits", |facts| in_phase(facts, "waiting") == 1);
    assert_eq!((of(&seen, "read"), of(&seen, "written")), ("10".into(), "6".into()));
    assert_eq!(of(&seen, "label"), "Ada");
    say(&mut client, &format!("label {}", "x".repeat(100)));
    assert_eq!(of(&facts(&stage), "label"), "x".repeat(64));
    client.say("label ");
    settled(&stage, "it receives", |facts| in_phase(facts, "receiving") == 1);
    client.say("\n");
    client.expect("label\n");
    assert_eq!(of(&facts(&stage), "label"), "-");
    client.say("work\n");
    let seen = settled(&stage, "it works", |facts| in_phase(facts, "working") == 1);
    assert_eq!(of(&seen, "idle"), "none");
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    client.expect("work\n");
    client.expect_end();
}

fn kick(how: How, endpoint: &str) {
    let stage = Stage::open("kick", how, endpoint);
    let mut clients: Vec<_> = (0..5).map(|_| stage.connect()).collect();
    for (client, label) in clients.iter_mut().zip(["first", "bot-1", "person", "bot-2", "bot-3"]) {
        say(client, &format!("label {label}"));
    }
    // One that waits halfway, and one that is stuck in a write.
    clients[3].say("ech");
    clients[4].say("flood\n");
    settled(&stage, "one waits and one is stuck", |facts| {
        in_phase(facts, "receiving") == 1 && in_phase(facts, "working") == 1
    });
    step_kick(&stage, "kicked true false false", "one");
    clients[0].expect_gone();
    kicked(&stage, 1);
    step_kick(&stage, "kicked 3", "some");
    for at in [1, 3, 4] {
        clients[at].expect_gone();
    }
    kicked(&stage, 4);
    say(&mut clients[2], "echo still here");
    let left = settled(&stage, "one is left", |facts| facts.len() == 1);
    assert_eq!(left[0]["label"], "person");
    drop(clients);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").ends_with("failed=0"), "{ended:?}");
}

fn step_kick(stage: &Stage, told: &str, name: &str) {
    stage.signal(rustix::process::Signal::USR1);
    assert_eq!(stage.line("kicked "), told);
    assert_eq!(stage.line("step "), format!("step {name}"));
}

/// So many connections ended, and all for that reason.
#[track_caller]
fn kicked(stage: &Stage, count: usize) {
    settled(stage, "they are closed", |_| {
        stage.so_far().iter().filter(|line| line.starts_with("closed ")).count() == count
    });
    let closed = stage.so_far();
    assert!(
        closed.iter().filter(|line| line.starts_with("closed ")).all(|line| line.contains("reason=kicked ")),
        "{closed:#?}"
    );
}

fn kick_all(how: How, endpoint: &str) {
    let stage = Stage::open("kick", how, endpoint);
    step_kick(&stage, "kicked false false false", "one");
    step_kick(&stage, "kicked 0", "some");
    let mut client = stage.connect();
    say(&mut client, "echo in");
    step_kick(&stage, "kicked 1", "all");
    client.expect_gone();
    kicked(&stage, 1);
    let mut next = stage.connect();
    say(&mut next, "echo in");
    drop(next);
    assert_eq!(stage.stop().status, Some(0));
}

/// So many more clients, served.
fn come(stage: &Stage, clients: &mut Vec<Client>, count: usize) {
    for _ in 0..count {
        let mut client = stage.connect();
        say(&mut client, "echo in");
        clients.push(client);
    }
}

fn leave(stage: &Stage, clients: &mut Vec<Client>, count: usize) {
    clients.truncate(clients.len() - count);
    let left = clients.len();
    settled(stage, "they have left", |facts| facts.len() == left);
}

/// Three raise it, and one is a lull.
fn alarm(how: How, endpoint: &str) {
    let stage = Stage::open("alarm", how, endpoint);
    let mut clients = Vec::new();
    let alarms = |stage: &Stage| {
        // An alarm that was due when somebody asked is raised before the next who asks is answered.
        facts(stage);
        facts(stage);
        stage.so_far().iter().filter(|line| line.starts_with("alarm ")).count()
    };
    for _ in 0..10 {
        come(&stage, &mut clients, 2);
        assert_eq!(alarms(&stage), 0);
        leave(&stage, &mut clients, 2);
    }
    come(&stage, &mut clients, 2);
    // Nor do those count that are turned away.
    for _ in 0..10 {
        let mut denied = Client::connect_from(stage.endpoint(), Ipv4Addr::new(127, 0, 0, 9)).unwrap();
        denied.expect_gone();
    }
    assert_eq!(alarms(&stage), 0);
    come(&stage, &mut clients, 1);
    assert_eq!(stage.line("alarm "), "alarm open=3");
    for _ in 0..5 {
        leave(&stage, &mut clients, 1);
        come(&stage, &mut clients, 3);
        leave(&stage, &mut clients, 2);
    }
    assert_eq!(alarms(&stage), 1);
    leave(&stage, &mut clients, 2);
    assert_eq!(alarms(&stage), 1);
    come(&stage, &mut clients, 1);
    assert_eq!(alarms(&stage), 1);
    come(&stage, &mut clients, 1);
    assert_eq!(stage.line("alarm "), "alarm open=3");
    drop(clients);
    let ended = stage.stop();
    assert_eq!((ended.status, ended.count("alarm ")), (Some(0), 2), "{ended:?}");
}

fn alarm_exempt(how: How, endpoint: &str) {
    let stage = Stage::open("alarm", how, endpoint);
    let mut clients = Vec::new();
    come(&stage, &mut clients, 2);
    say(&mut clients[0], "exempt");
    say(&mut clients[1], "exempt");
    come(&stage, &mut clients, 2);
    facts(&stage);
    come(&stage, &mut clients, 1);
    assert_eq!(stage.line("alarm "), "alarm open=5");
    drop(clients);
    let ended = stage.stop();
    assert_eq!((ended.status, ended.count("alarm ")), (Some(0), 1), "{ended:?}");
}

fn exempt(how: How, endpoint: &str) {
    let stage = Stage::open("max-2", how, endpoint);
    let mut clients = Vec::new();
    come(&stage, &mut clients, 2);
    let mut third = stage.connect();
    third.say("echo third\n");
    still_out(&stage, &mut clients[1], 2);
    say(&mut clients[0], "exempt");
    third.expect("third\n");
    // Once is all there is to it.
    say(&mut clients[0], "exempt");
    let mut fourth = stage.connect();
    fourth.say("echo fourth\n");
    still_out(&stage, &mut clients[1], 3);
    // Nor does its place come free a second time when it leaves.
    drop(clients.remove(0));
    settled(&stage, "it has left", |facts| facts.len() == 2);
    still_out(&stage, &mut clients[0], 2);
    drop(third);
    fourth.expect("fourth\n");
    drop((clients, fourth));
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

/// Somebody comes while the server still tells that another one has left, again and again.
fn places(how: How, endpoint: &str) {
    let stage = Stage::open("slow-to-tell", how, endpoint);
    let mut clients = Vec::new();
    come(&stage, &mut clients, 1);
    for _ in 0..12 {
        drop(clients.remove(0));
        come(&stage, &mut clients, 1);
    }
    drop(clients);
    // There are as many places as before.
    let mut clients = Vec::new();
    come(&stage, &mut clients, 3);
    drop(clients);
    assert_eq!(stage.stop().status, Some(0));
}

/// Nobody else comes in, though there was time enough to.
pub(crate) fn still_out(stage: &Stage, inside: &mut Client, open: usize) {
    for _ in 0..50 {
        say(inside, "echo still in");
        assert_eq!(facts(stage).len(), open);
    }
}

fn suspend(how: How, endpoint: &str) {
    let stage = Stage::open("suspend", how, endpoint);
    let mut client = stage.connect();
    say(&mut client, "echo in");
    step(&stage, "suspend");
    let mut next = stage.connect();
    next.say("echo next\n");
    still_out(&stage, &mut client, 1);
    drop(client);
    settled(&stage, "nobody is in", |facts| facts.is_empty());
    for _ in 0..50 {
        assert!(facts(&stage).is_empty());
    }
    step(&stage, "resume");
    next.expect("next\n");
    drop(next);
    assert_eq!(stage.stop().status, Some(0));
}

fn suspend_inside(how: How, endpoint: &str) {
    let stage = Stage::open("plain", how, endpoint);
    let mut client = stage.connect();
    say(&mut client, "suspend");
    let mut next = stage.connect();
    next.say("echo next\n");
    still_out(&stage, &mut client, 1);
    say(&mut client, "resume");
    next.expect("next\n");
    say(&mut client, "suspend");
    // A stop is heard all the same.
    assert_eq!(stage.stop().status, Some(0));
}

fn raised_inside(how: How, endpoint: &str) {
    let stage = Stage::open("max-2", how, endpoint);
    let mut clients = Vec::new();
    come(&stage, &mut clients, 2);
    let mut late: Vec<_> = (0..3).map(|_| stage.connect()).collect();
    for client in &mut late {
        client.say("echo late\n");
    }
    still_out(&stage, &mut clients[0], 2);
    say(&mut clients[0], "max 5");
    for client in &mut late {
        client.expect("late\n");
    }
    // Nobody is thrown out when it is lowered, and one has to leave for each that is too many.
    say(&mut clients[0], "max 4");
    let mut later = stage.connect();
    later.say("echo later\n");
    drop(clients.pop());
    settled(&stage, "one has left", |facts| facts.len() == 4);
    still_out(&stage, &mut clients[0], 4);
    drop(late.pop());
    later.expect("later\n");
    drop((clients, late, later));
    assert_eq!(stage.stop().status, Some(0));
}
