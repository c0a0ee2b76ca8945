use super::mailbox::{Common, Delivered, End};
use super::table::{Key, Known, Table};
use super::{Budget, Mailbox, Ready, WhenFull};
use crate::admission::Place;
use crate::datagram::batch::{Batch, verify};
use crate::datagram::{Datagram, DatagramSocket};
use crate::engine::Engine;
use crate::events::{Closed, Opened, Refusal, Refused};
use crate::handler::Service;
use crate::lifecycle::Run;
use crate::{Reason, clock};
use socketserver_sys::Local;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sorts the packets of one socket into sessions: whose they are, who is new, who has to go. What runs the handlers is a
/// [`Host`].
#[derive(Debug)]
pub(crate) struct Router {
    run: Arc<Run>,
    socket: Arc<DatagramSocket>,
    /// Which of the server's endpoints it is of.
    index: usize,
    common: Arc<Common>,
    table: Table,
    /// Our end of the session that began last: most have the same.
    local: Option<Arc<Local>>,
    /// For all sessions together: so a drain waits for them.
    place: Option<Place>,
}

/// Where the handlers of sessions run.
pub(crate) trait Host {
    /// A session begins, and a packet is in its queue.
    fn begin(&mut self, mailbox: &Arc<Mailbox>);
    /// Whether it can give way to a newcomer.
    fn can_settle(&self, mailbox: &Arc<Mailbox>) -> bool;
    /// Its handler has just been told that nothing more comes. If that can be through at once it had better be. Tells
    /// whether a newcomer may have its place.
    fn settle(&mut self, mailbox: &Arc<Mailbox>) -> bool;
}

/// Among so many a session is sought that can give way.
const LOOKED_AT: usize = 16;

impl Router {
    pub(crate) fn new(run: &Arc<Run>, index: usize, socket: &Arc<DatagramSocket>, budget: &Arc<Budget>) -> Self {
        socket.trains.queued(true);
        let is_v6 = socket.bound().is_some_and(|bound| bound.is_ipv6());
        let (budget, handle) = (budget.clone(), run.handle());
        let common = Arc::new(Common { ready: Arc::default(), budget, is_v6, handle });
        run.watch_sessions(common.ready.clone());
        let (run, socket) = (run.clone(), socket.clone());
        Self { run, socket, index, common, table: Table::default(), local: None, place: None }
    }

    /// Those whose handlers have something to do, or have returned.
    pub(crate) fn ready(&self) -> &Arc<Ready> {
        &self.common.ready
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn mailbox(&self, index: u32) -> Option<&Arc<Mailbox>> {
        self.table.get(index)
    }

    /// Brings each packet of a batch to its session.
    pub(crate) fn sort<E: Engine, S: Service<E>>(&mut self, batch: &mut Batch, service: &S, host: &mut impl Host) {
        let now = self.run.shared.control.elapsed();
        batch.each(|datagram| {
            // Part of a packet is none.
            if !datagram.is_truncated() {
                self.bring::<E, S>(datagram, now, service, host);
            }
        });
    }

    fn bring<E: Engine, S: Service<E>>(
        &mut self,
        datagram: &Datagram,
        now: Duration,
        service: &S,
        host: &mut impl Host,
    ) {
        let control = &self.run.shared.control;
        let Some(from) = datagram.from() else {
            // It cannot be told from others, nor answered.
            return control.count_nonsense();
        };
        let local = datagram.local_end();
        let key = match datagram.source {
            Some(source) => Key::Ip(source, local.map(|local| local.to)),
            None => Key::unix(from),
        };
        match self.table.hear(&key, now) {
            Known::Session(mailbox) => match mailbox.deliver(datagram.packet()) {
                Delivered::Queued => return,
                Delivered::Full => return control.count_queue_full(1),
                Delivered::Over => {
                    let index = mailbox.index;
                    self.clear(index);
                }
            },
            Known::Twin => return self.refuse(datagram),
            Known::Newcomer => {}
        }
        if !verify::<E, S>(&self.run, datagram.peer(), service) {
            return self.run.shared.control.count_unwelcome();
        }
        let has_room = self.common.budget.begin() || (self.make_room(now, host) && self.common.budget.begin());
        if !has_room {
            return self.refuse(datagram);
        }
        let id = self.run.shared.control.next_id();
        self.run.shared.control.count_accepted();
        let unix = datagram.source.is_none().then(|| Box::new(from.clone()));
        if self.local.as_deref() != local.as_ref() {
            self.local = local.map(Arc::new);
        }
        let (peer, standing) = (datagram.peer().clone(), datagram.standing);
        let end = End { peer, unix, local: self.local.clone(), standing };
        let common = self.common.clone();
        let mailbox = self.table.add(&key, now, |index| Mailbox::new(id, end, index, common));
        self.place.get_or_insert_with(|| Place::take(&self.run).for_packets(self.index));
        let (peer, endpoint) = (&mailbox.peer, &self.run.shared.endpoints[self.index]);
        self.run.observe(|observer| observer.opened(&Opened { id, peer, endpoint }));
        if mailbox.deliver(datagram.packet()) == Delivered::Full {
            self.run.shared.control.count_queue_full(1);
        }
        host.begin(&mailbox);
    }

    fn refuse(&self, datagram: &Datagram) {
        let (peer, endpoint, why) = (datagram.peer(), &self.run.shared.endpoints[self.index], Refusal::Full);
        self.run.shared.control.count_refused(why);
        self.run.observe(|observer| observer.refused(&Refused { peer, endpoint, why, failure: None }));
    }

    /// Has a session give way that can. `false`: there is none.
    fn make_room(&mut self, now: Duration, host: &mut impl Host) -> bool {
        let options = self.common.budget.options;
        if options.when_full == WhenFull::Refuse {
            return false;
        }
        let can = |(_, mailbox): &(u32, &Arc<Mailbox>)| host.can_settle(mailbox);
        let grace = options.idle.map_or(Self::GRACE, |idle| idle / 8);
        let found = self.table.once().take(LOOKED_AT).find(can).or_else(|| {
            let before = now.checked_sub(grace)?;
            self.table.known(before).take(LOOKED_AT).find(can)
        });
        let Some((index, mailbox)) = found.map(|(index, mailbox)| (index, mailbox.clone())) else { return false };
        self.run.shared.control.count_evicted();
        self.close(&mailbox, Reason::Evicted);
        let gives_way = host.settle(&mailbox);
        if gives_way && mailbox.uncount() {
            self.common.budget.end();
        }
        self.clear(index);
        gives_way
    }

    /// For how long one is let alone that was heard from twice, without an idle deadline.
    const GRACE: Duration = Duration::from_secs(8);

    fn close(&mut self, mailbox: &Arc<Mailbox>, why: Reason) {
        self.table.detach(mailbox.index, &mailbox.key());
        mailbox.close(why);
    }

    /// Closes those that were silent for too long, and tells when the next one will have been.
    pub(crate) fn expire(&mut self, host: &mut impl Host) -> Option<Instant> {
        let idle = self.common.budget.options.idle?;
        let now = self.run.shared.control.elapsed();
        loop {
            let (index, heard) = self.table.oldest()?;
            let Some(left) = heard.saturating_add(idle).checked_sub(now).filter(|left| !left.is_zero()) else {
                let mailbox = self.table.get(index).cloned()?;
                self.close(&mailbox, Reason::Idle);
                host.settle(&mailbox);
                self.clear(index);
                continue;
            };
            return clock::now().checked_add(left);
        }
    }

    /// Tells all that nothing more comes.
    pub(crate) fn close_all(&mut self, why: Reason) {
        let all: Vec<_> = self.table.all().cloned().collect();
        for mailbox in all {
            self.close(&mailbox, why);
        }
    }

    /// When the drain's deadline has passed, those that are left are cut. Tells whether it has.
    pub(crate) fn cut_if_late(&mut self) -> bool {
        if !self.common.ready.take_cut() {
            return false;
        }
        let left: Vec<_> = self.table.all().filter(|mailbox| !mailbox.is_over()).cloned().collect();
        for mailbox in &left {
            self.run.cut_session(mailbox.clone(), self.index);
        }
        self.close_all(Reason::Aborted);
        true
    }

    /// Clears a session away whose handler has returned.
    pub(crate) fn clear(&mut self, index: u32) {
        if self.table.get(index).is_some_and(|mailbox| mailbox.is_over()) {
            self.bury(index);
        }
    }

    fn bury(&mut self, index: u32) {
        let Some(mailbox) = self.table.get(index).cloned() else { return };
        self.table.detach(index, &mailbox.key());
        self.table.remove(index);
        if mailbox.uncount() {
            self.common.budget.end();
        }
        let (ending, read, written, untaken) = mailbox.outcome();
        self.run.shared.control.count_queue_full(untaken);
        self.run.shared.control.count_closed(ending.reason, read, written);
        if let Some((hook, failure)) = ending.broken_hook() {
            self.run.hook_failed(hook, failure);
        }
        self.run.observe(|observer| {
            observer.closed(&Closed {
                id: mailbox.id,
                peer: &mailbox.peer,
                endpoint: &self.run.shared.endpoints[self.index],
                read,
                written,
                duration: mailbox.begun.elapsed(),
                reason: ending.reason,
                failure: ending.failure(),
            });
        });
        if self.is_empty() {
            self.place = None;
        }
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // What is left was cut, or goes on without anybody who would sort packets to it.
        self.close_all(Reason::Aborted);
        let left: Vec<_> = self.table.all().map(|mailbox| mailbox.index).collect();
        left.into_iter().for_each(|index| self.bury(index));
        self.socket.trains.queued(false);
        // The run holds the list, and the waker the runtime, which holds the run.
        self.common.ready.forget_waker();
    }
}
