//! This project's own library: what is measured.

use std::io;

use socketserver::{Server, Threads, blocking};

use super::announce;

pub(super) fn echo() -> io::Result<()> {
    serve(|stream| {
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                received => stream.write_all(&buffer[..received])?,
            }
        }
    })
}

pub(super) fn line() -> io::Result<()> {
    serve(|stream| {
        while let Some(line) = stream.read_until(b'\n', 4096)? {
            stream.write_all(&line)?;
        }
        Ok(())
    })
}

fn serve<F>(handler: F) -> io::Result<()>
where
    F: Fn(&mut blocking::Stream) -> socketserver::Result + Send + Sync + 'static,
{
    let mut server = Server::bind("tcp://127.0.0.1:0").map_err(io::Error::other)?;
    for endpoint in server.endpoints() {
        announce(endpoint)?;
    }
    server.serve(Threads::default().max(200), handler).map_err(io::Error::other)?;
    Ok(())
}
