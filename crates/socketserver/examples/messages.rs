//! A message handler with state, over TCP and UDP at once: each peer has a sum of its own, whatever carries its numbers.
//!
//! Over TCP the framing tells messages apart; over UDP each packet is one, and a session is what a connection is.

use socketserver::framing::Line;
use socketserver::{Channel, Endpoint, MessageHandler, Result, Server, Threads, client};

/// Adds up what a peer sends.
struct Sum;

impl MessageHandler for Sum {
    type State = i64;

    fn open(&self, c: &mut Channel) -> Result<i64> {
        println!("somebody is there, by {}", c.carrier());
        Ok(0)
    }

    fn message(&self, sum: &mut i64, message: &[u8], c: &mut Channel) -> Result {
        match std::str::from_utf8(message)?.trim().parse::<i64>() {
            Ok(number) => {
                *sum += number;
                c.send(sum.to_string().as_bytes())?;
            }
            Err(_) => {
                c.send(b"that is no number: goodbye")?;
                c.end();
            }
        }
        Ok(())
    }

    fn close(&self, sum: i64, c: &mut Channel) {
        println!("it is gone, by {}, and its sum was {sum}", c.carrier());
    }
}

fn main() -> Result {
    let server = Server::bind(["tcp://127.0.0.1:0", "udp://127.0.0.1:0"])?;
    let server = server.spawn(Threads::default(), Sum.framed(Line::new()))?;
    let endpoints = server.handle().endpoints().to_vec();
    let [tcp, udp] = &endpoints[..] else { Err("two endpoints")? };
    assert!(matches!(tcp, Endpoint::Tcp { .. }));

    let mut by_tcp = client::connect(tcp)?.into_framed(Line::new());
    by_tcp.send_all(["1", "20", "300"])?;
    let by_udp = client::datagram(udp)?;
    let mut packet = [0; 100];

    for sum in ["1", "21", "321"] {
        assert_eq!(by_tcp.recv()?.as_deref(), Some(sum.as_bytes()));
    }
    for (number, sum) in [("5", "5"), ("50", "55")] {
        by_udp.send(number.as_bytes())?;
        assert_eq!(&*by_udp.recv(&mut packet)?, sum.as_bytes());
    }
    by_tcp.send(b"and so on")?;
    println!("{}", String::from_utf8(by_tcp.recv()?.ok_or("no answer")?)?);
    assert_eq!(by_tcp.recv()?, None);
    server.stop()?;
    println!("a sum over TCP of 321, and one over UDP of 55");
    Ok(())
}
