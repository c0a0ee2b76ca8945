use socketserver_testkit::{PATIENCE, Stage};
use std::io::Read;
use std::net::{TcpListener, TcpStream};

/// What handlers wait for that are told to: `hold` and [its address](Self::packet). They are held by connections, for these
/// reach into children, and end with the process that has the other end.
pub(crate) struct Hold(TcpListener);

/// A handler that waits. Dropping it lets it go on.
pub(crate) struct Held(TcpStream);

impl Hold {
    pub(crate) fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// The packet whose handler waits.
    pub(crate) fn packet(&self) -> String {
        format!("hold {}", self.0.local_addr().unwrap())
    }

    /// The next handler that waits, once it does.
    pub(crate) fn next(&self, stage: &Stage) -> Held {
        // It has connected before it tells.
        stage.line("holding");
        let (held, _) = self.0.accept().unwrap();
        held.set_read_timeout(Some(PATIENCE)).unwrap();
        Held(held)
    }
}

impl Held {
    /// Waits until its handler is no more: it was not let go, so its process has ended.
    pub(crate) fn expect_gone(mut self) {
        // In whatever way: a reset will do.
        if let Err(error) = self.0.read_to_end(&mut Vec::new()) {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it is still there");
        }
    }
}
