//! What a stream promises, over TLS: ends, deadlines, drain.

use crate::site::{Site, sites};
use socket2::SockRef;
use socketserver::client::{ClientTls, Connector};
use socketserver::{HandshakeFailure, Reason, Server, ServerTls, Stream, Tasks, Threads, blocking};
use socketserver_testkit::{Client, OpenSsl};
use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SOON: Duration = Duration::from_millis(300);
const MEGABYTES: usize = 32 << 20;

struct Trial {
    tls: ServerTls,
    connector: Connector,
}

impl Trial {
    fn new() -> Self {
        let tls = ServerTls::new().self_signed(["localhost", "127.0.0.1"]).unwrap();
        let connector = Connector::new().tls(ClientTls::new().fingerprint(tls.fingerprint().unwrap()));
        Self { tls, connector }
    }

    fn sites(&self, tune: impl Fn(Server) -> Server) -> [Site; 3] {
        sites("tls://127.0.0.1:0", &self.tls, tune)
    }

    fn connect(&self, site: &Site) -> blocking::Stream {
        self.connector.connect(site.at()).unwrap()
    }
}

#[track_caller]
fn expect_line(c: &mut blocking::Stream, line: &str) {
    assert_eq!(c.read_line(100_000).unwrap().as_deref(), Some(line));
}

#[track_caller]
fn expect_end(c: &mut blocking::Stream) {
    assert_eq!(c.read_to_end(100).unwrap(), b"");
}

#[test]
fn an_end_without_a_goodbye_is_none() {
    let trial = Trial::new();
    for site in trial.sites(|server| server) {
        let mut c = trial.connect(&site);
        c.write_all(b"echo in\n").unwrap();
        expect_line(&mut c, "in");
        SockRef::from(&c).shutdown(Shutdown::Write).unwrap();
        site.expect_closed(Reason::Disconnected);
        // The server keeps to the rules all the same.
        expect_end(&mut c);
        // What came before it is not lost, and not taken for all.
        let mut c = trial.connect(&site);
        c.write_all(b"all\nmore").unwrap();
        SockRef::from(&c).shutdown(Shutdown::Write).unwrap();
        site.expect_closed(Reason::Disconnected);
        site.stop();
    }
}

#[test]
fn a_reset_is_a_peer_that_left() {
    let trial = Trial::new();
    for site in trial.sites(|server| server) {
        let mut c = trial.connect(&site);
        c.write_all(b"echo in\n").unwrap();
        expect_line(&mut c, "in");
        SockRef::from(&c).set_linger(Some(Duration::ZERO)).unwrap();
        drop(c);
        site.expect_closed(Reason::Disconnected);
        assert_eq!(site.stop().totals.failed, 0);
    }
}

#[test]
fn either_side_may_end_first() {
    let trial = Trial::new();
    for site in trial.sites(|server| server) {
        let mut c = trial.connect(&site);
        c.write_all(b"all\nabc").unwrap();
        c.close_write().unwrap();
        expect_line(&mut c, "3 bytes");
        expect_end(&mut c);
        site.expect_closed(Reason::Finished);

        let mut c = trial.connect(&site);
        c.write_all(b"half\n").unwrap();
        expect_line(&mut c, "no more");
        expect_end(&mut c);
        c.write_all(b"fail and was heard\n").unwrap();
        let closed = site.closed();
        assert_eq!(closed, (Reason::Failed, "and was heard".into()), "{}", site.name);
        site.stop();
    }
}

#[test]
fn much_goes_each_way() {
    let trial = Trial::new();
    for site in trial.sites(|server| server) {
        let mut c = trial.connect(&site);
        c.write_all(format!("bulk {MEGABYTES}\nall\n").as_bytes()).unwrap();
        let mut all = vec![0; MEGABYTES];
        c.read_exact(&mut all).unwrap();
        assert!(all.iter().all(|byte| *byte == b'x'));
        c.write_all(&all).unwrap();
        c.close_write().unwrap();
        expect_line(&mut c, &format!("{MEGABYTES} bytes"));
        expect_end(&mut c);
        site.expect_closed(Reason::Finished);
        let totals = site.stop().totals;
        assert!(totals.read > MEGABYTES as u64 && totals.written > MEGABYTES as u64, "{totals:?}");
    }
}

#[test]
fn deadlines_and_cuts_are_those_of_any_stream() {
    let trial = Trial::new();
    let in_order = |c: &mut blocking::Stream| expect_end(c);
    let by_force = |c: &mut blocking::Stream| {
        // Whatever it is, it is not the end of what was said.
        assert!(c.read_to_end(100).is_err());
    };
    for site in trial.sites(|server| server.idle(SOON)) {
        let mut c = trial.connect(&site);
        in_order(&mut c);
        site.expect_closed(Reason::Idle);
        site.stop();
    }
    for site in trial.sites(|server| server.write_timeout(SOON)) {
        let mut c = trial.connect(&site);
        c.write_all(b"flood\n").unwrap();
        site.expect_closed(Reason::WriteTimeout);
        drop(c);
        site.stop();
    }
    for site in trial.sites(|server| server.lifetime(SOON)) {
        let mut c = trial.connect(&site);
        by_force(&mut c);
        site.expect_closed(Reason::Lifetime);
        // In a handshake, too.
        site.plain().expect_gone();
        site.expect_closed(Reason::Lifetime);
        site.stop();
    }
    for site in trial.sites(|server| server) {
        let mut c = trial.connect(&site);
        assert_eq!(site.handle().kick_where(|_| true), 1);
        by_force(&mut c);
        site.expect_closed(Reason::Kicked);
        let mut silent = site.plain();
        site.settles(1);
        assert_eq!(site.handle().kick_where(|_| true), 1);
        silent.expect_gone();
        site.expect_closed(Reason::Kicked);
        let mut c = trial.connect(&site);
        c.write_all(b"panic at the end\n").unwrap();
        expect_end(&mut c);
        assert_eq!(site.closed(), (Reason::Panicked, "panicked: at the end".into()), "{}", site.name);
        site.stop();
    }
}

#[test]
fn the_first_byte_is_the_first_that_the_handler_is_given() {
    let trial = Trial::new();
    for site in trial.sites(|server| server.first_byte(SOON)) {
        // The handshake has a deadline of its own.
        let mut silent = site.plain();
        let mut c = if site.name == "serial" { None } else { Some(trial.connect(&site)) };
        if let Some(c) = &mut c {
            expect_end(c);
            site.expect_closed(Reason::FirstByte);
        }
        site.settles(1);
        assert_eq!(site.handle().kick_where(|_| true), 1);
        silent.expect_gone();
        site.expect_closed(Reason::Kicked);
        let mut c = trial.connect(&site);
        expect_end(&mut c);
        site.expect_closed(Reason::FirstByte);
        site.stop();
    }
}

#[test]
fn a_drain_ends_what_is_idle_and_lets_a_reply_arrive() {
    let trial = Trial::new();
    for site in trial.sites(|server| server) {
        let mut c = trial.connect(&site);
        c.write_all(b"echo in\n").unwrap();
        expect_line(&mut c, "in");
        site.handle().shutdown();
        expect_end(&mut c);
        let (report, closed) = site.join();
        assert!(report.is_clean());
        assert_eq!(closed, [(Reason::Drained, String::new())]);
    }
    for site in trial.sites(|server| server) {
        let mut c = trial.connect(&site);
        // It begins to arrive, and most of it waits for us.
        c.write_all(format!("bulk {MEGABYTES}\n").as_bytes()).unwrap();
        let mut all = vec![0; MEGABYTES];
        c.read_exact(&mut all[..1]).unwrap();
        site.handle().shutdown();
        c.read_exact(&mut all[1..]).unwrap();
        assert!(all.iter().all(|byte| *byte == b'x'));
        expect_end(&mut c);
        let (report, closed) = site.join();
        assert!(report.is_clean());
        assert_eq!(closed, [(Reason::Drained, String::new())]);
    }
}

#[test]
fn a_drain_waits_for_no_handshake() {
    let trial = Trial::new();
    for site in trial.sites(|server| server) {
        let mut silent = site.plain();
        silent.say([22, 3, 1]);
        site.settles(1);
        site.handle().shutdown();
        silent.expect_gone();
        let (report, closed) = site.join();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(closed, [(Reason::Drained, String::new())]);
        assert_eq!(report.totals.handshakes_failed, 0);
    }
}

#[test]
fn plain_and_tls_on_one_port() {
    let trial = Trial::new();
    let tls = trial.tls.clone().or_plain();
    for site in sites("tls://127.0.0.1:0", &tls, |server| server.handshake(SOON)) {
        let mut c = trial.connect(&site);
        c.write_all(b"echo in\nbye\n").unwrap();
        expect_line(&mut c, "in");
        expect_line(&mut c, "bye");
        expect_end(&mut c);
        drop(c);
        site.expect_closed(Reason::Finished);

        let mut plain = site.plain();
        plain.say("echo in plain words\nbye\n");
        plain.expect("in plain words\nbye\n");
        plain.expect_end();
        drop(plain);
        site.expect_closed(Reason::Finished);

        // Who says nothing is neither.
        site.plain().expect_gone();
        site.expect_closed(Reason::Handshake(HandshakeFailure::Timeout));
        let mut leaves = site.plain();
        leaves.end();
        leaves.expect_end();
        site.expect_closed(Reason::Finished);
        // One who begins in TLS has to go on in it.
        let mut half = site.plain();
        half.say([22]);
        half.expect_gone();
        site.expect_closed(Reason::Handshake(HandshakeFailure::Timeout));
        assert_eq!(site.stop().totals.handshakes_failed, 2);
    }
    // A drain does not wait for them either.
    for site in sites("tls://127.0.0.1:0", &tls, |server| server) {
        let mut silent = site.plain();
        site.settles(1);
        site.handle().shutdown();
        silent.expect_gone();
        let (report, closed) = site.join();
        assert!(report.is_clean());
        assert_eq!(closed, [(Reason::Drained, String::new())]);
    }
}

#[test]
fn a_plain_connection_becomes_tls_or_ends() {
    let trial = Trial::new();
    for site in sites("tcp://127.0.0.1:0", &trial.tls, |server| server.handshake(SOON)) {
        let asks = |site: &Site| {
            let mut client = site.plain();
            client.say("upgrade\n");
            client.expect("go on\n");
            client
        };
        asks(&site).expect_gone();
        site.expect_closed(Reason::Handshake(HandshakeFailure::Timeout));
        let mut client: Client = asks(&site);
        client.say("HELO\r\n");
        client.expect_gone();
        drop(client);
        site.expect_closed(Reason::Handshake(HandshakeFailure::NotTls));
        asks(&site).reset();
        site.expect_closed(Reason::Handshake(HandshakeFailure::Disconnected));
        // There is no second time.
        let mut c = Connector::new().connect(site.at()).unwrap();
        c.write_all(b"upgrade\n").unwrap();
        expect_line(&mut c, "go on");
        let trusted = ClientTls::new().fingerprint(trial.tls.fingerprint().unwrap());
        c.start_tls_as_client(&trusted, "localhost").unwrap();
        assert_eq!(c.start_tls_as_client(&trusted, "localhost").unwrap_err().kind(), ErrorKind::InvalidInput);
        c.write_all(b"echo still\nupgrade\n").unwrap();
        expect_line(&mut c, "still");
        expect_line(&mut c, "go on");
        expect_end(&mut c);
        drop(c);
        let closed = site.closed();
        assert!(closed.0 == Reason::Failed && closed.1.contains("TLS already"), "{closed:?}");
        assert_eq!(site.stop().totals.handshakes_failed, 3);
    }
    // A drain meets it in the middle.
    for site in sites("tcp://127.0.0.1:0", &trial.tls, |server| server) {
        let mut client = site.plain();
        client.say("upgrade\n");
        client.expect("go on\n");
        client.say([22, 3, 1]);
        site.handle().shutdown();
        client.expect_gone();
        let (report, closed) = site.join();
        assert!(report.is_clean());
        assert_eq!(closed, [(Reason::Drained, String::new())]);
    }
}

#[test]
fn somebody_elses_client_asks_for_tls() {
    let Some(openssl) = OpenSsl::find() else { return };
    let tls = ServerTls::new().self_signed(["localhost"]).unwrap();
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().tls(tls).unwrap();
    // As PostgreSQL has it: a request of eight bytes, and a letter that says yes.
    let server = server.spawn(Threads::new(4), |c: &mut blocking::Stream| {
        let mut request = [0; 8];
        c.read_exact(&mut request)?;
        assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47]);
        c.write_all(b"S")?;
        c.start_tls()?;
        crate::site::script(c)
    });
    let server = server.unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        let at = server.handle().endpoints()[0].clone();
        let told = openssl.ask(&at, &["-starttls", "postgres", version], "echo it is secret\nbye");
        assert!(told.heard("it is secret") && told.heard("bye"), "{told:?}");
    }
    assert_eq!(server.stop().unwrap().totals.handshakes_failed, 0);
}

/// Says so much, and listens to what the server says when that is through.
async fn both_at_a_time(c: &mut Stream) -> socketserver::Result {
    let (mut read, mut write) = tokio::io::split(c);
    let said = async {
        write.write_all(&vec![b'x'; MEGABYTES]).await?;
        write.shutdown().await
    };
    let mut all = Vec::new();
    let (said, heard) = tokio::join!(said, read.read_to_end(&mut all));
    said?;
    assert_eq!(heard?, MEGABYTES);
    Ok(())
}

#[test]
fn a_peer_that_does_not_listen_yet_is_listened_to() {
    let trial = Trial::new();
    for endpoint in ["tcp://127.0.0.1:0", "tls://127.0.0.1:0"] {
        let server = Server::bind(endpoint).unwrap().tls(trial.tls.clone()).unwrap();
        let server = server.spawn(Tasks::new(1), async |c: &mut Stream| both_at_a_time(c).await).unwrap();
        let mut c = trial.connector.connect(&server.handle().endpoints()[0]).unwrap();
        c.write_all(&vec![b'y'; MEGABYTES]).unwrap();
        c.close_write().unwrap();
        assert_eq!(c.read_to_end(MEGABYTES).unwrap().len(), MEGABYTES);
        drop(c);
        assert_eq!(server.stop().unwrap().totals.failed, 0);
    }
}

/// Gives back what comes, as it comes.
fn echo(c: &mut blocking::Stream) -> socketserver::Result {
    let mut piece = vec![0; 64 * 1024];
    loop {
        match c.read(&mut piece)? {
            0 => return Ok(()),
            count => c.write_all(&piece[..count])?,
        }
    }
}

#[test]
fn halves_may_be_in_tasks_of_their_own() {
    let trial = Trial::new();
    let server = Server::bind("tls://127.0.0.1:0").unwrap().tls(trial.tls.clone()).unwrap();
    let server = server.spawn(Threads::new(2), echo).unwrap();
    let at = server.handle().endpoints().remove(0);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut read, mut write) = tokio::io::split(trial.connector.connect_async(&at).await.unwrap());
        let says = tokio::spawn(async move {
            write.write_all(&vec![b'x'; MEGABYTES]).await?;
            write.shutdown().await
        });
        let hears = tokio::spawn(async move {
            let mut all = Vec::new();
            read.read_to_end(&mut all).await.map(|_| all)
        });
        says.await.unwrap().unwrap();
        assert_eq!(hears.await.unwrap().unwrap().len(), MEGABYTES);
    });
    assert_eq!(server.stop().unwrap().totals.failed, 0);
}
