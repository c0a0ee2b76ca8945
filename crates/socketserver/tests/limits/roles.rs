//! The servers that the tests talk to.

use crate::{crowd, hub};
use socketserver::{
    AcceptFailed, Closed, Cut, Draining, Forks, Handle, Handler, HookFailed, Observer, Opened, OverLimit, Overflow,
    Peer, ProxySource, Refused, Report, Result, Serial, Server, Session, Signal, SpawnFailed, Stream, Tasks, Threads,
    blocking,
};
use socketserver_testkit::{Cast, How, Role};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub(crate) const ALL: &[(&str, Role)] = &[
    ("plain", plain),
    ("cap", cap),
    ("max-2", |cast| play(cast, server(cast)?.max_connections(2))),
    ("max-2-close", |cast| play(cast, server(cast)?.max_connections(2).over_limit(OverLimit::Close))),
    ("max-2-reply", |cast| play(cast, server(cast)?.max_connections(2).over_limit(OverLimit::reply("busy")))),
    ("one-each", |cast| play(cast, server(cast)?.max_per_peer(1))),
    ("one-each-close", |cast| play(cast, server(cast)?.max_per_peer(1).over_limit(OverLimit::Close))),
    ("one-each-reply", |cast| play(cast, server(cast)?.max_per_peer(1).over_limit(OverLimit::reply("busy")))),
    ("always-busy", always_busy),
    ("min-rate", |cast| play(cast, server(cast)?.min_rate(MIN_RATE))),
    ("write-timeout", |cast| play(cast, server(cast)?.write_timeout(SOON))),
    ("few-descriptors", few_descriptors),
    ("long-drain", |cast| play(cast, server(cast)?.drain_deadline(Duration::from_secs(120)))),
    ("short-drain", |cast| play(cast, server(cast)?.drain_deadline(SOON))),
    ("stopped-before", stopped_before),
    ("first-byte", |cast| play(cast, server(cast)?.first_byte(SOON))),
    ("lifetime", |cast| play(cast, server(cast)?.lifetime(SOON))),
    ("idle", |cast| play(cast, server(cast)?.idle(SOON))),
    ("all-off", all_off),
    ("kick", kick),
    ("alarm", alarm),
    ("slow-to-tell", |cast| play(cast, server(cast)?.observe(SlowToTell).max_connections(3))),
    ("suspend", |cast| steps(cast, vec![("suspend", Handle::suspend), ("resume", Handle::resume)])),
    ("sessions", sessions),
    ("some-networks", some_networks),
    ("rules", rules),
    ("policies", policies),
    ("rates", rates),
    ("chat", |cast| hub::chat(cast, server(cast)?, Overflow::Disconnect)),
    ("chat-drops", |cast| hub::chat(cast, server(cast)?, Overflow::DropOldest)),
    ("proxied", |cast| play(cast, proxied(cast)?)),
    ("proxied-one-each", |cast| play(cast, proxied(cast)?.max_per_peer(1))),
    ("proxied-one-each-close", |cast| play(cast, proxied(cast)?.max_per_peer(1).over_limit(OverLimit::Close))),
    ("proxied-one-each-reply", |cast| play(cast, proxied(cast)?.max_per_peer(1).over_limit(OverLimit::reply("busy")))),
    ("proxied-rules", proxied_rules),
    ("proxied-max-22", |cast| play(cast, proxied(cast)?.max_connections(22))),
    ("proxied-soon", |cast| play(cast, proxied(cast)?.handshake(SOON))),
    ("proxied-2s", |cast| play(cast, proxied(cast)?.handshake(4 * SOON))),
    ("proxied-lifetime", |cast| play(cast, proxied(cast)?.lifetime(SOON).handshake(None))),
    ("proxied-long-drain", |cast| play(cast, proxied(cast)?.handshake(None).drain_deadline(Duration::from_secs(120)))),
    ("proxied-at-once", |cast| play(cast, with_steps(proxied(cast)?, vec![("end", |h| h.drain(Duration::ZERO))])?)),
    ("proxied-kick", |cast| {
        let all: Step = ("all", |h| Cast::tell(&format!("kicked {}", h.kick_where(|_| true))));
        play(cast, with_steps(proxied(cast)?, vec![all])?)
    }),
    ("proxied-first-byte", |cast| play(cast, proxied(cast)?.first_byte(SOON).handshake(None))),
    ("proxied-again", proxied_again),
    ("proxied-serve-one", proxied_serve_one),
    ("silent-hub", |cast| hub::silent(cast, server(cast)?)),
];

/// How many bytes a second a peer has to send, where that is asked for.
pub(crate) const MIN_RATE: u64 = 200;
/// The deadline, where there is one.
pub(crate) const SOON: Duration = Duration::from_millis(500);

/// Does what each line says. Both colours say the same; `$await` is what one says and the other does not.
macro_rules! script {
    ($c:ident, $pause:path, $until_draining:path $(, $dot:tt $await:ident)?) => {{
        while let Some(line) = $c.read_line(1 << 20)$($dot $await)? ? {
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let answer = match word {
                "echo" => rest.to_owned(),
                "peer" => $c.peer().to_string(),
                "header" => header_of($c.peer()),
                "pid" => std::process::id().to_string(),
                "label" => {
                    $c.set_label(rest);
                    word.to_owned()
                }
                "exempt" => {
                    $c.exempt();
                    word.to_owned()
                }
                "suspend" => {
                    $c.server().suspend();
                    word.to_owned()
                }
                "resume" => {
                    $c.server().resume();
                    word.to_owned()
                }
                "max" => {
                    $c.server().set_max_connections(rest.parse::<u64>()?);
                    word.to_owned()
                }
                "stop" => {
                    $c.server().shutdown();
                    $c.server().shutdown();
                    word.to_owned()
                }
                "sleep" => {
                    $pause(Duration::from_millis(rest.parse()?))$($dot $await)?;
                    word.to_owned()
                }
                "work" => {
                    $until_draining($c)$($dot $await)?;
                    word.to_owned()
                }
                "flood" => {
                    // 1 GiB.
                    for _ in 0..16 * 1024 {
                        $c.write_all(&PIECE)$($dot $await)? ?;
                    }
                    word.to_owned()
                }
                _ => line,
            };
            $c.write_all(format!("{answer}\n").as_bytes())$($dot $await)? ?;
        }
        Ok(())
    }};
}

static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];

fn script(c: &mut blocking::Stream) -> Result {
    script!(c, std::thread::sleep, until_draining)
}

async fn script_task(c: &mut Stream) -> Result {
    script!(c, tokio::time::sleep, until_draining_task, .await)
}

/// What the proxy said, but for the addresses.
fn header_of(peer: &Peer) -> String {
    let Some(proxied) = peer.proxied() else { return "-".to_owned() };
    let header = proxied.header();
    let id = String::from_utf8_lossy(header.unique_id().unwrap_or(b"none"));
    format!("{:?} {:?} {id}", header.version(), header.command())
}

fn until_draining(c: &blocking::Stream) {
    // There is no event that a child hears of.
    while !c.is_draining() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

async fn until_draining_task(c: &Stream) {
    c.draining().await;
}

/// A bound server that tells of every event, and on `SIGUSR2` of all its connections.
fn server(cast: &Cast) -> Result<Server> {
    let server = Server::bind(cast.endpoint())?.observe(Tell).stop_on_signals()?;
    Ok(server.on_signal(Signal::User2, |handle| {
        let mut told = "facts".to_owned();
        for c in handle.connections() {
            let idle = c.idle.map_or("none".to_owned(), |idle| idle.as_millis().to_string());
            told += &format!(
                " | id={} peer={} endpoint={} phase={} age={} idle={idle} read={} written={} label={}",
                c.id,
                c.peer,
                c.endpoint,
                c.phase,
                c.age.as_millis(),
                c.read,
                c.written,
                c.label.as_deref().unwrap_or("-")
            );
        }
        Cast::tell(&told);
        Ok(())
    })?)
}

/// Serves the script.
fn play(cast: &Cast, server: Server) -> Result<Report> {
    serve(cast, server, script, script_task)
}

/// Serves with the model that the stage asks for: the handler of the colour that it runs.
fn serve<B, T>(cast: &Cast, mut server: Server, blocking: B, tasks: T) -> Result<Report>
where
    B: blocking::Handler + Send + Sync + 'static,
    T: Handler + Send + Sync + 'static,
{
    tell_where(&server);
    serve_in(cast, &mut server, blocking, tasks)
}

fn tell_where(server: &Server) {
    for endpoint in server.endpoints() {
        Cast::tell(&format!("listening {endpoint}"));
    }
}

fn serve_in<B, T>(cast: &Cast, server: &mut Server, blocking: B, tasks: T) -> Result<Report>
where
    B: blocking::Handler + Send + Sync + 'static,
    T: Handler + Send + Sync + 'static,
{
    let report = match cast.how() {
        How::Serial => server.serve(Serial::default(), blocking),
        How::Threads(max) => server.serve(Threads::new(max), blocking),
        How::Forks(max) => server.serve(Forks::new(max), blocking),
        How::Prefork(ready, max) => server.serve(Forks::new(max).prefork(ready), blocking),
        How::Tasks(shards) => server.serve(Tasks::new(shards), tasks),
        How::Run => return Err("no test here asks for `run`".into()),
    }?;
    Cast::tell(&format!("totals {:?} open={}", report.totals, server.handle().open()));
    Ok(report)
}

/// A thing to do on `SIGUSR1`, and what it is called.
type Step = (&'static str, fn(&Handle));

/// Takes one step each time that `SIGUSR1` comes.
fn with_steps(server: Server, steps: Vec<Step>) -> Result<Server> {
    let mut steps = steps.into_iter();
    Ok(server.on_signal(Signal::User1, move |handle| {
        let (name, step) = steps.next().ok_or("there is no other step")?;
        step(handle);
        Cast::tell(&format!("step {name}"));
        Ok(())
    })?)
}

fn steps(cast: &Cast, steps: Vec<Step>) -> Result<Report> {
    play(cast, with_steps(server(cast)?, steps)?)
}

/// Each session answers the last number of those that came in order, from 1.
fn sessions(cast: &Cast) -> Result<Report> {
    let next = |last: &mut u64, packet: &[u8]| {
        if std::str::from_utf8(packet).is_ok_and(|said| said == (*last + 1).to_string()) {
            *last += 1;
        }
        last.to_string()
    };
    let mut server = Server::bind(cast.endpoint())?.stop_on_signals()?;
    tell_where(&server);
    let report = match cast.how() {
        How::Tasks(shards) => {
            let handler = async move |s: &mut Session| {
                let mut last = 0;
                while let Some(packet) = s.recv().await? {
                    s.send(next(&mut last, &packet).as_bytes()).await?;
                }
                Ok(())
            };
            server.serve(Tasks::new(shards), socketserver::sessions(handler).max(crowd::MAX))
        }
        How::Threads(max) => {
            let handler = move |s: &mut blocking::Session| {
                let mut last = 0;
                while let Some(packet) = s.recv()? {
                    s.send(next(&mut last, &packet).as_bytes())?;
                }
                Ok(())
            };
            server.serve(Threads::new(max), socketserver::sessions(handler).max(crowd::MAX))
        }
        other => return Err(format!("{other} has no sessions").into()),
    }?;
    Cast::tell(&format!("sessions evicted={} refused={}", report.totals.evicted, report.totals.refused));
    Ok(report)
}

/// Connections come through proxies: those who connect from the usual address.
fn proxied(cast: &Cast) -> Result<Server> {
    let sources = ["127.0.0.1", "::1", "unix"].map(|source| source.parse::<ProxySource>().unwrap());
    Ok(server(cast)?.proxy_protocol(sources))
}

/// Does not take 192.0.2.3, and cannot make up its mind about 192.0.2.4.
struct ChoosyThread;
struct ChoosyTask;

fn last_byte(peer: &Peer) -> u8 {
    if let Some(std::net::IpAddr::V4(ip)) = peer.addr().map(|addr| addr.ip()) { ip.octets()[3] } else { 0 }
}

fn verify(peer: &Peer) -> bool {
    if last_byte(peer) == 4 {
        panic!("192.0.2.4 came");
    }
    last_byte(peer) != 3
}

impl Handler for ChoosyTask {
    async fn handle(&self, c: &mut Stream) -> Result {
        script_task(c).await
    }
    fn verify(&self, peer: &Peer) -> bool {
        verify(peer)
    }
}

impl blocking::Handler for ChoosyThread {
    fn handle(&self, c: &mut blocking::Stream) -> Result {
        script(c)
    }
    fn verify(&self, peer: &Peer) -> bool {
        verify(peer)
    }
}

fn proxied_rules(cast: &Cast) -> Result<Report> {
    let server = proxied(cast)?.allow([block("192.0.2.0/24")]).deny([block("192.0.2.2")]);
    serve(cast, server, ChoosyThread, ChoosyTask)
}

/// Twice, one after the other.
fn proxied_again(cast: &Cast) -> Result<Report> {
    let mut server = with_steps(proxied(cast)?, vec![("end", Handle::shutdown)])?;
    tell_where(&server);
    serve_in(cast, &mut server, script, script_task)?;
    Cast::tell("again");
    serve_in(cast, &mut server, script, script_task)
}

fn proxied_serve_one(cast: &Cast) -> Result<Report> {
    let mut server = proxied(cast)?.deny([block("192.0.2.2")]);
    tell_where(&server);
    let served = server.serve_one(script, Duration::from_secs(60))?;
    Cast::tell(&format!("served {served:?}"));
    server.handle().shutdown();
    Ok(server.serve(Serial::default(), script)?)
}

fn plain(cast: &Cast) -> Result<Report> {
    play(cast, server(cast)?)
}

/// Counts the connections that are open at a time, by their events and by the handle.
#[derive(Default)]
struct Count {
    open: AtomicU64,
    most: AtomicU64,
    sampled: AtomicU64,
}

impl Observer for Count {
    fn opened(&self, _: &Opened<'_>) {
        let open = self.open.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(open, SeqCst);
    }
    fn closed(&self, _: &Closed<'_>) {
        self.open.fetch_sub(1, SeqCst);
    }
}

fn cap(cast: &Cast) -> Result<Report> {
    let count = Arc::new(Count::default());
    let sampling = count.clone();
    let server = Server::bind(cast.endpoint())?.observe(count.clone()).stop_on_signals()?.max_connections(100).every(
        Duration::from_millis(1),
        move |handle| {
            let open = handle.open();
            if sampling.sampled.fetch_max(open, SeqCst) < open {
                Cast::tell(&format!("sampled {open}"));
            }
            Ok(())
        },
    );
    let report = play(cast, server)?;
    let [open, most, sampled] = [&count.open, &count.most, &count.sampled].map(|word| word.load(SeqCst));
    Cast::tell(&format!("counted most={most} sampled={sampled} left={open}"));
    Ok(report)
}

/// Nobody may come in, and nobody is looked at before it is told to.
fn always_busy(cast: &Cast) -> Result<Report> {
    let server = server(cast)?.max_connections(0).over_limit(OverLimit::reply("busy"));
    server.handle().suspend();
    play(cast, with_steps(server, vec![("resume", Handle::resume)])?)
}

fn few_descriptors(cast: &Cast) -> Result<Report> {
    socketserver_testkit::limit_descriptors(256);
    plain(cast)
}

fn stopped_before(cast: &Cast) -> Result<Report> {
    let server = server(cast)?;
    let handle = server.handle();
    handle.shutdown();
    handle.drain(Duration::from_secs(5));
    let report = play(cast, server)?;
    handle.shutdown();
    Ok(report)
}

fn all_off(cast: &Cast) -> Result<Report> {
    let server = server(cast)?.idle(SOON).first_byte(SOON).lifetime(SOON).min_rate(1_000_000).write_timeout(SOON);
    play(cast, server.idle(None).first_byte(None).lifetime(None).min_rate(None).write_timeout(None))
}

fn kick(cast: &Cast) -> Result<Report> {
    let one: fn(&Handle) = |handle| {
        let labelled =
            |name: &str| handle.connections().iter().find(|c| c.label.as_deref() == Some(name)).map(|c| c.id);
        let first = labelled("first").unwrap_or(0);
        Cast::tell(&format!("kicked {} {} {}", handle.kick(first), handle.kick(first), handle.kick(999)));
    };
    let some: fn(&Handle) = |handle| {
        let kicked = handle.kick_where(|c| c.label.as_deref().is_some_and(|label| label.starts_with("bot")));
        Cast::tell(&format!("kicked {kicked}"));
    };
    let all: fn(&Handle) = |handle| Cast::tell(&format!("kicked {}", handle.kick_where(|_| true)));
    steps(cast, vec![("one", one), ("some", some), ("all", all)])
}

fn alarm(cast: &Cast) -> Result<Report> {
    let server = server(cast)?.alarm(3, 1, |handle| {
        Cast::tell(&format!("alarm open={}", handle.open()));
        Ok(())
    });
    play(cast, server.deny([block("127.0.0.9")]))
}

fn some_networks(cast: &Cast) -> Result<Report> {
    let (allow, deny) = (["127.0.0.0/29".parse()?, "::1".parse()?], ["127.0.0.2/31".parse()?]);
    play(cast, server(cast)?.allow(allow).deny(deny))
}

fn block(text: &str) -> socketserver::Cidr {
    text.parse().unwrap()
}

fn rules(cast: &Cast) -> Result<Report> {
    steps(
        cast,
        vec![
            ("one each", |handle| handle.set_max_per_peer(1)),
            ("any number each", |handle| handle.set_max_per_peer(None)),
            ("not 2", |handle| handle.set_deny([block("127.0.0.2")])),
            ("only 3", |handle| {
                handle.set_deny([]);
                handle.set_allow([block("127.0.0.3/32")]);
            }),
            ("everybody", |handle| handle.set_allow([])),
        ],
    )
}

fn policies(cast: &Cast) -> Result<Report> {
    let max = |handle: &Handle| Cast::tell(&format!("max {:?}", handle.max_connections()));
    max(&server(cast)?.handle());
    steps(
        cast,
        vec![
            ("at most one", |handle| handle.set_max_connections(1)),
            ("at most two", |handle| handle.set_max_connections(2)),
            ("close", |handle| handle.set_over_limit(OverLimit::Close)),
            ("reply", |handle| handle.set_over_limit(OverLimit::reply("full\n"))),
            ("queue", |handle| handle.set_over_limit(OverLimit::Queue)),
            ("at most one again", |handle| handle.set_max_connections(1)),
            ("any number", |handle| {
                handle.set_max_connections(None);
                Cast::tell(&format!("max {:?}", handle.max_connections()));
            }),
        ],
    )
}

fn rates(cast: &Cast) -> Result<Report> {
    let server = server(cast)?.accept_rate("5/s".parse::<socketserver::Rate>()?);
    let steps: Vec<Step> = vec![
        ("one an hour", |handle| handle.set_accept_rate("1/h".parse::<socketserver::Rate>().unwrap())),
        ("any number", |handle| handle.set_accept_rate(None)),
    ];
    play(cast, with_steps(server, steps)?)
}

/// Tells the stage what happens.
struct Tell;

impl Observer for Tell {
    fn opened(&self, e: &Opened<'_>) {
        Cast::tell(&format!("opened id={} peer={}", e.id, e.peer));
    }
    fn closed(&self, e: &Closed<'_>) {
        let (id, reason, ms) = (e.id, e.reason.as_str(), e.duration.as_millis());
        let failure = e.failure.unwrap_or("-");
        Cast::tell(&format!(
            "closed id={id} peer={} reason={reason} read={} written={} ms={ms} failure={failure}",
            e.peer, e.read, e.written
        ));
    }
    fn refused(&self, e: &Refused<'_>) {
        let failure = e.failure.map_or_else(String::new, |failure| format!(" failure={failure}"));
        Cast::tell(&format!("refused why={} peer={}{failure}", e.why, e.peer));
    }
    fn accept_failed(&self, e: &AcceptFailed<'_>) {
        Cast::tell(&format!("accept_failed {} {:?}", e.error, e.then));
    }
    fn spawn_failed(&self, e: &SpawnFailed<'_>) {
        Cast::tell(&format!("spawn_failed {} {}", e.what, e.error));
    }
    fn hook_failed(&self, e: &HookFailed<'_>) {
        Cast::tell(&format!("hook_failed {} {}", e.hook, e.failure));
    }
    fn draining(&self, e: &Draining) {
        Cast::tell(&format!("draining open={}", e.open));
    }
    fn cut(&self, e: &Cut) {
        Cast::tell(&format!("cut id={}", e.id));
    }
}

/// Holds up the thread that closes a connection.
struct SlowToTell;

impl Observer for SlowToTell {
    fn closed(&self, _: &Closed<'_>) {
        std::thread::sleep(Duration::from_millis(50));
    }
}
