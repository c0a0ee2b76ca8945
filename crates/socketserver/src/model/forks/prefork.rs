//! Children that are kept ready, and serve one connection after the other.

use super::feed::{introduce, introduced, peer_of};
use super::parent::Parent;
use super::spawn::serve;
use super::worker::{Worker, ending};
use crate::admission::Admitted;
use crate::connection::{Connection, Peer, Record};
use crate::engine::Blocking;
use crate::handler::Service;
use crate::model::Work;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use socketserver_sys::Fork;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two times at which children are made that nobody asked for yet.
const TOP_UP: Duration = Duration::from_secs(1);

impl<S: Service<Blocking>> Parent<S> {
    /// Gives a connection to a child that waits for one.
    pub(super) fn hand_over(&mut self, admitted: Admitted) {
        let connection = admitted.connection().clone();
        connection.slot.introduce(connection.id);
        loop {
            let Some(worker) = self.children.iter_mut().find(|worker| worker.is_idle()) else {
                if self.fork_ready_worker(Some(&connection)) {
                    continue;
                }
                return Self::lost(admitted, "no process for it");
            };
            let Some(feed) = &worker.feed else { unreachable!("an idle worker has a feed") };
            let Some(socket) = connection.descriptor() else { unreachable!("the blocking engine is given sockets") };
            let sent = socketserver_sys::send_descriptor(feed, socket, admitted.at as u64);
            match sent.and_then(|()| introduce(feed, &connection)) {
                Ok(()) => {
                    worker.serving = Some(admitted);
                    return;
                }
                // It has just died: the event comes when it is reaped.
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    worker.dead = true;
                }
                // It lives, and another would be given nothing either. It may have half of it, so it is to end.
                Err(error) => {
                    worker.retire();
                    self.rest();
                    return Self::lost(admitted, &format!("it could not be handed over: {error}"));
                }
            }
        }
    }

    /// Fewer serve or wait for connections than are to be kept ready, and there may be more.
    pub(super) fn is_short(&self) -> bool {
        let fed = self.children.iter().filter(|worker| worker.is_fed()).count();
        fed < self.ready.unwrap_or(0) && self.waiting.is_none() && self.children.len() + self.lobby.len() < self.max
    }

    /// Makes the children that are to be kept ready: at first, and in place of those that were killed or gave way. Not
    /// again within a time, for they may die as soon as they are made.
    pub(super) fn top_up(&mut self) {
        if self.tops_up > Instant::now() {
            return;
        }
        while self.is_short() && !self.is_resting() {
            self.tops_up = Instant::now() + TOP_UP;
            if !self.fork_ready_worker(None) {
                return;
            }
        }
    }

    /// Makes a child that waits for connections. One that is on its way to another child is none of its business.
    pub(super) fn fork_ready_worker(&mut self, on_its_way: Option<&Connection>) -> bool {
        let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = match pair {
            Ok(pair) => pair,
            Err(error) => {
                self.cannot_fork(&error.into());
                return false;
            }
        };
        match self.fork() {
            Ok(Fork::Parent(child)) => {
                self.children.push(Worker { feed: Some(ours), ..Worker::new(child) });
                true
            }
            Ok(Fork::Child(child)) => {
                let on_its_way = on_its_way.and_then(|connection| connection.descriptor());
                let others = [Some(ours.as_fd()), on_its_way];
                self.become_child(child, others.into_iter().flatten(), |work| serve_fed(work, &theirs))
            }
            Err(_) => false,
        }
    }

    /// A pre-forked child is through with its connection.
    pub(super) fn finish(&mut self, at: usize) {
        let stopping = self.run_state().is_stopping();
        let idle = self.children.iter().filter(|worker| worker.is_idle()).count();
        let worker = &mut self.children[at];
        if let Some(mut admitted) = worker.serving.take() {
            admitted.ending = ending(&admitted.connection().slot);
        }
        if stopping || worker.outdated || idle >= self.ready.unwrap_or(0) {
            worker.retire();
        }
    }

    /// Children that are kept ready have the server's certificates as they were: they give way to others when those change.
    pub(super) fn renew(&mut self) {
        let generation = self.run_state().shared.generation();
        if std::mem::replace(&mut self.generation, generation) != generation {
            for worker in &mut self.children {
                worker.outdated = true;
                if worker.is_idle() {
                    worker.retire();
                }
            }
        }
    }
}

/// In a pre-forked child: serves what it is handed, until nothing more comes.
fn serve_fed<S: Service<Blocking>>(work: &Work<Blocking, S>, feed: &OwnedFd) {
    while let Ok(Some((socket, at))) = socketserver_sys::receive_descriptor(feed) {
        let slot = usize::try_from(at).ok().and_then(|at| work.run.shared.registry.slot(at));
        let Some(slot) = slot else { return };
        let Some((id, endpoint)) = slot.introduction() else { return };
        let peer = peer_of(&socket);
        let mut record = Record::new(id, peer, endpoint, slot);
        if record.slot.is_proxied() {
            let Some((age, header)) = introduced(feed) else { return };
            record.introduce(Peer::behind(record.peer(), header));
            record = record.aged(age);
        }
        serve(work, Arc::new(record.with(Some(socket))));
        if rustix::net::send(feed, &[1], SendFlags::NOSIGNAL).is_err() {
            return;
        }
    }
}
