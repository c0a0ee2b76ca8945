//! One socket asks many peers by UDP, and asks again those that have not answered: a packet may be lost, and nobody tells.
//! Where nobody is, ICMP tells, and the error names the peer; the others are heard as before.

use socketserver::client::{self, Undelivered};
use socketserver::{Datagram, Endpoint, Serial, Server};
use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

fn main() -> socketserver::Result {
    let server = Server::bind(["udp://127.0.0.1:0", "udp://127.0.0.2:0"])?
        .spawn(Serial::default(), |d: &mut Datagram| Ok(d.reply(b"yes")?))?;
    let mut peers = Vec::new();
    for (last, endpoint) in (1..).zip(server.handle().endpoints()) {
        let Endpoint::Udp { port, .. } = endpoint else { unreachable!("that is what was bound") };
        peers.push(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port)));
    }
    // A socket that is connected elsewhere hears nobody else: nobody is at its address.
    let deaf = UdpSocket::bind("127.0.0.3:0")?;
    deaf.connect(deaf.local_addr()?)?;
    peers.push(deaf.local_addr()?);

    let mut socket = client::datagram_socket("udp://*:0")?;
    socket.set_timeout(Duration::from_secs(1));
    let mut left: BTreeSet<_> = peers.into_iter().collect();
    let mut buf = [0; 1500];
    for _attempt in 0..3 {
        for peer in &left {
            socket.send_to(b"are you there?", *peer)?;
        }
        while !left.is_empty() {
            match socket.recv_from(&mut buf) {
                Ok((packet, peer)) if left.remove(&peer) => {
                    println!("{}: {}", peer.ip(), String::from_utf8_lossy(&packet));
                }
                // Twice, or somebody who was not asked.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
                Err(error) => {
                    let peer = Undelivered::of(&error).map(Undelivered::peer);
                    let Some(peer) = peer else { return Err(error.into()) };
                    left.remove(&peer);
                    println!("{}: {error}", peer.ip());
                }
            }
        }
    }
    println!("{} of 3 said nothing", left.len());
    server.stop()?;
    Ok(())
}
