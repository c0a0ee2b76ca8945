//! While packets come in a flood a shard does not wait for them: that costs nobody else anything, and nothing once it is over.

use crate::datagrams::{client, exchange, port};
use crate::undelivered::{deaf, hears, named};
use socketserver::{Datagram, Running, Server, Stream, Tasks};
use socketserver_testkit::Client;
use std::net::UdpSocket;
use std::sync::{Arc, OnceLock};

/// Sends packets again while they are handled: so as many as were sent once always wait together, and each call receives all
/// of them.
#[derive(Clone, Default)]
struct Echoes(Arc<OnceLock<UdpSocket>>);

/// So many packets at a time.
const MANY: usize = 64;
/// One that comes back for ever.
const FOR_EVER: u8 = u8::MAX;

impl Echoes {
    /// `true`: it was one of the flood, which comes back so many times more as its first byte says.
    fn again(&self, d: &Datagram) -> bool {
        let (Some(socket), &[left]) = (self.0.get(), d.packet()) else { return false };
        if left > 0 {
            socket.send(&[left - u8::from(left != FOR_EVER)]).unwrap();
        }
        true
    }

    /// Begins a flood: so many batches of many.
    fn begin(&self, server: &Running, batches: u8) {
        let socket = self.0.get_or_init(|| client("127.0.0.1", [127, 0, 0, 1], port(server)));
        for _ in 0..MANY {
            socket.send(&[batches]).unwrap();
        }
    }
}

#[test]
fn who_comes_after_a_flood_is_heard() {
    let check = |server: Running, echoes: Echoes| {
        let client = client("127.0.0.1", [127, 0, 0, 1], port(&server));
        for flood in 1..=3 {
            echoes.begin(&server, 50);
            // It is handled after those that wait before it, and then it is quiet.
            crate::eventually(|| server.handle().totals().packets == flood * (MANY as u64 * 51 + 2) - 2);
            assert_eq!(exchange(&client, b"quiet"), b"QUIET");
            assert_eq!(exchange(&client, b"still"), b"STILL");
        }
        server.stop().unwrap();
    };
    let (echoes, bind) = (Echoes::default(), || Server::bind("udp://127.0.0.1:0").unwrap());
    let again = echoes.clone();
    let server = bind().spawn(Tasks::new(1), move |d: &mut Datagram| match again.again(d) {
        true => Ok(()),
        false => crate::datagrams::upper(d),
    });
    check(server.unwrap(), echoes);
    let echoes = Echoes::default();
    let again = echoes.clone();
    let server = bind().spawn(Tasks::new(1), async move |d: &mut Datagram| match again.again(d) {
        true => Ok(()),
        false => crate::datagrams::upper(d),
    });
    check(server.unwrap(), echoes);
}

/// Nor is it when it has become a trickle, which never stops.
#[test]
fn a_flood_gives_way_to_others() {
    let check = |server: Running, echoes: Echoes| {
        echoes.begin(&server, 50);
        echoes.0.get().unwrap().send(&[FOR_EVER]).unwrap();
        crate::eventually(|| server.handle().totals().packets > MANY as u64 * 51);
        let mut client = Client::connect(&server.handle().endpoints()[1]).unwrap();
        client.say("hello\n");
        client.expect("hello\n");
        drop(client);
        assert!(server.stop().unwrap().is_clean());
    };
    let echo = async |c: &mut Stream| {
        while let Some(line) = c.read_until(b'\n', 100).await? {
            c.write_all(&line).await?;
        }
        Ok(())
    };
    let (echoes, bind) = (Echoes::default(), || Server::bind(["udp://127.0.0.1:0", "tcp://127.0.0.1:0"]).unwrap());
    let again = echoes.clone();
    let server = bind().spawn(
        Tasks::new(1),
        (echo, move |d: &mut Datagram| {
            again.again(d);
            Ok(())
        }),
    );
    check(server.unwrap(), echoes);
    let echoes = Echoes::default();
    let again = echoes.clone();
    let server = bind().spawn(
        Tasks::new(1),
        (echo, async move |d: &mut Datagram| {
            again.again(d);
            Ok(())
        }),
    );
    check(server.unwrap(), echoes);
}

/// What ICMP brings back when nothing else comes in: the reply left after the flood.
#[test]
fn an_error_after_a_flood_is_told() {
    let (observer, heard) = hears();
    let (release, released) = tokio::sync::watch::channel(false);
    let echoes = Echoes::default();
    let again = echoes.clone();
    let server = Server::bind("udp://127.0.0.1:0").unwrap().observe(observer);
    let server = server
        .spawn(Tasks::new(1), async move |d: &mut Datagram| {
            if !again.again(d) {
                released.clone().wait_for(|is| *is).await?;
                d.reply(b"too late")?;
            }
            Ok(())
        })
        .unwrap();
    let (gone, addr) = deaf("127.0.0.1");
    gone.send_to(b"later", ("127.0.0.1", port(&server))).unwrap();
    echoes.begin(&server, 50);
    crate::eventually(|| server.handle().totals().packets == MANY as u64 * 51 + 1);
    release.send(true).unwrap();
    assert_eq!(named(&heard, 1), [addr]);
    server.stop().unwrap();
}
