use crate::Client;
use socketserver::Endpoint;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Clients that come faster than they can be served, many at a time, and leave at once: a connection storm.
///
/// ```
/// use socketserver::{Server, Threads, blocking};
/// use socketserver_testkit::{Client, misbehaving::{Leave, Storm}};
///
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::new(4), |c: &mut blocking::Stream| {
///     while let Some(line) = c.read_until(b'\n', 100)? {
///         c.write_all(&line)?;
///     }
///     Ok(())
/// })?;
/// let endpoint = &server.handle().endpoints()[0];
/// assert_eq!(Storm::of(500).saying("half a li").leaving(Leave::Reset).over(endpoint), 500);
/// // It is still there.
/// let mut client = Client::connect(endpoint)?;
/// client.say("hello\n");
/// client.expect("hello\n");
/// # drop(client);
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone)]
pub struct Storm {
    connections: usize,
    at_a_time: usize,
    first_words: Vec<u8>,
    leave: Leave,
}

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// It closes its socket, which over TCP is an orderly end unless something was left unread.
    Close,
    /// It breaks the connection off (TCP: RST; a Unix socket just closes).
    Reset,
    /// It waits for the server to end the connection, in whichever way.
    WhenEnded,
}

impl Storm {
    /// So many connections in all, 16 at a time; they say nothing and [close](Leave::Close), unless told otherwise.
    #[must_use]
    pub fn of(connections: usize) -> Self {
        Self { connections, at_a_time: 16, first_words: Vec::new(), leave: Leave::Close }
    }

    /// How many come at the same moment, each from a thread of its own; at least 1.
    #[must_use]
    pub fn at_a_time(mut self, clients: usize) -> Self {
        self.at_a_time = clients.max(1);
        self
    }

    /// What each says before it leaves.
    #[must_use]
    pub fn saying(mut self, first_words: impl Into<Vec<u8>>) -> Self {
        self.first_words = first_words.into();
        self
    }

    /// How each leaves.
    #[must_use]
    pub fn leaving(mut self, leave: Leave) -> Self {
        self.leave = leave;
        self
    }

    /// Breaks over that server, and returns when it is past: how many could connect.
    ///
    /// # Panics
    /// When one that is to leave [when the server ends it](Leave::WhenEnded) is not ended within
    /// [`PATIENCE`](crate::PATIENCE).
    #[must_use]
    pub fn over(&self, endpoint: &Endpoint) -> usize {
        let (begun, connected) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..self.at_a_time.min(self.connections) {
                scope.spawn(|| {
                    while begun.fetch_add(1, Ordering::Relaxed) < self.connections {
                        connected.fetch_add(usize::from(self.strike(endpoint)), Ordering::Relaxed);
                    }
                });
            }
        });
        connected.into_inner()
    }

    /// Whether it could connect.
    fn strike(&self, endpoint: &Endpoint) -> bool {
        let Ok(mut client) = Client::connect(endpoint) else { return false };
        if !self.first_words.is_empty() {
            client.say_if_there(&self.first_words);
        }
        match self.leave {
            Leave::Close => drop(client),
            Leave::Reset => client.reset(),
            Leave::WhenEnded => client.expect_gone(),
        }
        true
    }
}
