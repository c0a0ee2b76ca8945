use crate::{passes, roles};
use socketserver_testkit::{How, Stage};
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// How a carrier is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// In frames, over a stream of bytes.
    Frames,
    /// In frames of WebSocket, which has a handshake before them and a goodbye after them.
    WebSocket,
    /// A packet a message, over a connection that keeps them apart.
    Records,
    /// A packet a message, in a session a peer.
    Packets,
}

impl Speaks {
    /// Whether a message may come in pieces.
    pub(crate) fn in_pieces(self) -> bool {
        matches!(self, Self::Frames | Self::WebSocket)
    }
}

/// Where a server is: `{dir}` is a directory, `{name}` a name of its own.
pub(crate) mod at {
    pub(crate) const TCP: &str = "tcp://127.0.0.1:0";
    pub(crate) const UNIX: &str = "unix:{dir}/s";
    pub(crate) const UNIX_ABSTRACT: &str = "unix:@{name}";
    pub(crate) const SEQPACKET: &str = "seqpacket:{dir}/s";
    pub(crate) const SEQPACKET_ABSTRACT: &str = "seqpacket:@{name}";
    pub(crate) const UNIXGRAM: &str = "unixgram:{dir}/s";
    pub(crate) const UDP: &str = "udp://127.0.0.1:0";
    pub(crate) const UDP_IPV6: &str = "udp://[::1]:0";
    pub(crate) const WS: &str = "ws://127.0.0.1:0/chat";
    pub(crate) const TLS: &str = "tls://127.0.0.1:0";
    pub(crate) const WSS: &str = "wss://127.0.0.1:0/chat";
}

/// A carrier, and whether the handler is told how messages are framed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    endpoint: &'static str,
    pub(crate) speaks: Speaks,
    framed: bool,
}

impl Row {
    pub(crate) const fn new(name: &'static str, endpoint: &'static str, speaks: Speaks) -> Self {
        Self { name, endpoint, speaks, framed: true }
    }

    pub(crate) const fn bare(mut self) -> Self {
        self.framed = false;
        self
    }

    pub(crate) fn is_tls(self) -> bool {
        matches!(self.endpoint, at::TLS | at::WSS)
    }

    /// The longest message.
    pub(crate) fn largest(self) -> usize {
        match (self.framed, self.endpoint) {
            (true, _) => roles::LIMIT,
            // The limit is beyond what such a packet has: 65,535 less its headers.
            (_, at::UDP) => 65_507,
            (_, at::UDP_IPV6) => 65_527,
            // One that is longer is cut.
            (_, at::UNIXGRAM) => 65_535,
            (false, _) => 64 * 1024,
        }
    }

    /// Whether one longer than that can be sent at all.
    pub(crate) fn can_be_too_long(self) -> bool {
        self.framed || !self.endpoint.starts_with("udp")
    }
}

/// A carrier and a model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) row: Row,
    pub(crate) how: How,
}

impl Cell {
    pub(crate) fn holds(self) {
        if self.refusal("").is_some() { self.is_refused() } else { passes::all(self) }
    }

    /// What `serve` says, if it refuses such a handler on such a model there.
    fn refusal(self, endpoint: &str) -> Option<String> {
        let model = match self.how {
            How::Serial => "Serial",
            How::Forks(_) | How::Prefork(..) => "Forks",
            How::Threads(_) | How::Tasks(_) | How::Run => "",
        };
        match self.row.speaks {
            Speaks::Frames if !self.row.framed => Some(format!(
                "bytes come to `{endpoint}`, and nobody said how messages are told apart in them: `.framed(Line::new())`, \
                 say, does"
            )),
            Speaks::Packets if !model.is_empty() => Some(format!(
                "packets come to `{endpoint}`, in a session a peer, and `{model}` has nobody who would sort them while a \
                 handler is at work: `Threads` and `Tasks` do"
            )),
            _ => None,
        }
    }

    /// An address of its own, and what has to live as long.
    fn endpoint(self) -> (String, TempDir) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("socketserver-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let dir = tempfile::tempdir().unwrap();
        #[cfg(feature = "tls")]
        if self.row.is_tls() {
            crate::bridge::certificate(dir.path());
        }
        let endpoint = self.row.endpoint.replace("{dir}", dir.path().to_str().unwrap()).replace("{name}", &name);
        (endpoint, dir)
    }

    fn role(self, role: &str) -> String {
        if self.row.framed { role.into() } else { format!("{role}-bare") }
    }

    /// A server that plays this role.
    pub(crate) fn open(self, role: &str) -> (Stage, TempDir) {
        let (endpoint, dir) = self.endpoint();
        let stage = Stage::open_with(&self.role(role), self.how, &endpoint, &dir.path().display().to_string());
        if let How::Tasks(shards) = self.how {
            // Each shard has a UDP socket of its own, and the kernel sorts peers to those that there are when a packet comes.
            stage.process().settles("all shards are there", |process| process.threads() > shards);
        }
        (stage, dir)
    }

    /// In plain words, and before anybody is let in who waits already.
    fn is_refused(self) {
        let (endpoint, dir) = self.endpoint();
        let lines = format!("{endpoint}\n{}", dir.path().display());
        let ended = Stage::try_open(&self.role("refused"), self.how, &lines).wait();
        let endpoint = &ended.line("listening ")["listening ".len()..];
        assert_eq!(ended.line("failed: "), format!("failed: {}", self.refusal(endpoint).unwrap()));
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert_eq!(ended.count("accepted=0 packets=0"), 1, "{ended:?}");
        assert_eq!((ended.count("opened "), ended.count("open ")), (0, 0), "{ended:?}");
    }
}
