//! Passing connections on to another server.

use std::io;
use std::net::SocketAddr;

use socketserver::{Server, Stream, Tasks, client};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use super::{announce, bare_tokio};

/// This project, on one shard.
pub(super) fn ours_tasks(behind: SocketAddr) -> io::Result<()> {
    let behind = format!("tcp://{behind}");
    let server = Server::bind("tcp://127.0.0.1:0").map_err(io::Error::other)?;
    let mut server = server.max_connections(20_000);
    for endpoint in server.endpoints() {
        announce(endpoint)?;
    }
    let relay = async move |front: &mut Stream| {
        let mut back = client::task::connect(behind.as_str()).await?;
        copy_bidirectional(front, &mut back).await?;
        Ok(())
    };
    server.serve(Tasks::new(1), relay).map_err(io::Error::other)?;
    Ok(())
}

/// tokio on one thread, as its documentation has it.
pub(super) fn tokio(behind: SocketAddr) -> io::Result<()> {
    bare_tokio::on_one_thread(move |mut front| async move {
        let mut back = TcpStream::connect(behind).await?;
        back.set_nodelay(true)?;
        copy_bidirectional(&mut front, &mut back).await?;
        Ok(())
    })
}
