//! One honest client.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long it waits.
const PATIENCE: Duration = Duration::from_secs(5);

const MESSAGE: [u8; 64] = [b'm'; 64];

/// Connects, has a message echoed, and tells how long that took; `None` when it did not come to it in time.
pub(super) fn newcomer(address: SocketAddr) -> Option<Duration> {
    let since = Instant::now();
    // Whoever is let in and thrown out again tries again.
    while since.elapsed() < PATIENCE {
        let served = TcpStream::connect_timeout(&address, PATIENCE).and_then(|mut client| {
            client.set_read_timeout(Some(PATIENCE))?;
            ask(&mut client)
        });
        match served {
            Ok(()) => return Some(since.elapsed()),
            // It waits for its turn in vain, or there is no server any more.
            Err(error) if [io::ErrorKind::WouldBlock, io::ErrorKind::ConnectionRefused].contains(&error.kind()) => {
                return None;
            }
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    None
}

/// Sends a message and reads its echo.
pub(super) fn ask(client: &mut TcpStream) -> io::Result<()> {
    client.write_all(&MESSAGE)?;
    let mut echo = [0; MESSAGE.len()];
    client.read_exact(&mut echo)?;
    if echo == MESSAGE { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Whether the server has closed the connection, in order or by reset. It is non-blocking for that.
pub(super) fn is_closed(client: &TcpStream) -> io::Result<bool> {
    client.set_nonblocking(true)?;
    let closed = match client.peek(&mut [0]) {
        Ok(received) => received == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    };
    client.set_nonblocking(false)?;
    Ok(closed)
}
