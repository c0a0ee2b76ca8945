//! Echo over TLS: tokio-rustls as its examples would have it, and this project's own. Certificates are of one kind (P-256, made
//! at the start), and so are rustls' provider, its suites, its buffers and its tickets.

use std::io;
use std::sync::Arc;

use socketserver::{Server, ServerTls, Stream, Tasks, Threads, blocking};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use super::{announce, bare_tokio};

const NAME: &str = "localhost";

/// tokio-rustls on one thread: a task a connection, with a buffer of that many bytes.
pub(super) fn tokio(buffer: usize) -> io::Result<()> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(io::Error::other)?;
    let key = made.signing_key.serialize_der().try_into().map_err(io::Error::other)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key))
        .map_err(io::Error::other)?;
    // As this project has it: without it rustls keeps sessions in a table, under a lock.
    config.ticketer = ring::Ticketer::new().map_err(io::Error::other)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    bare_tokio::on_one_thread(move |stream| tokio_chunks(acceptor.clone(), stream, buffer))
}

async fn tokio_chunks(acceptor: TlsAcceptor, stream: TcpStream, buffer: usize) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut chunk = Vec::with_capacity(buffer);
    while stream.read_buf(&mut chunk).await? > 0 {
        stream.write_all(&chunk).await?;
        stream.flush().await?;
        chunk.clear();
    }
    Ok(())
}

/// This project, on one shard of the `Tasks` model.
pub(super) fn ours_tasks(buffer: usize) -> io::Result<()> {
    let mut server = server()?;
    let handler = async move |stream: &mut Stream| {
        let mut chunk = vec![0; buffer];
        loop {
            match stream.read(&mut chunk).await? {
                0 => return Ok(()),
                received => stream.write_all(&chunk[..received]).await?,
            }
        }
    };
    server.serve(Tasks::new(1), handler).map_err(io::Error::other)?;
    Ok(())
}

/// This project, on the `Threads` model.
pub(super) fn ours_threads(buffer: usize) -> io::Result<()> {
    let mut server = server()?;
    let handler = move |stream: &mut blocking::Stream| {
        let mut chunk = vec![0; buffer];
        loop {
            match stream.read(&mut chunk)? {
                0 => return Ok(()),
                received => stream.write_all(&chunk[..received])?,
            }
        }
    };
    server.serve(Threads::default().max(200), handler).map_err(io::Error::other)?;
    Ok(())
}

fn server() -> io::Result<Server> {
    let tls = ServerTls::new().self_signed([NAME]).map_err(io::Error::other)?;
    let server = Server::bind("tls://127.0.0.1:0").and_then(|server| server.tls(tls)).map_err(io::Error::other)?;
    for endpoint in server.endpoints() {
        announce(endpoint)?;
    }
    Ok(server)
}
