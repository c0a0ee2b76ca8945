use tempfile::TempDir;

/// What carries the bytes, or the packets: an address for a server that nobody else has.
///
/// ```
/// use socketserver_testkit::Carrier;
/// let (endpoint, _directory) = Carrier::Unix.endpoint();
/// assert!(endpoint.starts_with("unix:/"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Carrier {
    /// Over the loopback, on a port of its own for each server.
    Tcp,
    /// In a directory of its own for each server.
    Unix,
    /// Connections that keep messages apart by themselves, in a directory of its own for each server.
    Seqpacket,
    /// Packets over the loopback, on a port of its own for each server.
    Udp,
    /// Packets, in a directory of its own for each server.
    Unixgram,
}

impl Carrier {
    /// Those of connections of bytes.
    pub const STREAMS: [Self; 2] = [Self::Tcp, Self::Unix];
    /// Those of packets.
    pub const PACKETS: [Self; 2] = [Self::Udp, Self::Unixgram];
    /// All of them: a message handler runs over each.
    pub const ALL: [Self; 5] = [Self::Tcp, Self::Unix, Self::Seqpacket, Self::Udp, Self::Unixgram];

    /// An address for a server, and the directory of its socket, if it has one, which has to live as long.
    ///
    /// # Panics
    /// When no directory can be made.
    #[must_use]
    pub fn endpoint(self) -> (String, Option<TempDir>) {
        let in_directory = |scheme: &str| {
            let dir = tempfile::tempdir().expect("a directory");
            (format!("{scheme}:{}", dir.path().join("s").display()), Some(dir))
        };
        match self {
            Self::Tcp => ("tcp://127.0.0.1:0".into(), None),
            Self::Udp => ("udp://127.0.0.1:0".into(), None),
            Self::Unix => in_directory("unix"),
            Self::Seqpacket => in_directory("seqpacket"),
            Self::Unixgram => in_directory("unixgram"),
        }
    }
}
