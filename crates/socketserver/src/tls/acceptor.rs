use super::load::{Inputs, Loaded, Resumption};
use super::{Fingerprint, ServerTls};
use crate::Error;
use rustls::{ServerConfig, ServerConnection};
use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a server shakes hands with at the moment. A reload puts something else in its place, for those who come from then
/// on; one that fails changes nothing.
pub(crate) struct Acceptor {
    tls: ServerTls,
    current: Mutex<Arc<ServerConfig>>,
    generation: AtomicU64,
    /// What `current` was made of. Whoever reloads has it meanwhile.
    state: Mutex<State>,
    outcomes: Mutex<Outcomes>,
}

/// What came of a reload, for those who are to be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// These are in use now.
    Reloaded(Vec<Fingerprint>),
    /// This is wrong.
    Failed(String),
}

#[derive(Debug, Default)]
struct Outcomes {
    /// Those that nobody was told yet.
    untold: VecDeque<Outcome>,
    /// What is wrong since the last time that all was well.
    known: Option<String>,
}

struct State {
    /// Nothing is read for a configuration that is taken as it is.
    origin: Option<Origin>,
    fingerprints: Vec<Fingerprint>,
}

struct Origin {
    digest: Fingerprint,
    resumption: Resumption,
}

impl Acceptor {
    /// A bit longer than the keys of tickets are good for.
    pub(super) const TICKETS: Duration = Duration::from_secs(6 * 60 * 60 + 10);
    /// How many outcomes are kept for whoever asks: the latest. Only a server that nobody runs has so many.
    const KEPT: usize = 16;

    /// Reads everything, now.
    pub(crate) fn new(tls: ServerTls) -> Result<Self, Error> {
        let (config, state) = match tls.ready()? {
            Some(ready) => (ready.clone(), State { origin: None, fingerprints: Vec::new() }),
            None => {
                let inputs = Inputs::read(&tls)?;
                let Loaded { config, fingerprints, resumption } = Loaded::new(&tls, &inputs, None)?;
                let origin = Origin { digest: inputs.digest(), resumption };
                (config, State { origin: Some(origin), fingerprints })
            }
        };
        Ok(Self {
            tls,
            current: Mutex::new(config),
            generation: AtomicU64::new(1),
            state: Mutex::new(state),
            outcomes: Mutex::default(),
        })
    }

    /// The server's side of a connection that comes now.
    pub(crate) fn session(&self) -> Result<ServerConnection, rustls::Error> {
        ServerConnection::new(self.config())
    }

    /// What is in use.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether those are served, too, who speak no TLS.
    pub(crate) fn or_plain(&self) -> bool {
        self.tls.or_plain
    }

    /// Another number means that connections from now on are to be shaken hands with in another way: a process that was
    /// forked before does it in the old one.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(SeqCst)
    }

    /// Reads everything again, and tells whether anything is new. What fails leaves everything as it was. What comes of it
    /// is an event.
    pub(crate) fn reload(&self) -> Result<bool, Error> {
        let result = self.read_again();
        self.outcomes().known = None;
        self.note_unless_known(&result);
        result
    }

    /// As [`reload`](Self::reload), and no event.
    pub(super) fn read_again(&self) -> Result<bool, Error> {
        let mut state = self.state();
        let Some(origin) = &state.origin else { return Ok(false) };
        let inputs = Inputs::read(&self.tls)?;
        let digest = inputs.digest();
        if digest == origin.digest {
            return Ok(false);
        }
        let Loaded { config, fingerprints, resumption } = Loaded::new(&self.tls, &inputs, Some(&origin.resumption))?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = config;
        *state = State { origin: Some(Origin { digest, resumption }), fingerprints };
        self.generation.fetch_add(1, SeqCst);
        Ok(true)
    }

    /// What came of a reload is to be told, but for a failure that was told already.
    pub(super) fn note_unless_known(&self, result: &Result<bool, Error>) {
        match result {
            Ok(changed) => {
                self.outcomes().known = None;
                if *changed {
                    self.note(Outcome::Reloaded(self.state().fingerprints.clone()));
                }
            }
            Err(error) => {
                let words = error.to_string();
                let known = self.outcomes().known.replace(words.clone());
                if known.as_ref() != Some(&words) {
                    self.note(Outcome::Failed(words));
                }
            }
        }
    }

    /// It is to be told.
    pub(super) fn note(&self, outcome: Outcome) {
        let mut outcomes = self.outcomes();
        if outcomes.untold.len() == Self::KEPT {
            outcomes.untold.pop_front();
        }
        outcomes.untold.push_back(outcome);
    }

    /// What is to be told.
    pub(super) fn take_outcomes(&self) -> VecDeque<Outcome> {
        std::mem::take(&mut self.outcomes().untold)
    }

    /// The keys of tickets are over: the next ones are taken in this process, so that those which it forks from now on have
    /// the same ones.
    pub(super) fn turn_tickets(&self) {
        if let Some(origin) = &self.state().origin {
            let _ = origin.resumption.ticketer.encrypt(&[]);
            self.generation.fetch_add(1, SeqCst);
        }
    }

    /// Every file that is read.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> + Clone {
        self.tls.files()
    }

    fn outcomes(&self) -> MutexGuard<'_, Outcomes> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A child is about to be forked, whose sessions are to go on in others.
    pub(crate) fn before_fork(&self) {
        if let Some(origin) = &self.state().origin {
            origin.resumption.prepare();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("tls", &self.tls).field("generation", &self.generation).finish_non_exhaustive()
    }
}
