//! A server, its honest clients, and a crowd that is not.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socketserver_load::{Load, Window};

use crate::cores::{Cores, Placement};
use crate::descriptors;
use crate::peer::Peer;
use crate::server::{ServerProcess, Usage};
use crate::visit::{self, Visit};
use crate::work::Work;

/// When nothing comes back to any honest client for so long they give up.
const STALL: Duration = Duration::from_secs(2);

/// How long connecting, or forgetting those that have left, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// More descriptors than any fault takes of this process.
const DESCRIPTORS: usize = 4_000;

/// A server and where it all runs.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) server: ServerProcess,
    pub(super) placement: Placement,
    fresh: Usage,
    duration: Duration,
}

impl Scene {
    /// Starts the server, with so many descriptors if that is the question.
    pub(super) fn open(peer: Peer, duration: Duration, cores: &Cores, limit: Option<usize>) -> io::Result<Self> {
        descriptors::ensure(DESCRIPTORS)?;
        let placement = cores.place(1);
        let server = ServerProcess::start_with(peer, &placement, limit)?;
        let fresh = server.usage()?;
        Ok(Self { server, placement, fresh, duration })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What the server had before anybody came.
    pub(super) fn fresh(&self) -> &Usage {
        &self.fresh
    }

    /// Honest clients at work. `watch` is told of the window.
    pub(super) fn honest(&self, work: Work, watch: impl FnMut(Window)) -> io::Result<Visit> {
        let loads = work.loads(self.address(), self.duration, 1);
        let loads: Vec<Load> = loads.into_iter().map(|load| load.stall(STALL)).collect();
        let mut visit =
            visit::observe(&self.server, &self.fresh, &loads, work, Duration::ZERO, &self.placement, watch)?;
        if visit.failure.is_some() {
            // The time for which nobody was left counts as well.
            visit.rate *= visit.elapsed.div_duration_f64(self.duration).min(1.0);
        }
        Ok(visit)
    }

    /// The same, and waits until the server has let go of them.
    pub(super) fn honest_and_gone(&self, work: Work) -> io::Result<Visit> {
        let mut with_them = Ok(0);
        let visit = self.honest(work, |edge| {
            if edge == Window::Closed {
                with_them = self.server.open();
            }
        })?;
        let without = with_them?.saturating_sub(work.connections());
        let until = Instant::now() + PATIENCE;
        while self.server.open()? > without {
            if Instant::now() >= until {
                return Err(io::Error::other("connections that have ended stay open in the server"));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(visit)
    }

    /// So many clients that connect, and do nothing.
    pub(super) fn crowd(&self, clients: usize) -> io::Result<Vec<TcpStream>> {
        (0..clients).map(|_| TcpStream::connect_timeout(&self.address(), PATIENCE)).collect()
    }
}
