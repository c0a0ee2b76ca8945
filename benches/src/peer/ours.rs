//! This project's own library: what is measured.

use std::io;

use socketserver::{Blocking, Forks, Model, Server, Threads, blocking};

use super::announce;

/// More than any load has; the models' own defaults are 200 and 40.
const MOST: usize = 200;

pub(super) fn echo() -> io::Result<()> {
    serve(Threads::default().max(MOST), echo_chunks)
}

/// The same, with a process a connection.
pub(super) fn forks() -> io::Result<()> {
    serve(Forks::new(MOST), echo_chunks)
}

pub(super) fn line() -> io::Result<()> {
    serve(Threads::default().max(MOST), |stream| {
        while let Some(line) = stream.read_until(b'\n', 4096)? {
            stream.write_all(&line)?;
        }
        Ok(())
    })
}

pub(super) fn echo_chunks(stream: &mut blocking::Stream) -> socketserver::Result {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            received => stream.write_all(&buffer[..received])?,
        }
    }
}

fn serve<F>(model: impl Model<Engine = Blocking>, handler: F) -> io::Result<()>
where
    F: Fn(&mut blocking::Stream) -> socketserver::Result + Send + Sync + 'static,
{
    let mut server = Server::bind("tcp://127.0.0.1:0").map_err(io::Error::other)?;
    for endpoint in server.endpoints() {
        announce(endpoint)?;
    }
    server.serve(model, handler).map_err(io::Error::other)?;
    Ok(())
}
