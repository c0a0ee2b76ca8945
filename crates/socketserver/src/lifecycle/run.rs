use super::hogs::Pulse;
use super::{Duties, Handle, Keeper, Report, Settings, Shared};
use crate::Error;
use crate::admission::{AT_A_TIME, Farewell};
use crate::connection::Terms;
use crate::connection::pipeline::catch;
use crate::datagram::session::{Mailbox, Newcomers, Ready};
use crate::endpoint::{Listeners, Transport};
use crate::events::{Cut, HookFailed, Observer};
use socketserver_sys::{Forked, disown};
use std::fmt;
use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// One run of a server: from `serve` to its return.
pub(crate) struct Run {
    pub(crate) shared: Arc<Shared>,
    /// Given up at the end: a thread that the drain abandoned must not keep ports bound.
    listeners: Mutex<Option<Arc<Listeners>>>,
    keeper_started: AtomicBool,
    pub(crate) settings: Settings,
    /// What a connection begins with.
    pub(crate) terms: Arc<Terms>,
    pub(crate) number: u64,
    duties: Arc<Mutex<Duties>>,
    state: Mutex<State>,
    over: Condvar,
    /// Sessions that wait for a thread, where threads serve them.
    newcomers: OnceLock<Arc<Newcomers>>,
    /// For how many batches of packets, and crowds of sessions, of each endpoint there is somebody at work.
    packets: Box<[AtomicU64]>,
    /// Of the shards of the async engine, if they are ours.
    pulses: OnceLock<Vec<Arc<Pulse>>>,
    /// The run is over: for tasks that wait for that.
    #[cfg(feature = "tokio")]
    over_for_tasks: tokio::sync::watch::Sender<bool>,
    /// The drain's deadline has passed: for tasks that wait for that.
    #[cfg(feature = "tokio")]
    cut_for_tasks: tokio::sync::watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    keeper: Option<JoinHandle<()>>,
    /// Handlers of packets that the drain's deadline found waiting.
    packets: Vec<Cut>,
    /// Of all who sort packets into sessions.
    sorters: Vec<Arc<Ready>>,
    /// Sessions that the drain's deadline found open.
    sessions: Vec<(Arc<Mailbox>, usize)>,
    /// What the drain left; the run is over once it is there.
    outcome: Option<Vec<Cut>>,
    /// How many connections and batches of packets had not come back then.
    left: u64,
    rung: bool,
    /// Peers that were just turned away with a word, for the keeper, and how many there are in all.
    farewells: Vec<Farewell>,
    lingering: usize,
    /// A single connection was served, and nobody asked for a drain.
    dismissed: bool,
}

impl Run {
    /// How long those have to come back that share their shard with nobody who was abandoned.
    #[cfg(feature = "tokio")]
    const STRAGGLERS: Duration = Duration::from_millis(200);

    pub(crate) fn new(
        shared: Arc<Shared>,
        listeners: Arc<Listeners>,
        duties: Arc<Mutex<Duties>>,
        settings: Settings,
    ) -> Arc<Self> {
        let number = shared.control.current_run();
        shared.control.begin(number);
        let terms = Arc::new(settings.terms(Handle::new(shared.clone(), number)));
        let packets = shared.endpoints.iter().map(|_| AtomicU64::new(0)).collect();
        let new = Self {
            shared,
            listeners: Mutex::new(Some(listeners)),
            keeper_started: AtomicBool::new(false),
            terms,
            settings,
            number,
            duties,
            state: Mutex::default(),
            over: Condvar::new(),
            newcomers: OnceLock::new(),
            packets,
            pulses: OnceLock::new(),
            #[cfg(feature = "tokio")]
            over_for_tasks: tokio::sync::watch::Sender::new(false),
            #[cfg(feature = "tokio")]
            cut_for_tasks: tokio::sync::watch::Sender::new(false),
        };
        if let Some(looks) = new.settings.looks() {
            new.shared.control.set_look_period(looks.period);
        }
        new.duties().begin(number);
        Arc::new(new)
    }

    pub(crate) fn handle(&self) -> Handle {
        Handle::new(self.shared.clone(), self.number)
    }

    /// Where connections come from; `None` when the run is over.
    pub(crate) fn listeners(&self) -> Option<Arc<Listeners>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.shared.control.is_stopping(self.number)
    }

    pub(crate) fn duties(&self) -> MutexGuard<'_, Duties> {
        self.duties.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the observer, if there is one. A panic of its own is swallowed: there is nobody left to tell.
    pub(crate) fn observe(&self, tell: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.settings.observer {
            let _ = catch(|| tell(&**observer));
        }
    }

    pub(crate) fn hook_failed(&self, hook: &str, failure: &str) {
        // In a child nobody listens to events.
        if self.shared.is_ours() {
            self.observe(|observer| observer.hook_failed(&HookFailed { hook, failure }));
        }
    }

    /// Puts a thread to it that does the duties and watches over the drain, while other threads serve.
    pub(crate) fn start_keeper(self: &Arc<Self>) -> Result<(), Error> {
        if self.keeper_started.swap(true, SeqCst) {
            return Ok(());
        }
        let mut state = self.state();
        if state.keeper.is_none() && state.outcome.is_none() {
            let run = self.clone();
            let keeper = std::thread::Builder::new()
                .name("socketserver-keeper".into())
                .spawn(move || Keeper::new(run).keep())
                .map_err(|error| Error::io("cannot start the thread that watches over the server", error))?;
            state.keeper = Some(keeper);
        }
        Ok(())
    }

    /// The drain is over.
    pub(crate) fn conclude(&self, cut: Vec<Cut>) {
        let mut state = self.state();
        let mut cut = cut;
        cut.extend(
            state
                .sessions
                .drain(..)
                .map(|(mailbox, index)| mailbox.cut(&self.shared.endpoints[index], !mailbox.is_over())),
        );
        cut.append(&mut state.packets);
        state.left = self.shared.control.places();
        if cut.is_empty() {
            // Whoever is at work on packets still comes back no more, and whose they are is not known.
            let stuck = self.packets.iter().zip(&self.shared.endpoints).filter(|(count, _)| count.load(SeqCst) > 0);
            cut.extend(stuck.map(|(_, endpoint)| Cut {
                id: 0,
                peer: crate::Peer::unnamed(),
                endpoint: endpoint.clone(),
                age: Duration::ZERO,
                abandoned: true,
            }));
        }
        state.outcome = Some(cut);
        drop(state);
        self.over.notify_all();
        #[cfg(feature = "tokio")]
        self.over_for_tasks.send_replace(true);
    }

    pub(crate) fn packets_begin(&self, index: usize) {
        self.packets[index].fetch_add(1, SeqCst);
    }

    pub(crate) fn packets_end(&self, index: usize) {
        self.packets[index].fetch_sub(1, SeqCst);
    }

    /// The drain's deadline passed while the handler of a packet of that endpoint waited.
    #[cfg(feature = "tokio")]
    pub(crate) fn cut_packet(&self, index: usize, peer: &crate::Peer, age: Duration) {
        let cut =
            Cut { id: 0, peer: peer.clone(), endpoint: self.shared.endpoints[index].clone(), age, abandoned: false };
        self.observe(|observer| observer.cut(&cut));
        self.state().packets.push(cut);
    }

    /// Who is to be told when the drain's deadline passes.
    pub(crate) fn watch_sessions(&self, ready: Arc<Ready>) {
        self.state().sorters.push(ready);
    }

    /// The drain's deadline has passed for all sessions that are left.
    pub(crate) fn cut_sessions(&self) {
        let sorters = self.state().sorters.clone();
        sorters.iter().for_each(|ready| ready.cut());
        #[cfg(feature = "tokio")]
        self.cut_for_tasks.send_replace(true);
    }

    /// The drain's deadline passed for a session of that endpoint.
    pub(crate) fn cut_session(&self, mailbox: Arc<Mailbox>, index: usize) {
        // Told before it is done: what comes of it is told by others.
        self.observe(|observer| observer.cut(&mailbox.cut(&self.shared.endpoints[index], false)));
        self.state().sessions.push((mailbox, index));
    }

    /// Sessions that wait for a thread, where threads serve them.
    pub(crate) fn newcomers(&self) -> Option<&Arc<Newcomers>> {
        self.newcomers.get()
    }

    /// Sessions are served by threads from now on.
    pub(crate) fn await_newcomers(&self, newcomers: Arc<Newcomers>) {
        let _ = self.newcomers.set(newcomers);
    }

    /// The drain's deadline has passed.
    #[cfg(feature = "tokio")]
    pub(crate) async fn is_cut(&self) {
        // The sender is ours, so it is there.
        let _ = self.cut_for_tasks.subscribe().wait_for(|cut| *cut).await;
    }

    /// The run is over.
    #[cfg(feature = "tokio")]
    pub(crate) async fn is_over(&self) {
        // The sender is ours, so it is there.
        let _ = self.over_for_tasks.subscribe().wait_for(|over| *over).await;
    }

    /// The drain begins: tasks that wait for that are told.
    pub(crate) fn tell_tasks(&self) {
        #[cfg(feature = "tokio")]
        self.shared.stopping.send_modify(|run| *run = self.number.max(*run));
    }

    /// The shards that the keeper is to look at.
    #[cfg(feature = "tokio")]
    pub(crate) fn watch_pulses(&self, pulses: Vec<Arc<Pulse>>) {
        let _ = self.pulses.set(pulses);
    }

    pub(crate) fn pulses(&self) -> &[Arc<Pulse>] {
        self.pulses.get().map_or(&[], Vec::as_slice)
    }

    /// Tells a peer that is turned away why, unless too many of them linger already.
    pub(crate) fn bid_farewell(&self, transport: Transport, words: &[u8]) {
        let mut state = self.state();
        if state.lingering >= AT_A_TIME {
            return;
        }
        #[cfg_attr(not(feature = "tokio"), allow(irrefutable_let_patterns, reason = "there is but one kind then"))]
        let Transport::Socket(socket) = transport else { return };
        if let Some(farewell) = Farewell::say(socket, words) {
            state.farewells.push(farewell);
            state.lingering += 1;
            self.shared.control.keeper.wake();
        }
    }

    pub(crate) fn take_farewells(&self) -> Vec<Farewell> {
        std::mem::take(&mut self.state().farewells)
    }

    /// In a forked child: lets go of those that no keeper has taken yet.
    pub(crate) fn disown_farewells(&self, child: &Forked) -> io::Result<()> {
        self.state().farewells.iter().try_for_each(|farewell| disown(child, farewell))
    }

    pub(crate) fn farewells_ended(&self, count: usize) {
        self.state().lingering -= count;
    }

    /// Waits until the drain is over. The caller has made sure that there is one.
    fn wait_until_over(&self) {
        while !self.wait_until_over_or_rung(None) {}
    }

    /// As [`wait_until_over`](Self::wait_until_over), but for so long at most, or until [`ring`](Self::ring). Tells
    /// whether it is over.
    pub(crate) fn wait_until_over_or_rung(&self, time: Option<Duration>) -> bool {
        let goes_on = |state: &mut State| state.outcome.is_none() && !state.rung;
        let mut state = match time {
            Some(time) => {
                let waited = self.over.wait_timeout_while(self.state(), time, goes_on);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.over.wait_while(self.state(), goes_on).unwrap_or_else(PoisonError::into_inner),
        };
        state.rung = false;
        state.outcome.is_some()
    }

    /// Wakes whoever waits for the run to be over, to look at something else.
    pub(crate) fn ring(&self) {
        self.state().rung = true;
        self.over.notify_all();
    }

    pub(crate) fn is_dismissed(&self) -> bool {
        self.state().dismissed
    }

    /// How many connections and batches of packets the drain left behind.
    pub(crate) fn abandoned(&self) -> u64 {
        self.state().left
    }

    /// Joins the threads of shards whose run is over, all but those that the drain abandoned.
    #[cfg(feature = "tokio")]
    pub(crate) fn join_shards(
        &self,
        threads: Vec<JoinHandle<()>>,
        ends: &std::sync::mpsc::Receiver<Result<(), Error>>,
    ) -> Result<(), Error> {
        let abandoned = self.abandoned() > 0;
        let mut result = Ok(());
        // An error without a thread may be among them: then they all end.
        while let Ok(end) =
            if abandoned { ends.recv_timeout(Self::STRAGGLERS) } else { ends.recv().map_err(Into::into) }
        {
            if result.is_ok() {
                result = end;
            }
        }
        for thread in threads {
            if !abandoned || thread.is_finished() {
                let _ = thread.join();
            }
        }
        result
    }

    /// The end of a run: whatever made it end, what is open is drained, and the keeper goes.
    pub(crate) fn finish(self: &Arc<Self>, accepted_before: u64) -> Report {
        if !self.is_stopping() {
            // The model came to an end by itself.
            self.handle().shutdown();
        }
        let keeper = self.state().keeper.take();
        match keeper {
            Some(keeper) => {
                self.wait_until_over();
                // It cannot panic: what it calls of a user's is caught.
                let _ = keeper.join();
            }
            None if self.state().outcome.is_none() => Keeper::new(self.clone()).keep(),
            None => {}
        }
        let cut = self.state().outcome.take().unwrap_or_default();
        let control = &self.shared.control;
        control.end(self.number);
        drop(self.listeners.lock().unwrap_or_else(PoisonError::into_inner).take());
        let hurried = Some(self.shared.hurried.swap(0, SeqCst)).filter(|signal| *signal != 0);
        let totals = self.handle().totals();
        Report { served: totals.accepted - accepted_before, cut, hurried, totals }
    }

    /// One connection was served, and the run goes on with the next call.
    pub(crate) fn dismiss(&self) {
        let keeper = {
            let mut state = self.state();
            state.dismissed = true;
            state.keeper.take()
        };
        self.shared.control.keeper.wake();
        if let Some(keeper) = keeper {
            let _ = keeper.join();
        }
    }
}

/// Ends a run that is given up half-way.
#[cfg(feature = "tokio")]
pub(crate) struct Ends(Option<Arc<Run>>);

#[cfg(feature = "tokio")]
impl Ends {
    pub(crate) fn new(run: Arc<Run>) -> Self {
        Self(Some(run))
    }

    /// It came to its own end.
    pub(crate) fn in_order(mut self) {
        self.0 = None;
    }
}

#[cfg(feature = "tokio")]
impl Drop for Ends {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            let accepted = run.shared.control.totals().accepted;
            run.handle().shutdown();
            run.tell_tasks();
            run.conclude(Vec::new());
            run.finish(accepted);
        }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("number", &self.number).finish_non_exhaustive()
    }
}
