use super::Handle;
use super::control::Control;
use super::signals::{OnSignal, Signal};
use crate::connection::pipeline::catch;
#[cfg(feature = "tls")]
use crate::tls::{Outcome, Watcher};
use crate::{Result, clock};
use socketserver_sys::Forked;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// A function of yours that a server calls beside its handlers: each `period`, or on a signal.
pub(super) type Duty = Box<dyn FnMut(&Handle) -> Result + Send>;

/// What a server does beside serving.
#[derive(Debug, Default)]
pub(crate) struct Duties {
    run: u64,
    every: Vec<Every>,
    signals: Vec<OnSignal>,
    alarms: Vec<Alarm>,
    /// Looks after its certificates.
    #[cfg(feature = "tls")]
    certificates: Option<Watcher>,
}

struct Alarm {
    above: u64,
    below: u64,
    raised: bool,
    duty: Duty,
}

struct Every {
    period: Duration,
    next: Option<Instant>,
    duty: Duty,
}

impl Duties {
    pub(crate) fn add_every(&mut self, period: Duration, duty: Duty) {
        // Without any pause it would be a loop that leaves no time for anything else.
        self.every.push(Every { period: period.max(Duration::from_millis(1)), next: None, duty });
    }

    pub(crate) fn add_alarm(&mut self, above: u64, below: u64, duty: Duty) {
        let below = below.min(above.saturating_sub(1));
        self.alarms.push(Alarm { above, below, raised: false, duty });
    }

    /// At how many connections, and at how few, an alarm has to be looked at.
    fn thresholds(&self) -> (Option<u64>, Option<u64>) {
        let above = self.alarms.iter().filter(|alarm| !alarm.raised).map(|alarm| alarm.above).min();
        let below = self.alarms.iter().filter(|alarm| alarm.raised).map(|alarm| alarm.below).max();
        (above, below)
    }

    pub(crate) fn add_signal(&mut self, signal: Signal, duty: Duty) -> io::Result<()> {
        self.signals.push(OnSignal::new(signal, duty)?);
        Ok(())
    }

    /// Does what is due, and tells when the next is.
    pub(crate) fn turn(
        &mut self,
        handle: &Handle,
        control: &Control,
        failed: &mut dyn FnMut(&'static str, String),
    ) -> Option<Instant> {
        let mut call = |name, duty: &mut Duty| {
            // The failure's own code, which writes and drops it, is the user's too.
            match catch(|| duty(handle).map_err(|failure| failure.to_string())) {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => failed(name, failure),
                Err(panic) => failed(name, panic.to_string()),
            }
        };
        for signal in &mut self.signals {
            for _ in 0..signal.take() {
                call("on_signal", &mut signal.hook);
            }
        }
        if !self.alarms.is_empty() {
            let (peak, held) = (control.take_peak(), control.permits_held());
            for alarm in &mut self.alarms {
                if alarm.raised && held <= alarm.below {
                    alarm.raised = false;
                }
                if !alarm.raised && peak >= alarm.above {
                    alarm.raised = held > alarm.below;
                    call("alarm", &mut alarm.duty);
                }
            }
        }
        let now = clock::now();
        for every in &mut self.every {
            // A time beyond the clock's end never comes.
            let next = now.checked_add(every.period);
            match every.next {
                None => every.next = next,
                Some(due) if due <= now => {
                    call("every", &mut every.duty);
                    // From now on and not from when it was due: what was missed is not made up for.
                    every.next = next;
                }
                Some(_) => {}
            }
        }
        let next = self.every.iter().filter_map(|every| every.next).min();
        if self.alarms.is_empty() {
            return next;
        }
        let (above, below) = self.thresholds();
        control.watch_permits(above, below);
        // What came about before they were watched is looked at once more.
        let held = control.permits_held();
        if above.is_some_and(|above| held >= above) || below.is_some_and(|below| held <= below) {
            control.keeper.wake();
        }
        next
    }

    /// Looks after the server's certificates, too.
    #[cfg(feature = "tls")]
    pub(crate) fn look_after(&mut self, certificates: Watcher) {
        self.certificates = Some(certificates);
    }

    /// Looks after the server's certificates, tells what came of it, and when to look again.
    #[cfg(feature = "tls")]
    pub(super) fn look_at_certificates(&mut self, tell: &mut dyn FnMut(&Outcome)) -> Option<Instant> {
        self.certificates.as_mut().and_then(|certificates| certificates.turn(clock::now(), tell))
    }

    /// A new run counts its periods from its own start. Calls of `serve_one` are one run.
    pub(crate) fn begin(&mut self, run: u64) {
        if self.run != run {
            self.run = run;
            self.every.iter_mut().for_each(|every| every.next = None);
        }
    }

    /// What to wait on for signals, and for changes of files.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let signals = self.signals.iter().map(AsFd::as_fd);
        #[cfg(feature = "tls")]
        let signals = signals.chain(self.certificates.as_ref().and_then(Watcher::descriptor));
        signals
    }

    /// In a forked child: signals are the parent's business, and so are files.
    #[cfg_attr(not(feature = "tls"), allow(unused_variables, reason = "signals have no descriptor that it takes"))]
    pub(crate) fn disown(&self, child: &Forked) -> io::Result<()> {
        self.signals.iter().for_each(OnSignal::disown);
        #[cfg(feature = "tls")]
        if let Some(certificates) = &self.certificates {
            certificates.disown(child)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alarm({}..{})", self.below, self.above)
    }
}

impl fmt::Debug for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Every({:?})", self.period)
    }
}
