use crate::lifecycle::Handle;
use std::time::Duration;

/// On what terms a connection is served: by which server, and under which deadlines. `None` is none.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) handle: Handle,
    /// While the handler waits for the peer.
    pub(crate) idle: Idle,
    /// While a write makes no progress.
    pub(crate) write: Option<Duration>,
    /// From accept until the handshake is over.
    pub(crate) handshake: Option<Duration>,
}

/// Who sees to it that a wait for the peer does not last too long.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Idle {
    /// The server's keeper, which looks at all connections now and then: that costs a read next to nothing. Such a wait
    /// ends the input.
    Watched,
    /// The read itself. The handler may wait again.
    Own(Option<Duration>),
}

/// How long a handler waits for its peer unless told otherwise.
pub(crate) const IDLE: Option<Duration> = Some(Duration::from_secs(60));
/// How long a write may make no progress unless told otherwise.
pub(crate) const WRITE: Option<Duration> = Some(Duration::from_secs(30));
/// How long what comes before the handler may take, unless told otherwise.
pub(crate) const HANDSHAKE: Option<Duration> = Some(Duration::from_secs(5));
