//! What plain connections do, over TLS: both engines, both ends.

use socketserver::client::{ClientTls, Connector};
use socketserver::{Running, Serial, Server, ServerTls, Stream, Tasks, Threads, TlsVersion, blocking};
use std::io::{Read, Write};

fn tls() -> ServerTls {
    ServerTls::new().self_signed(["localhost", "127.0.0.1"]).unwrap()
}

fn lines(c: &mut blocking::Stream) -> socketserver::Result {
    while let Some(line) = c.read_line(1024)? {
        c.write_all(format!("{}\n", line.to_uppercase()).as_bytes())?;
    }
    Ok(())
}

async fn lines_async(c: &mut Stream) -> socketserver::Result {
    while let Some(line) = c.read_line(1024).await? {
        c.write_all(format!("{}\n", line.to_uppercase()).as_bytes()).await?;
    }
    Ok(())
}

/// On each engine.
fn servers(tls: &ServerTls) -> Vec<Running> {
    let server = || Server::bind("tls://127.0.0.1:0").unwrap().tls(tls.clone()).unwrap();
    vec![
        server().spawn(Serial::default(), lines).unwrap(),
        server().spawn(Threads::default(), lines).unwrap(),
        server().spawn(Tasks::new(2), async |c: &mut Stream| lines_async(c).await).unwrap(),
    ]
}

#[test]
fn lines_come_back() {
    let tls = tls();
    let connector = Connector::new().tls(ClientTls::new().fingerprint(tls.fingerprint().unwrap()));
    for server in servers(&tls) {
        let at = server.handle().endpoints()[0].clone();
        let mut c = connector.connect(&at).unwrap();
        let info = c.tls().unwrap();
        assert_eq!(info.version(), TlsVersion::Tls13);
        for word in ["one", "two"] {
            c.write_all(format!("{word}\n").as_bytes()).unwrap();
            assert_eq!(c.read_line(100).unwrap(), Some(word.to_uppercase()));
        }
        c.close_write().unwrap();
        assert_eq!(c.read_to_end(100).unwrap(), b"");
        drop(c);
        let report = server.stop().unwrap();
        assert_eq!((report.totals.accepted, report.totals.handshakes_failed), (1, 0), "{report:?}");
    }
}

#[test]
fn much_goes_both_ways_at_a_time() {
    let tls = tls();
    let connector = Connector::new().tls(ClientTls::new().fingerprint(tls.fingerprint().unwrap()));
    let line = format!("{}\n", "x".repeat(1000));
    for server in servers(&tls) {
        let (read, mut write) = connector.connect(&server.handle().endpoints()[0]).unwrap().split().unwrap();
        let sent = line.repeat(4000);
        let text = sent.clone();
        let writer = std::thread::spawn(move || {
            write.write_all(text.as_bytes()).unwrap();
            write.close().unwrap();
        });
        let mut read = read;
        let mut all = Vec::new();
        read.read_to_end(&mut all).unwrap();
        writer.join().unwrap();
        assert!(all == sent.to_uppercase().into_bytes());
        server.stop().unwrap();
    }
}

#[test]
fn the_async_client_speaks_it_too() {
    let tls = tls();
    let connector = Connector::new().tls(ClientTls::new().fingerprint(tls.fingerprint().unwrap()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for server in servers(&tls) {
        runtime.block_on(async {
            let mut c = connector.connect_async(&server.handle().endpoints()[0]).await.unwrap();
            c.write_all(b"hello\n").await.unwrap();
            assert_eq!(c.read_line(100).await.unwrap().as_deref(), Some("HELLO"));
        });
        server.stop().unwrap();
    }
}

#[test]
fn a_plain_connection_becomes_tls() {
    let tls = tls();
    let trusted = ClientTls::new().fingerprint(tls.fingerprint().unwrap());
    let server = || Server::bind("tcp://127.0.0.1:0").unwrap().tls(tls.clone()).unwrap();
    let servers = [
        server().spawn(Threads::default(), |c: &mut blocking::Stream| {
            assert_eq!(c.read_line(100)?.as_deref(), Some("STARTTLS"));
            c.write_all(b"go on\n")?;
            c.start_tls()?;
            lines(c)
        }),
        server().spawn(Tasks::new(1), async |c: &mut Stream| {
            assert_eq!(c.read_line(100).await?.as_deref(), Some("STARTTLS"));
            c.write_all(b"go on\n").await?;
            c.start_tls().await?;
            lines_async(c).await
        }),
    ];
    for server in servers.map(Result::unwrap) {
        let at = server.handle().endpoints()[0].clone();
        let mut c = Connector::new().connect(&at).unwrap();
        assert_eq!(c.tls(), None);
        c.write_all(b"STARTTLS\n").unwrap();
        assert_eq!(c.read_line(100).unwrap().as_deref(), Some("go on"));
        c.start_tls_as_client(&trusted, "localhost").unwrap();
        c.write_all(b"secret\n").unwrap();
        assert_eq!(c.read_line(100).unwrap().as_deref(), Some("SECRET"));
        // What comes behind the wish for TLS in plain words could be anybody's.
        let mut c = Connector::new().connect(&at).unwrap();
        c.write_all(b"STARTTLS\nforged\n").unwrap();
        assert_eq!(c.read_line(100).unwrap().as_deref(), Some("go on"));
        assert_eq!(c.read_to_end(100).unwrap(), b"");
        let report = server.stop().unwrap();
        assert_eq!(report.totals.handshakes_failed, 1, "{report:?}");
    }
}
