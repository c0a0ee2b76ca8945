//! tokio and nothing else: a task a connection, as its tutorial would have it.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Builder;

use super::{BACKLOG, announce};

/// On one thread, with a buffer of that many bytes for each connection.
pub(super) fn echo(buffer: usize) -> io::Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(serve(buffer))
}

/// On that many threads that take each other's tasks.
pub(super) fn multi_echo(workers: usize) -> io::Result<()> {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build()?.block_on(serve(4096))
}

async fn serve(buffer: usize) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it.
    socket.set_nodelay(true)?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener = socket.listen(BACKLOG)?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A client that resets is how these measurements end.
            let _gone = echo_chunks(stream, buffer).await;
        });
    }
}

async fn echo_chunks(mut stream: TcpStream, buffer: usize) -> io::Result<()> {
    let mut buffer = vec![0; buffer];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            received => stream.write_all(&buffer[..received]).await?,
        }
    }
}
