//! The servers that the tests talk to.

use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;
use socketserver::{Failure, Forks, Peer, Report, Result, Server, Threads};
use socketserver_sys::Wake;
use socketserver_testkit::{Cast, Connection, How, Part, Played, Process, Role, limit_descriptors};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) const ALL: &[(&str, Role)] = &[
    ("script", script),
    ("script-two-at-most", script_two_at_most),
    ("script-idle", script_idle),
    ("hooks", hooks),
    ("verify", verify),
    ("bulk", bulk),
    ("twice", twice),
    ("early", early),
    ("every", every),
    ("foreign-child", foreign_child),
    ("threaded-forks", threaded_forks),
    ("small-stack", small_stack),
    ("few-descriptors", few_descriptors),
    ("short-drain", short_drain),
    ("long-drain", long_drain),
    ("write-timeout", write_timeout),
    ("back-to-back", back_to_back),
    ("stop-when-more", stop_when_more),
    ("without-signals", without_signals),
    ("interrupted", interrupted),
    ("verify-kills", verify_kills),
];

/// Waits until there is something to read.
fn wait_for(fd: Option<BorrowedFd<'_>>) -> Result {
    let fd = fd.ok_or("it has no descriptor")?;
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, None))?;
    Ok(())
}

/// Does what each line says.
pub(crate) struct Script;

impl Part for Script {
    async fn handle(&self, c: &mut impl Connection) -> Result {
        while let Some(line) = c.read_line(100_000).await? {
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match word {
                "echo" => c.write_all(format!("{rest}\n").as_bytes()).await?,
                "pid" => c.write_all(format!("{}\n", std::process::id()).as_bytes()).await?,
                "id" => c.write_all(format!("{} {:?}\n", c.id(), c.endpoint()).as_bytes()).await?,
                "peer" => c.write_all(format!("{}\n", c.peer()).as_bytes()).await?,
                "local" => c.write_all(format!("{:?}\n", c.local()).as_bytes()).await?,
                "fail" => return Err(rest.to_owned().into()),
                "panic" => panic!("{rest}"),
                "abort" => std::process::abort(),
                "exit" => std::process::exit(rest.parse()?),
                "stop" => c.server().shutdown(),
                "stop-and-fail" => {
                    c.server().shutdown();
                    return Err("after the stop".into());
                }
                "bye" => {
                    // What the client still sends is not read by anyone.
                    c.write_all(b"bye").await?;
                    return Ok(());
                }
                "long-bye" => {
                    // Not before there is input that nobody will read.
                    wait_for(c.socket())?;
                    c.write_all(&vec![b'x'; 600_000]).await?;
                    return Ok(());
                }
                "wait" => {
                    let mut word = String::new();
                    let _ = c.read_line(100).await?.map(|line| word.push_str(&line));
                    c.write_all(format!("{word} {}\n", c.is_draining()).as_bytes()).await?;
                }
                "exact" => {
                    let mut bytes = vec![0; rest.parse()?];
                    c.read_exact(&mut bytes).await?;
                    c.write_all(&bytes).await?;
                }
                "all" => {
                    let all = c.read_to_end(100_000).await?;
                    c.write_all(format!("{} bytes\n", all.len()).as_bytes()).await?;
                }
                "bulk" => c.write_all(&vec![b'x'; rest.parse()?]).await?,
                // Not to be reached by anything but a signal.
                "hang" => loop {
                    std::thread::park();
                },
                "totals" => c.write_all(format!("{}\n", c.server().open()).as_bytes()).await?,
                other => return Err(format!("no such word: {other}").into()),
            }
        }
        Ok(())
    }

    fn on_error(&self, error: &Failure, peer: &Peer) {
        Cast::tell(&format!("on_error {error} peer={peer}"));
    }
}

fn script(cast: &Cast) -> Result<Report> {
    cast.serve(cast.server()?, Script)
}

fn script_two_at_most(cast: &Cast) -> Result<Report> {
    cast.serve(cast.server()?.max_connections(2), Script)
}

/// Long enough for a client that does speak, however busy the machine is.
fn script_idle(cast: &Cast) -> Result<Report> {
    cast.serve(cast.server()?.idle(Duration::from_secs(1)), Script)
}

fn write_timeout(cast: &Cast) -> Result<Report> {
    cast.serve(cast.server()?.write_timeout(Duration::from_millis(300)), Flood)
}

struct Flood;

impl Part for Flood {
    async fn handle(&self, c: &mut impl Connection) -> Result {
        let piece = [0; 64 * 1024];
        loop {
            c.write_all(&piece).await?;
        }
    }

    fn on_error(&self, error: &Failure, _: &Peer) {
        Cast::tell(&format!("on_error {error}"));
    }
}

/// Tells of every hook; the first line says which is to fail, and how.
struct Hooks;

fn misbehave(how: &str, hook: &str) -> Result {
    match how.strip_prefix(hook) {
        Some(" fails") => Err(format!("{hook} failed").into()),
        Some(" panics") => panic!("{hook} panicked"),
        _ => Ok(()),
    }
}

impl Part for Hooks {
    async fn setup(&self, c: &mut impl Connection) -> Result {
        Cast::tell("setup");
        // Looked at and left for `handle`.
        let line = c.fill_buf().await?.to_vec();
        misbehave(std::str::from_utf8(&line)?.trim_end(), "setup")
    }

    async fn handle(&self, c: &mut impl Connection) -> Result {
        Cast::tell("handle");
        let how = c.read_line(100).await?.unwrap_or_default();
        c.write_all(b"handled\n").await?;
        misbehave(&how, "handle")?;
        if how == "finish fails" || how == "finish panics" || how == "on_error panics" {
            FINISH.store(how == "finish panics", Ordering::SeqCst);
            FINISH_FAILS.store(how != "finish panics", Ordering::SeqCst);
            ON_ERROR.store(how == "on_error panics", Ordering::SeqCst);
        }
        Ok(())
    }

    async fn finish(&self, _: &mut impl Connection) -> Result {
        Cast::tell("finish");
        if FINISH.swap(false, Ordering::SeqCst) {
            panic!("finish panicked");
        }
        if FINISH_FAILS.swap(false, Ordering::SeqCst) {
            return Err("finish failed".into());
        }
        Ok(())
    }

    fn on_error(&self, error: &Failure, _: &Peer) {
        Cast::tell(&format!("on_error {error}"));
        if ON_ERROR.swap(false, Ordering::SeqCst) {
            panic!("on_error panicked");
        }
    }
}

static FINISH: AtomicBool = AtomicBool::new(false);
static FINISH_FAILS: AtomicBool = AtomicBool::new(false);
static ON_ERROR: AtomicBool = AtomicBool::new(false);

fn hooks(cast: &Cast) -> Result<Report> {
    cast.serve(cast.server()?, Hooks)
}

/// Turns away the second peer, panics at the third.
struct Verify(std::sync::atomic::AtomicUsize);

impl Part for Verify {
    fn verify(&self, _: &Peer) -> bool {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            1 => false,
            2 => panic!("verify panicked"),
            _ => true,
        }
    }

    async fn handle(&self, c: &mut impl Connection) -> Result {
        Cast::tell("handle");
        c.write_all(b"in\n").await?;
        Ok(())
    }
}

fn verify(cast: &Cast) -> Result<Report> {
    cast.serve(cast.server()?, Verify(0.into()))
}

/// Writes eight million bytes while signals come in.
fn bulk(cast: &Cast) -> Result<Report> {
    let server = cast.server()?.on_signal(socketserver::Signal::User2, |_| Ok(()))?;
    cast.serve(server, Bulk)
}

struct Bulk;

impl Part for Bulk {
    async fn handle(&self, c: &mut impl Connection) -> Result {
        let mut go = [0];
        c.read_exact(&mut go).await?;
        let piece: Vec<u8> = (0..250u8).cycle().take(1_000_000).collect();
        for _ in 0..8 {
            c.write_all(&piece).await?;
        }
        Ok(())
    }
}

/// Writes more than any socket takes unread, then reads with a deadline of its own: two waits that signals come into.
fn interrupted(cast: &Cast) -> Result<Report> {
    let server = cast.server()?.on_signal(socketserver::Signal::User2, |_| Ok(()))?;
    cast.serve(server, Interrupted)
}

struct Interrupted;

impl Part for Interrupted {
    async fn handle(&self, c: &mut impl Connection) -> Result {
        let thread = std::fs::read_link("/proc/thread-self")?;
        Cast::tell(&format!("thread {}", thread.file_name().unwrap_or_default().display()));
        c.write_all(&vec![b'x'; crate::serving::MORE_THAN_FITS]).await?;
        c.set_idle(Some(Duration::from_secs(3600)));
        let line = c.read_line(100).await?.unwrap_or_default();
        c.write_all(line.as_bytes()).await?;
        Ok(())
    }
}

/// The same server serves again after a shutdown.
fn twice(cast: &Cast) -> Result<Report> {
    let mut server = cast.server()?;
    let old = server.handle();
    cast.serve_again(&mut server, Script)?;
    // What was stopped once stays stopped, and says nothing about the next run.
    old.shutdown();
    cast.serve_again(&mut server, Script)
}

/// Stopped before it serves.
fn early(cast: &Cast) -> Result<Report> {
    let server = cast.server()?;
    server.handle().shutdown();
    server.handle().shutdown();
    cast.serve(server, Script)
}

fn back_to_back(cast: &Cast) -> Result<Report> {
    for at in 0..19 {
        let mut server = Server::bind(cast.endpoint())?;
        let handle = server.handle();
        // Half of them are stopped before they begin, half in their first turn.
        if at % 2 == 0 {
            handle.shutdown();
        } else {
            server = server.every(Duration::from_millis(1), |handle| {
                handle.shutdown();
                Ok(())
            });
        }
        cast.serve(server, Script)?;
    }
    cast.serve(cast.server()?, Script)
}

fn every(cast: &Cast) -> Result<Report> {
    let mut turns = 0;
    let server = cast.server()?.every(Duration::from_millis(5), move |handle| {
        turns += 1;
        match turns {
            1 => Err("the first turn failed".into()),
            2 => panic!("the second turn panicked"),
            3 => {
                Cast::tell(&format!("third turn, open={}", handle.open()));
                Ok(())
            }
            _ => Ok(()),
        }
    });
    cast.serve(server, Script)
}

/// A child that is not the server's stays its owner's to wait for.
fn foreign_child(cast: &Cast) -> Result<Report> {
    let mut foreign = std::process::Command::new("true").spawn()?;
    let report = cast.serve(cast.server()?, Script)?;
    Cast::tell(&format!("foreign child: {}", foreign.wait()?));
    Ok(report)
}

fn threaded_forks(cast: &Cast) -> Result<Report> {
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let _other = std::thread::spawn(move || receive.recv());
    let report = cast.serve_on(cast.server()?, Forks::new(2), Played(Script));
    drop(send);
    report
}

/// Nothing but what serving takes: so what a process of it holds can be told to the last socket.
fn without_signals(cast: &Cast) -> Result<Report> {
    cast.serve(Server::bind(cast.endpoint())?, Script)
}

/// Whenever a connection comes, the child that was ready for it is killed.
struct VerifyKills;

impl Part for VerifyKills {
    fn verify(&self, _: &Peer) -> bool {
        for child in Process::me().children() {
            let child = Process::of(child);
            child.signal(Signal::KILL);
            // It keeps its end of the feed until then.
            child.settles("it has ended", |child| child.state() == Some('Z'));
        }
        true
    }

    async fn handle(&self, c: &mut impl Connection) -> Result {
        Script.handle(c).await
    }
}

fn verify_kills(cast: &Cast) -> Result<Report> {
    cast.serve(cast.server()?, VerifyKills)
}

fn small_stack(cast: &Cast) -> Result<Report> {
    let How::Threads(max) = cast.how() else { return Err("a role for threads".into()) };
    cast.serve_on(cast.server()?, Threads::new(max).stack_size(64 * 1024), Played(Script))
}

fn few_descriptors(cast: &Cast) -> Result<Report> {
    limit_descriptors(64);
    cast.serve(cast.server()?, Script)
}

/// Stops the server when there is input that it has not read, and reads it when the drain has reached the connection.
fn stop_when_more(cast: &Cast) -> Result<Report> {
    // Not an atomic: the hook runs in another process than the handler where there are children.
    let reached = Arc::new(Wake::new()?);
    let tell = reached.clone();
    let mut turns = 0;
    let server = cast.server()?.every(Duration::from_millis(1), move |handle| {
        // The drain goes through the connections after the first turn that sees the stop, and before the second.
        turns += usize::from(handle.is_stopping());
        if turns == 2 {
            tell.wake();
        }
        Ok(())
    });
    cast.serve(server, StopWhenMore { reached })
}

struct StopWhenMore {
    reached: Arc<Wake>,
}

impl Part for StopWhenMore {
    async fn handle(&self, c: &mut impl Connection) -> Result {
        c.write_all(b"ready\n").await?;
        wait_for(c.socket())?;
        c.server().shutdown();
        wait_for(Some(self.reached.as_fd()))?;
        while let Some(line) = c.read_line(100).await? {
            c.write_all(format!("{line}\n").as_bytes()).await?;
        }
        Ok(())
    }
}

/// Drains for longer than any test waits.
fn long_drain(cast: &Cast) -> Result<Report> {
    cast.serve(cast.server()?.drain_deadline(Duration::from_secs(3600)), Script)
}

/// Drains within 300 ms; a connection that says so is not to be moved.
fn short_drain(cast: &Cast) -> Result<Report> {
    cast.serve(cast.server()?.drain_deadline(Duration::from_millis(300)), Stubborn)
}

struct Stubborn;

impl Part for Stubborn {
    async fn handle(&self, c: &mut impl Connection) -> Result {
        let line = c.read_line(100).await?.unwrap_or_default();
        match &line[..] {
            // Waits for its peer, in the middle of a line.
            "half" => {
                c.write_all(b"go\n").await?;
                c.read_line(100).await?;
            }
            // Waits for its peer to take what it writes.
            "stuff" => {
                let piece = [0; 64 * 1024];
                loop {
                    c.write_all(&piece).await?;
                }
            }
            // Waits for nobody.
            "compute" => {
                c.write_all(b"go\n").await?;
                loop {
                    std::thread::park();
                }
            }
            _ => {
                c.write_all(b"go\n").await?;
                c.read_to_end(100).await?;
            }
        }
        Ok(())
    }

    async fn finish(&self, c: &mut impl Connection) -> Result {
        Cast::tell(&format!("finish {}", c.id()));
        Ok(())
    }

    fn on_error(&self, error: &Failure, _: &Peer) {
        Cast::tell(&format!("on_error {error}"));
    }
}
