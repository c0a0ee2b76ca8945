//! What async handlers alone can do.

use crate::roles::Script;
use crate::{Suite, TASKS};
use rustix::process::Signal;
use socketserver::{Handler, Report, Result, RunsOn, Server, Stream, Tasks};
use socketserver_testkit::{Cast, Client, How, Process, Role, Stage};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

pub(crate) fn add(suite: &mut Suite) {
    suite.both("a_handler_that_waits_for_something_else_is_cut", &TASKS, waits_for_something_else);
    suite.both("draining_can_be_waited_for", &TASKS, waits_for_the_drain);
    suite.both("connections_spread_evenly", &[How::Tasks(4)], spread);
    suite.both("shards_come_before_connections", &[How::Tasks(16)], shards_first);
    suite.both("hogging_is_told", &TASKS, hogging);
    suite.both("a_cancelled_read_takes_nothing", &TASKS, cancelled);
}

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("pending", pending),
    ("until-draining", until_draining),
    ("which-shard", which_shard),
    ("crowded", crowded),
    ("hog", hog),
    ("cancelling", cancelling),
];

/// Serves with what a [`Part`](socketserver_testkit::Part) cannot be.
fn serve<H, K>(cast: &Cast, server: Server, handler: H) -> Result<Report>
where
    H: RunsOn<Tasks, K> + Send + Sync + 'static,
{
    let How::Tasks(shards) = cast.how() else { return Err("a role for tasks".into()) };
    cast.serve_on(server, Tasks::new(shards), handler)
}

/// Waits for what never comes.
struct Pending;

impl Handler for Pending {
    async fn handle(&self, c: &mut Stream) -> Result {
        struct Dropped(u64);
        impl Drop for Dropped {
            fn drop(&mut self) {
                Cast::tell(&format!("dropped {}", self.0));
            }
        }
        let _dropped = Dropped(c.id());
        c.write_all(b"go\n").await?;
        std::future::pending().await
    }

    async fn finish(&self, c: &mut Stream) -> Result {
        Cast::tell(&format!("finish {}", c.id()));
        Ok(())
    }

    fn on_error(&self, error: &socketserver::Failure, _: &socketserver::Peer) {
        Cast::tell(&format!("on_error {error}"));
    }
}

fn pending(cast: &Cast) -> Result<Report> {
    serve(cast, cast.server()?.drain_deadline(Duration::from_millis(300)), Pending)
}

fn waits_for_something_else(how: How, endpoint: &str) {
    let stage = Stage::open("pending", how, endpoint);
    let mut clients = [stage.connect(), stage.connect()];
    for client in &mut clients {
        client.expect("go\n");
    }
    let ended = stage.stop();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=2 cut=[1:false,2:false]"), "{ended:?}");
    for id in 1..=2 {
        let at = |line: &str| ended.lines.iter().position(|told| *told == format!("{line} {id}")).unwrap();
        assert!(at("dropped") < at("finish"), "{ended:?}");
        assert_eq!(ended.count(&format!("finish {id}")), 1, "{ended:?}");
        assert!(ended.line(&format!("closed id={id}")).contains("reason=aborted"), "{ended:?}");
    }
    assert_eq!(ended.count("on_error"), 0, "{ended:?}");
    clients.iter_mut().for_each(Client::expect_gone);
}

/// Neither reads nor writes until the server drains.
fn until_draining(cast: &Cast) -> Result<Report> {
    serve(cast, cast.server()?, async |c: &mut Stream| {
        c.write_all(b"go\n").await?;
        tokio::select! {
            () = c.draining() => c.write_all(b"bye\n").await?,
            () = sleep(Duration::from_secs(3600)) => {}
        }
        Ok(())
    })
}

fn waits_for_the_drain(how: How, endpoint: &str) {
    let stage = Stage::open("until-draining", how, endpoint);
    let mut clients = [stage.connect(), stage.connect()];
    for client in &mut clients {
        client.expect("go\n");
    }
    stage.signal(Signal::TERM);
    for client in &mut clients {
        client.expect("bye\n");
        client.expect_end();
    }
    let ended = stage.wait();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("report").starts_with("report served=2 cut=[]"), "{ended:?}");
}

fn which_shard(cast: &Cast) -> Result<Report> {
    serve(cast, cast.server()?, async |c: &mut Stream| {
        let shard = std::thread::current().name().unwrap_or_default().to_owned();
        c.write_all(format!("{shard}\n").as_bytes()).await?;
        c.read_to_end(100).await?;
        Ok(())
    })
}

fn spread(how: How, endpoint: &str) {
    let How::Tasks(shards) = how else { unreachable!("a test for tasks") };
    let stage = Stage::open("which-shard", how, endpoint);
    let mut clients: Vec<Client> = (0..1000).map(|_| stage.connect()).collect();
    let mut of_shard: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for client in &mut clients {
        *of_shard.entry(client.hear(100).unwrap()).or_default() += 1;
    }
    let most = of_shard.values().max().unwrap();
    assert!(of_shard.len() == shards && most * shards * 10 <= clients.len() * 12, "{of_shard:?}");
    drop(clients);
    assert_eq!(stage.stop().status, Some(0));
}

/// Stops until it is told to go on, and then has descriptors for its shards, and for hardly any connection.
fn crowded(cast: &Cast) -> Result<Report> {
    let How::Tasks(shards) = cast.how() else { return Err("a role for tasks".into()) };
    let server = cast.server()?;
    Cast::tell(&format!("listening {}", server.endpoints()[0]));
    let me = Process::me();
    me.signal(Signal::STOP);
    // A runtime has three; what listens takes three more, and so many connections may come in.
    let descriptors = me.descriptors().len() + 3 * shards + 3 + 3;
    socketserver_testkit::limit_descriptors(descriptors as u64);
    cast.serve(server, Script)
}

/// Connections that come first must not take the descriptors that runtimes are made of.
fn shards_first(how: How, endpoint: &str) {
    let stage = Stage::open("crowded", how, endpoint);
    stage.process().settles("it was stopped", |process| process.state() == Some('T'));
    let mut clients: Vec<Client> = (0..100).map(|_| stage.connect()).collect();
    stage.signal(Signal::CONT);
    stage.line("accept_failed Too many open files");
    clients[0].say("echo in\n");
    clients[0].expect("in\n");
    drop(clients);
    assert_eq!(stage.stop().status, Some(0));
}

/// Holds up its shard for so many milliseconds whenever it is asked to.
fn hog(cast: &Cast) -> Result<Report> {
    serve(cast, cast.server()?, async |c: &mut Stream| {
        while let Some(line) = c.read_line(100).await? {
            // As if it computed, but for the processor, which is others' to use.
            std::thread::sleep(Duration::from_millis(line.parse()?));
            c.write_all(b"done\n").await?;
        }
        Ok(())
    })
}

fn hogging(how: How, endpoint: &str) {
    let stage = Stage::open("hog", how, endpoint);
    let mut modest = stage.connect();
    modest.say("0\n");
    modest.expect("done\n");
    let mut hog = stage.connect();
    hog.say("1000\n");
    hog.expect("done\n");
    stage.line("hogged id=2");
    // Once for as long as it lasts; and one that waits, for however long, keeps nobody from anything.
    for (client, time) in [(&mut modest, "0\n"), (&mut hog, "1000\n")] {
        client.say(time);
        client.expect("done\n");
    }
    drop((modest, hog));
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    // No others: on a busy machine a shard may stand still at any of them.
    assert_eq!(ended.count("hogged id=2"), 2, "{ended:?}");
}

/// Begins to read a line, and gives up.
async fn give_up(c: &mut Stream) -> Result {
    tokio::select! {
        line = c.read_line(100) => Err(format!("it has an end: {line:?}").into()),
        () = sleep(Duration::from_millis(20)) => Ok(()),
    }
}

/// Gives up on a line, sleeps for longer than the idle deadline, and reads the line all the same.
fn cancelling(cast: &Cast) -> Result<Report> {
    serve(cast, cast.server()?.idle(Duration::from_millis(300)), async |c: &mut Stream| {
        while c.buffered().is_empty() {
            give_up(c).await?;
        }
        Cast::tell(&format!("gave up with {:?}", String::from_utf8_lossy(c.buffered())));
        sleep(Duration::from_secs(1)).await;
        give_up(c).await?;
        // However busy the machine is.
        c.set_idle(None);
        c.write_all(b"go on\n").await?;
        let line = c.read_line(100).await?.unwrap_or_default();
        c.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(())
    })
}

fn cancelled(how: How, endpoint: &str) {
    let stage = Stage::open("cancelling", how, endpoint);
    let mut client = stage.connect();
    client.say("half a li");
    stage.line("gave up with \"half a li\"");
    client.expect("go on\n");
    client.say("ne\n");
    client.expect("half a line\n");
    client.expect_end();
    drop(client);
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("closed ").contains("reason=finished"), "{ended:?}");
}
