//! tokio and nothing else: a task a connection, as its tutorial would have it.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::Semaphore;

use super::{BACKLOG, announce};

/// On one thread, with a buffer of that many bytes for each connection.
pub(super) fn echo(buffer: usize) -> io::Result<()> {
    on_one_thread(move |stream| echo_chunks(stream, buffer))
}

/// The same as [`echo`] for at most so many at a time; whoever comes then is closed at once.
pub(super) fn capped(most: usize) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(most));
    on_one_thread(move |stream| {
        let place = places.clone().try_acquire_owned();
        async move {
            match place {
                Ok(_place) => echo_chunks(stream, 4096).await,
                Err(_) => Ok(()),
            }
        }
    })
}

/// On a thread for each core it may use, which is what this runtime has by default; they take each other's tasks.
pub(super) fn multi_echo() -> io::Result<()> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(|stream| echo_chunks(stream, 4096)))
}

/// A task a connection, on one thread.
pub(super) fn on_one_thread<F>(handle: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    Builder::new_current_thread().enable_all().build()?.block_on(serve(handle))
}

async fn serve<F>(handle: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it.
    socket.set_nodelay(true)?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener = socket.listen(BACKLOG)?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let handled = handle(stream);
        tokio::spawn(async move {
            // A client that resets is how these measurements end.
            let _gone = handled.await;
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
