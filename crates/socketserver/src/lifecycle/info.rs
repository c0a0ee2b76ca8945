use super::Shared;
use crate::connection::{Connection, Phase};
use crate::{Endpoint, Peer};
use std::time::Duration;

/// A connection that is open, as [`Handle::connections`](crate::Handle::connections) finds it.
///
/// ```
/// use socketserver::{Server, Threads, blocking, client};
///
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::default(), |c: &mut blocking::Stream| {
///     if let Some(name) = c.read_line(100)? {
///         c.set_label(&name);
///         c.write_all(b"welcome\n")?;
///         c.read_line(100)?;
///     }
///     Ok(())
/// })?;
/// let mut c = client::connect(&server.handle().endpoints()[0])?;
/// c.write_all(b"Ada\n")?;
/// c.read_line(100)?;
/// let open = server.handle().connections();
/// assert_eq!((open.len(), open[0].label.as_deref(), open[0].read), (1, Some("Ada"), 4));
/// assert!(server.handle().kick(open[0].id));
/// assert_eq!(c.read_line(100)?, None);
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Its number, unique in its server.
    pub id: u64,
    /// Who it is.
    pub peer: Peer,
    /// Where it came in.
    pub endpoint: Endpoint,
    /// What it does.
    pub phase: Phase,
    /// How long it has been open.
    pub age: Duration,
    /// For how long its handler has been waiting for it, to an eighth of the server's shortest deadline. `None`: it does
    /// not wait; or its wait is not looked after, because the handler has set an idle deadline of its own
    /// ([`set_idle`](crate::blocking::Stream::set_idle)) or the server has no deadline for input at all.
    pub idle: Option<Duration>,
    /// Bytes read from the peer.
    pub read: u64,
    /// Bytes that the system took for the peer.
    pub written: u64,
    /// What its handler calls it.
    pub label: Option<String>,
}

impl ConnectionInfo {
    pub(super) fn new(connection: &Connection, shared: &Shared) -> Self {
        let slot = &connection.slot;
        let (phase, since) = slot.phase();
        let looks = since.map(|since| shared.control.epoch().saturating_sub(since));
        let times = looks.map(|looks| u32::try_from(looks).unwrap_or(u32::MAX));
        Self {
            id: connection.id,
            peer: connection.peer().clone(),
            endpoint: shared.endpoints[connection.endpoint()].clone(),
            phase,
            age: connection.age(),
            idle: times.map(|times| shared.control.look_period().saturating_mul(times)),
            read: slot.read(),
            written: slot.written(),
            label: slot.label(),
        }
    }
}
