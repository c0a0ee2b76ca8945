#[cfg(feature = "tokio")]
use super::UntilDraining;
use super::{ConnectionInfo, Shared, Totals};
use crate::OverLimit;
use crate::connection::{Connection, Reason};
#[cfg(feature = "tls")]
use crate::tls::Acceptor;
#[cfg(feature = "tls")]
use crate::{Error, ErrorKind};
use socketserver_proto::peers::PeerRate;
use socketserver_proto::{Cidr, Endpoint, Rate};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Stops a server and tells about it, from anywhere: another thread, a signal, a handler, a child process.
///
/// A handle speaks of one run: the one that goes on when it is made, or else the next. So stopping works before `serve`
/// (which then returns at once), during, twice and after, and a second `serve` on the same server is not stopped by an
/// old handle. Calls of [`serve_one`](crate::Server::serve_one) are one run until one of them says `Stopped`.
///
/// Nothing here waits: what `serve` or [`join`](crate::Running::join) returns says that it is over.
///
/// ```
/// use socketserver::{Serial, Server, blocking};
/// let mut server = Server::bind("tcp://127.0.0.1:0")?;
/// let handle = server.handle();
/// handle.shutdown();
/// handle.shutdown();
/// server.serve(Serial::default(), |_: &mut blocking::Stream| Ok(()))?;
/// handle.shutdown();
/// # Ok::<_, socketserver::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Handle {
    /// A connection made by `client::connect` has no server.
    shared: Option<Arc<Shared>>,
    run: u64,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>, run: u64) -> Self {
        Self { shared: Some(shared), run }
    }

    pub(crate) fn nobodys() -> Self {
        Self { shared: None, run: 0 }
    }

    /// Stops accepting and lets connections end, for as long as the server's own drain deadline says
    /// ([`Server::drain_deadline`](crate::Server::drain_deadline), 10 s).
    pub fn shutdown(&self) {
        if let Some(shared) = &self.shared {
            shared.control.ask_to_stop(self.run, shared.control.patience());
        }
    }

    /// Stops accepting and lets connections end within `deadline`; what is left then is cut. Zero cuts at once.
    ///
    /// Called again the nearest deadline counts.
    pub fn drain(&self, deadline: Duration) {
        if let Some(shared) = &self.shared {
            shared.control.ask_to_stop(self.run, deadline);
        }
    }

    /// Whether this run was asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.control.is_stopping(self.run))
    }

    /// Where the server listens, with the real ports, in the order they were given.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.shared.as_ref().map(|shared| shared.endpoints.clone()).unwrap_or_default()
    }

    /// Whether the connection keeps messages apart by itself: it came to a socket that does.
    pub(crate) fn keeps_messages(&self, connection: &Connection) -> bool {
        let endpoint = self.shared.as_ref().and_then(|shared| shared.endpoints.get(connection.endpoint()));
        connection.descriptor().is_some() && matches!(endpoint, Some(Endpoint::Seqpacket { .. }))
    }

    /// What the server shakes hands with, if it does.
    #[cfg(feature = "tls")]
    pub(crate) fn acceptor(&self) -> Option<&Arc<Acceptor>> {
        self.shared.as_ref()?.acceptor()
    }

    /// One of its endpoints.
    #[cfg(any(feature = "tls", feature = "websocket"))]
    pub(crate) fn endpoint(&self, number: usize) -> Option<&Endpoint> {
        self.shared.as_ref()?.endpoints.get(number)
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.control.open())
    }

    /// The sums so far. Inside a child of [`Forks`](crate::Forks) the bytes of open connections are left out.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let Some(shared) = &self.shared else { return Totals::default() };
        shared.registry.add_to(|| shared.control.totals())
    }

    /// Ready once this run drains; never, on the client's side.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn draining(&self) -> UntilDraining {
        UntilDraining::new(self.shared.clone(), self.run)
    }

    /// The connections that are open, in the order in which they came. Inside a child of [`Forks`](crate::Forks) there are
    /// none to be seen.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        let Some(shared) = self.parents() else { return Vec::new() };
        let known = shared.registry.known(self.run);
        known.iter().map(|connection| ConnectionInfo::new(connection, shared)).collect()
    }

    /// Cuts a connection: every wait in it fails, its handler comes to its end, and its reason is
    /// [`Reason::Kicked`]. `false`: there is none of that number, or it was cut already.
    ///
    /// A handler that computes is not reached until it turns to its connection again.
    pub fn kick(&self, id: u64) -> bool {
        self.kick_where(|connection| connection.id == id) > 0
    }

    /// Cuts the connections that are chosen, as [`kick`](Self::kick) does, and tells how many.
    pub fn kick_where(&self, mut choose: impl FnMut(&ConnectionInfo) -> bool) -> usize {
        let Some(shared) = self.parents() else { return 0 };
        let mut chosen = shared.registry.known(self.run);
        chosen.retain(|connection| choose(&ConnectionInfo::new(connection, shared)));
        let chosen: Vec<u64> = chosen.iter().map(|connection| connection.id).collect();
        shared.registry.cut(self.run, &chosen, Reason::Kicked)
    }

    /// Lets nobody in for now: peers wait in the backlog, those that are in go on. It outlasts the run.
    ///
    /// ```
    /// use socketserver::{Serial, Server, blocking, client};
    ///
    /// let server = Server::bind("tcp://127.0.0.1:0")?;
    /// server.handle().suspend();
    /// let server = server.spawn(Serial::default(), |c: &mut blocking::Stream| Ok(c.write_all(b"hello")?))?;
    /// // It waits to be let in.
    /// let mut c = client::connect(&server.handle().endpoints()[0])?;
    /// assert!(server.handle().is_suspended() && server.handle().open() == 0);
    /// server.handle().resume();
    /// assert_eq!(c.read_to_end(100)?, b"hello");
    /// # server.stop()?;
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    pub fn suspend(&self) {
        if let Some(shared) = &self.shared {
            shared.suspend(true);
        }
    }

    /// Lets peers in again, after [`suspend`](Self::suspend).
    pub fn resume(&self) {
        if let Some(shared) = &self.shared {
            shared.suspend(false);
        }
    }

    /// Whether accepting is [suspended](Self::suspend).
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.control.is_suspended())
    }

    /// Reads certificates, keys and authorities again, for those who connect from now on; open connections are not touched. It
    /// does so by itself when files change: see [`Server::tls`](crate::Server::tls).
    ///
    /// # Errors
    /// What is wrong with them; then everything stays as it was. [`ErrorKind::Unsupported`]: the server has no TLS, or this
    /// is a child of [`Forks`](crate::Forks).
    #[cfg(feature = "tls")]
    pub fn reload_tls(&self) -> Result<(), Error> {
        let unsupported = |words| Error::new(ErrorKind::Unsupported, words);
        let shared = self.parents().ok_or_else(|| unsupported("certificates are read by the process that accepts"))?;
        let acceptor =
            shared.acceptor().ok_or_else(|| unsupported("the server was given no certificates: it has no TLS"))?;
        let result = acceptor.reload();
        // It has something to tell.
        shared.control.keeper.wake();
        result.map(|_| ())
    }

    /// How many connections may be open at a time; `None`: any number.
    #[must_use]
    pub fn max_connections(&self) -> Option<u64> {
        self.shared.as_ref().and_then(|shared| shared.control.max_connections())
    }

    /// As [`Server::max_connections`](crate::Server::max_connections), from now on. Nobody who is in is thrown out.
    ///
    /// This and [`suspend`](Self::suspend) work from a child of [`Forks`](crate::Forks) too; what else is set here is set
    /// in the process that accepts.
    pub fn set_max_connections(&self, max: impl Into<Option<u64>>) {
        if let Some(shared) = &self.shared {
            shared.control.set_max_connections(max.into());
        }
    }

    /// As [`Server::max_per_peer`](crate::Server::max_per_peer), for those who come from now on.
    pub fn set_max_per_peer(&self, max: impl Into<Option<usize>>) {
        let max = max.into();
        self.change(|rules| rules.per_peer = max);
    }

    /// As [`Server::peer_prefix`](crate::Server::peer_prefix), for those who come from now on; those who are in stay counted
    /// as they were.
    pub fn set_peer_prefix(&self, bits: u8) {
        self.change(|rules| rules.v6_prefix = bits.min(128));
    }

    /// As [`Server::accept_rate`](crate::Server::accept_rate), from now on. Another rate begins anew, with as many at
    /// once as it allows in a second; a server that rests because of the old one hears of it within a second.
    pub fn set_accept_rate(&self, rate: impl Into<Option<Rate>>) {
        let rate = rate.into();
        self.change(|rules| rules.rate = rate);
    }

    /// As [`Server::packet_rate`](crate::Server::packet_rate), from now on. Another rate begins anew.
    pub fn set_packet_rate(&self, rate: impl Into<Option<Rate>>) {
        let rate = rate.into().map(PeerRate::from);
        self.change(|rules| rules.packet_rate = rate);
    }

    /// As [`Server::max_amplification`](crate::Server::max_amplification), for packets that come from now on.
    pub fn set_max_amplification(&self, factor: impl Into<Option<u32>>) {
        let factor = factor.into();
        self.change(|rules| rules.amplification = Some(factor));
    }

    /// As [`Server::allow`](crate::Server::allow), for those who come from now on, in place of what was allowed before.
    pub fn set_allow(&self, blocks: impl IntoIterator<Item = Cidr>) {
        let blocks = blocks.into_iter().collect();
        self.change(|rules| rules.allow = blocks);
    }

    /// As [`Server::deny`](crate::Server::deny), for those who come from now on, in place of what was denied before.
    pub fn set_deny(&self, blocks: impl IntoIterator<Item = Cidr>) {
        let blocks = blocks.into_iter().collect();
        self.change(|rules| rules.deny = blocks);
    }

    /// As [`Server::over_limit`](crate::Server::over_limit), for those who come from now on.
    pub fn set_over_limit(&self, policy: OverLimit) {
        self.change(|rules| rules.over = policy);
        // Those who are waiting may not have to any more.
        if let Some(shared) = &self.shared {
            shared.control.room_may_be_there();
        }
    }

    fn change(&self, change: impl FnOnce(&mut crate::admission::Rules)) {
        if let Some(shared) = &self.shared {
            shared.door.change(change);
        }
    }

    /// What the process that accepts knows; a child has but an old copy.
    fn parents(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref().filter(|shared| shared.is_ours())
    }

    /// So many bytes are to be sent there. `Some(false)`: they may not. `None`: no packet has come from there.
    pub(crate) fn may_be_sent(&self, to: SocketAddr, bytes: usize) -> Option<bool> {
        let shared = self.shared.as_ref()?;
        shared.door.crowd.as_ref()?.spend(to, bytes, shared.control.elapsed())
    }

    pub(crate) fn count_withheld(&self) {
        if let Some(shared) = &self.shared {
            shared.control.count_withheld();
        }
    }

    pub(crate) fn give_back_permit(&self) {
        if let Some(shared) = &self.shared {
            shared.control.count_let_go();
            shared.control.give_back_permit();
        }
    }

    /// What a wait of a connection is dated with.
    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.control.epoch())
    }

    /// Why the server's model has no hub, if so.
    pub(crate) fn without_hub(&self) -> Option<&'static str> {
        self.shared.as_ref().and_then(|shared| shared.without_hub())
    }

    /// A signal asks for an end without delay.
    pub(crate) fn hurry(&self, signal: i32) {
        if let Some(shared) = &self.shared {
            shared.hurried.store(signal, std::sync::atomic::Ordering::SeqCst);
            self.drain(Duration::ZERO);
        }
    }
}
