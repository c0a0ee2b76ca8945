//! This project's own library on the `Tasks` model: what is measured.

use std::io;
use std::time::Duration;

use socketserver::{Server, Stream, Tasks};

use super::announce;

/// Echoes chunks; also the server of `connect-tasks`, and with two shards of `shards`.
pub(super) fn echo(shards: usize) -> io::Result<()> {
    serve(Tasks::new(shards), echo_chunks)
}

pub(super) async fn echo_chunks(stream: &mut Stream) -> socketserver::Result {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            received => stream.write_all(&buffer[..received]).await?,
        }
    }
}

/// Echoes line by line.
pub(super) fn line() -> io::Result<()> {
    serve(Tasks::new(1), async |stream: &mut Stream| {
        let mut line = Vec::new();
        while stream.read_until_into(b'\n', 4096, &mut line).await? {
            stream.write_all(&line).await?;
        }
        Ok(())
    })
}

/// Echoes 64 KiB messages.
pub(super) fn bulk() -> io::Result<()> {
    serve(Tasks::new(1), async |stream: &mut Stream| {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match stream.read(&mut buffer).await? {
                0 => return Ok(()),
                received => stream.write_all(&buffer[..received]).await?,
            }
        }
    })
}

/// As `echo(1)`, busy-polling for 50 µs after work.
pub(super) fn spin() -> io::Result<()> {
    serve(Tasks::new(1).spin(Duration::from_micros(50)), echo_chunks)
}

/// Echoes and holds nothing while there is nothing to read: an array or a Vec of the handler's own would be in the task
/// for as long as the connection is.
pub(super) fn idle() -> io::Result<()> {
    serve(Tasks::new(1), async |stream: &mut Stream| {
        loop {
            let chunk = stream.fill_buf().await?.to_vec();
            if chunk.is_empty() {
                return Ok(());
            }
            stream.consume(chunk.len());
            stream.write_all(&chunk).await?;
        }
    })
}

fn serve<F>(model: Tasks, handler: F) -> io::Result<()>
where
    F: AsyncFn(&mut Stream) -> socketserver::Result + Send + Sync + 'static,
{
    let server = Server::bind("tcp://127.0.0.1:0").map_err(io::Error::other)?;
    // The cap is on, and above the connections of the `memory` row.
    let mut server = server.max_connections(20_000);
    for endpoint in server.endpoints() {
        announce(endpoint)?;
    }
    server.serve(model, handler).map_err(io::Error::other)?;
    Ok(())
}
