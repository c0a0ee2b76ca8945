use super::load::{Inputs, Loaded, Resumption};
use super::{Fingerprint, ServerTls};
use crate::Error;
use rustls::{ServerConfig, ServerConnection};
use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a server shakes hands with at the moment. A reload puts something else in its place, for those who come from then
/// on; one that fails changes nothing.
pub(crate) struct Acceptor {
    tls: ServerTls,
    current: Mutex<Arc<ServerConfig>>,
    generation: AtomicU64,
    /// What `current` was made of. Whoever reloads has it meanwhile.
    state: Mutex<State>,
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
        Ok(Self { tls, current: Mutex::new(config), generation: AtomicU64::new(1), state: Mutex::new(state) })
    }

    /// The server's side of a connection that comes now.
    pub(crate) fn session(&self) -> Result<ServerConnection, rustls::Error> {
        let config = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ServerConnection::new(config)
    }

    /// Whether those are served, too, who speak no TLS.
    pub(crate) fn or_plain(&self) -> bool {
        self.tls.or_plain
    }

    /// Another number means that connections from now on are to be shaken hands with in another way: a process that was
    /// forked before does it in the old one.
    #[allow(dead_code, reason = "a model that forks asks for it")]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(SeqCst)
    }

    /// Reads everything again, and tells whether anything is new. What fails leaves everything as it was.
    pub(crate) fn reload(&self) -> Result<bool, Error> {
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

    /// Of the certificates that are in use, in their order.
    #[allow(dead_code, reason = "the event of a reload tells them")]
    pub(crate) fn fingerprints(&self) -> Vec<Fingerprint> {
        self.state().fingerprints.clone()
    }

    /// Every file that is read.
    #[allow(dead_code, reason = "they are to be watched")]
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.tls.files()
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
