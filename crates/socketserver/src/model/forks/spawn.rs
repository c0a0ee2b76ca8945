//! How children are made, and what one does that serves one connection or handles packets.

use super::parent::Parent;
use super::worker::Worker;
use crate::admission::Admitted;
use crate::connection::pipeline::{Ending, catch};
use crate::connection::{Connection, Core, Reason, SyncIo, now, pipeline};
use crate::datagram::Batch;
use crate::engine::{Blocking, Conn};
use crate::events::SpawnFailed;
use crate::handler::Service;
use crate::model::Work;
use crate::model::work::Here;
use crate::{Error, ErrorKind};
use socketserver_sys::{Fork, Forked, disown};
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

impl<S: Service<Blocking>> Parent<S> {
    /// Gives a connection to a child.
    pub(super) fn start(&mut self, admitted: Admitted) {
        if self.ready.is_some() {
            self.hand_over(admitted);
            return;
        }
        match self.fork() {
            Ok(Fork::Parent(child)) => {
                self.children.push(Worker { serving: Some(admitted), ..Worker::new(child) });
            }
            Ok(Fork::Child(child)) => {
                self.become_child(child, [], |work| serve(work, admitted.connection().clone()));
            }
            Err(error) => Self::lost(admitted, &format!("no process for it: {error}")),
        }
    }

    pub(super) fn lost(mut admitted: Admitted, why: &str) {
        let failure = Some(why.to_owned());
        admitted.ending = Some(Ending::with(Reason::Failed, failure));
    }

    /// Has packets handled, if the handler is to have any of them: that is asked here, where packets come in.
    pub(super) fn receive(&mut self, mut batch: Batch) {
        if !batch.sift::<Blocking, S>(&self.work.service) {
            return;
        }
        if self.children.len() >= self.max
            && let Some(idle) = self.children.iter_mut().find(|worker| worker.is_idle())
        {
            idle.retire();
            self.waiting = Some(batch);
            return;
        }
        self.handle(batch);
    }

    /// Has packets handled by a child of their own.
    pub(super) fn handle(&mut self, mut batch: Batch) {
        if let Err(error) = batch.keep_socket() {
            return self.cannot_fork(&error);
        }
        match self.fork() {
            Ok(Fork::Parent(child)) => {
                batch.forget_socket();
                let batch = Some(batch);
                self.children.push(Worker { batch, ..Worker::new(child) });
            }
            Ok(Fork::Child(child)) => self.become_child(child, [], |work| {
                batch.handle::<Blocking, S>(&work.service);
                batch.send_all();
            }),
            // They are lost, as packets may be.
            Err(_) => {}
        }
    }

    /// Makes a child. What an error means for the server is seen to.
    pub(super) fn fork(&mut self) -> io::Result<Fork> {
        // What waits in the buffer would come out of both processes.
        let _ = io::stdout().flush();
        self.run_state().shared.before_fork();
        let result = socketserver_sys::fork();
        if let Err(error) = &result {
            self.cannot_fork(error);
        }
        result
    }

    /// A process, or what it needs, is not to be had: accepting rests; where it never will be the server ends.
    pub(super) fn cannot_fork(&mut self, error: &io::Error) {
        let event = SpawnFailed { what: "process", error };
        self.run_state().observe(|observer| observer.spawn_failed(&event));
        if error.kind() == io::ErrorKind::Unsupported {
            self.fail(Error::new(ErrorKind::Unsupported, format!("`Forks`: {error}")));
        } else {
            self.rest();
        }
    }

    /// In the child: lets go of everything that is the parent's, works, and ends.
    pub(super) fn become_child<'a>(
        &self,
        child: Forked,
        others: impl IntoIterator<Item = BorrowedFd<'a>>,
        work: impl FnOnce(&Work<Blocking, S>),
    ) -> ! {
        let let_go = || -> io::Result<()> {
            self.run_state().duties().disown(&child)?;
            self.listeners.disown(&child)?;
            self.keeper.disown(&child)?;
            self.lobby.disown(&child)?;
            for other in others {
                disown(&child, other)?;
            }
            for other in &self.children {
                disown(&child, &other.child)?;
                if let Some(feed) = &other.feed {
                    disown(&child, feed)?;
                }
                if let Some(admitted) = &other.serving {
                    admitted.connection().descriptor().map_or(Ok(()), |socket| disown(&child, socket))?;
                }
            }
            Ok(())
        };
        // With a copy of what belongs to others, closing would not close: better no child than such a one.
        let let_go = let_go();
        child.unblock_signals();
        let status = match let_go {
            Ok(()) => catch(|| work(&self.work)).map_or(101, |()| 0),
            Err(_) => 1,
        };
        let _ = io::stdout().flush();
        socketserver_sys::exit_child(status)
    }
}

/// In the child: serves one connection.
pub(super) fn serve<S: Service<Blocking>>(work: &Work<Blocking, S>, connection: Arc<Connection>) {
    let core = Core::new(SyncIo::new(&connection), connection.clone(), work.run.terms.clone());
    let here = Here { service: &*work.service, run: &work.run, connection: &connection };
    let ending = now(pipeline::connection::<Blocking, S>(&mut Conn::new(core), &here));
    connection.slot.end(ending.reason, ending.failure());
}
