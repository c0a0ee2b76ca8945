use super::Work;
use crate::admission::{Place, Tried};
use crate::datagram::session::{Host, Mailbox, Newcomer, Newcomers, Ready, Router};
use crate::datagram::{DatagramSocket, tell_bounces};
use crate::endpoint::{LeftPackets, Listeners, poll_until, readable};
use crate::engine::Blocking;
use crate::handler::Service;
use crate::{Error, Reason, clock};
use rustix::event::PollFlags;
use socketserver_sys::Wake;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The threads that sort packets into sessions, one an endpoint, while the threads of a pool serve the sessions.
pub(super) struct Sorting {
    threads: Vec<JoinHandle<Result<(), Error>>>,
    listeners: Arc<Listeners>,
    newcomers: Arc<Newcomers>,
    _left: LeftPackets,
}

impl Sorting {
    /// `None`: the handler takes no sessions, or none come.
    pub(super) fn start<S: Service<Blocking> + Send + Sync>(
        work: &Work<Blocking, S>,
        threads: usize,
    ) -> Result<Option<Self>, Error> {
        let (Some(budget), Some(listeners)) = (work.service.budget(), work.run.listeners()) else { return Ok(None) };
        if listeners.all.iter().all(|listener| listener.packets().is_none()) {
            return Ok(None);
        }
        // Those that nobody could serve would only wait for one of the others to end.
        budget.hold_to(threads);
        let failed = |error| Error::io("cannot sort packets into sessions", error);
        let newcomers = Arc::new(Newcomers::new().map_err(failed)?);
        let left = listeners.leave_packets().map_err(failed)?;
        listeners.report_newcomers(&newcomers).map_err(failed)?;
        work.run.await_newcomers(newcomers.clone());
        let mut new =
            Self { threads: Vec::new(), listeners: listeners.clone(), newcomers: newcomers.clone(), _left: left };
        for (index, listener) in listeners.all.iter().enumerate() {
            let Some(socket) = listener.packets() else { continue };
            let wake = Arc::new(Wake::new().map_err(failed)?);
            let sorter = Sorter {
                router: Router::new(&work.run, index, socket, budget),
                hall: Hall { newcomers: newcomers.clone(), socket: socket.clone() },
                waker: Waker::from(wake.clone()),
                work: work.clone(),
                wake,
                index,
            };
            let thread = std::thread::Builder::new().name("socketserver-sorter".into());
            new.threads.push(thread.spawn(move || sorter.sort()).map_err(failed)?);
        }
        Ok(Some(new))
    }

    /// They are over when the run is, but for those that the drain `abandoned`.
    pub(super) fn join(mut self, abandoned: bool) -> Result<(), Error> {
        let mut result = Ok(());
        for thread in std::mem::take(&mut self.threads) {
            if !abandoned || thread.is_finished() {
                // They do not panic: what they call of a user's is caught.
                result = result.and(thread.join().unwrap_or(Ok(())));
            }
        }
        result
    }
}

impl Drop for Sorting {
    fn drop(&mut self) {
        self.listeners.report_no_newcomers(&self.newcomers);
    }
}

/// Sorts the packets of one endpoint.
struct Sorter<S> {
    work: Work<Blocking, S>,
    router: Router,
    hall: Hall,
    index: usize,
    wake: Arc<Wake>,
    waker: Waker,
}

/// Where sessions wait for a thread.
struct Hall {
    newcomers: Arc<Newcomers>,
    socket: Arc<DatagramSocket>,
}

impl Host for Hall {
    fn begin(&mut self, mailbox: &Arc<Mailbox>) {
        self.newcomers.push(Newcomer { mailbox: mailbox.clone(), socket: self.socket.clone() });
    }

    fn can_settle(&self, _: &Arc<Mailbox>) -> bool {
        // One that is at work goes on with that, and gets no more.
        true
    }

    fn settle(&mut self, mailbox: &Arc<Mailbox>) -> bool {
        mailbox.cancel();
        // Those that have a thread are through in a moment, and there are no more of them than threads.
        true
    }
}

/// After the drain's deadline sessions have so long to come back.
const GRACE: Duration = Duration::from_millis(500);
/// While accepting is suspended this often it is looked whether it still is: no descriptor tells.
const SUSPENDED: Duration = Duration::from_millis(100);

impl<S: Service<Blocking> + Send + Sync> Sorter<S> {
    fn sort(mut self) -> Result<(), Error> {
        let run = self.work.run.clone();
        while !run.is_stopping() {
            let result = self.turn();
            if result.is_err() {
                run.handle().shutdown();
                self.drain();
                return result;
            }
        }
        self.drain();
        Ok(())
    }

    /// Those that have ended go, and packets that came are sorted; if there are none it waits.
    fn turn(&mut self) -> Result<(), Error> {
        let run = self.work.run.clone();
        let mut until = self.router.expire(&mut self.hall);
        self.clear();
        let place = Place::take(&run);
        if run.is_stopping() {
            return Ok(());
        }
        match self.work.gate.receive(&self.hall.socket, self.index, place)? {
            Tried::Packets(mut batch) => {
                self.router.sort::<Blocking, S>(&mut batch, &*self.work.service, &mut self.hall);
                return Ok(());
            }
            Tried::Rest(_, rest) => self.wait(false, Some(until.map_or(rest, |until| until.min(rest))))?,
            Tried::Full(_) => {
                let look = clock::now() + SUSPENDED;
                until = Some(until.map_or(look, |until| until.min(look)));
                self.wait(false, until)?;
            }
            Tried::More(_) => {}
            Tried::Nothing(_) | Tried::Admitted(_) => self.wait(true, until)?,
        }
        Ok(())
    }

    /// Waits for packets, if it is to; for sessions that end, for the wish to stop, and for the time.
    fn wait(&self, for_packets: bool, until: Option<Instant>) -> Result<(), Error> {
        if self.is_ready() {
            return Ok(());
        }
        let stop = &self.work.run.shared.control.stop;
        let mut fds = vec![readable(self.wake.as_fd()), readable(stop.as_fd())];
        if for_packets {
            fds.push(readable(self.hall.socket.as_fd()));
        }
        poll_until(&mut fds, until).map_err(|error| Error::io("cannot wait for packets", error))?;
        if fds.get(2).is_some_and(|socket| socket.revents().contains(PollFlags::ERR)) {
            // It would not wait again before they are told of.
            tell_bounces(&self.work.run, &self.hall.socket, self.index);
        }
        self.work.gate.forget_old_wishes();
        Ok(())
    }

    /// Whether sessions have ended. If not, the wakeup descriptor tells when one has.
    fn is_ready(&self) -> bool {
        self.wake.clear();
        self.router.ready().poll(&mut Context::from_waker(&self.waker)).is_ready()
    }

    fn clear(&mut self) {
        let mut ended = Vec::new();
        Ready::take(self.router.ready(), &mut ended);
        ended.into_iter().for_each(|index| self.router.clear(index));
    }

    /// Gives the sessions their time.
    fn drain(&mut self) {
        self.router.close_all(Reason::Drained);
        // Nobody serves those any more that wait for a thread.
        while let Some(newcomer) = self.hall.newcomers.pop_one() {
            newcomer.mailbox.cancel();
        }
        let mut until = None;
        loop {
            self.clear();
            if self.router.is_empty() || until.is_some_and(|until| until <= clock::now()) {
                return;
            }
            if self.router.cut_if_late() {
                until = Some(clock::now() + GRACE);
            }
            if !self.is_ready() {
                // It fails for want of memory alone; then it is tried again.
                let _ = poll_until(&mut [readable(self.wake.as_fd())], until);
            }
        }
    }
}
