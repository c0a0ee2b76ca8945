//! A chat: each line that somebody says goes to all others; by several hands.

use std::io;
use std::net::SocketAddr;

use socketserver::framing::Line;
use socketserver::{Channel, Hub, Membership, MessageHandler, Server, Tasks};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::broadcast::{self, Sender};

use super::{BACKLOG, announce};

/// How many messages its channel holds, as in the documentation of `tokio::sync::broadcast`. Whoever is further behind loses
/// some.
const CAPACITY: usize = 16;

const GREETING: &str = "welcome";

/// As tutorials write it, on one thread.
pub(super) fn broadcast() -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_nodelay(true)?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        announce(listener.local_addr()?)?;
        let (sender, _) = broadcast::channel(CAPACITY);
        loop {
            let (stream, address) = listener.accept().await?;
            let sender = sender.clone();
            tokio::spawn(async move {
                // Whoever resets or loses some is lost: the load tells.
                let _over = talk(stream, address, sender).await;
            });
        }
    })
}

/// One of those who talk.
async fn talk(mut stream: TcpStream, own: SocketAddr, sender: Sender<(String, SocketAddr)>) -> io::Result<()> {
    let mut receiver = sender.subscribe();
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(format!("{GREETING}\n").as_bytes()).await?;
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => drop(sender.send((format!("{line}\n"), own))),
                None => return Ok(()),
            },
            said = receiver.recv() => {
                let (line, by) = said.map_err(io::Error::other)?;
                if by != own {
                    writer.write_all(line.as_bytes()).await?;
                }
            }
        }
    }
}

/// This project's.
struct Chat(Hub);

impl MessageHandler for Chat {
    type State = Membership;

    fn open(&self, channel: &mut Channel) -> socketserver::Result<Membership> {
        channel.send(GREETING.as_bytes())?;
        Ok(self.0.join("lobby", channel)?)
    }

    fn message(&self, lobby: &mut Membership, line: &[u8], _: &mut Channel) -> socketserver::Result {
        lobby.publish_to_others(line);
        Ok(())
    }

    fn hub(&self) -> Option<&Hub> {
        Some(&self.0)
    }
}

pub(super) fn ours_tasks() -> io::Result<()> {
    let mut server = Server::bind("tcp://127.0.0.1:0").map_err(io::Error::other)?;
    for endpoint in server.endpoints() {
        announce(endpoint)?;
    }
    server.serve(Tasks::new(1), Chat(Hub::new()).framed(Line::new())).map(drop).map_err(io::Error::other)
}
