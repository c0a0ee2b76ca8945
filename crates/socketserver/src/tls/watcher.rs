use super::Acceptor;
use super::acceptor::Outcome;
use super::watch::Watch;
use socketserver_sys::{Forked, disown};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sees to it that a server has the certificates that are in its files, one step at a time, where its keeper is.
pub(crate) struct Watcher {
    acceptor: Arc<Acceptor>,
    watch: Option<Watch>,
    /// Something has changed, and the files are to be read.
    settling: Option<Settling>,
    /// Why not everything is watched, as it was told.
    unwatched: Option<String>,
    /// When to have an eye on the keys of tickets.
    tend: Option<Instant>,
}

/// Files seldom change alone: a certificate and its key are right together, and not in between.
struct Settling {
    since: Instant,
    /// When to read them.
    next: Instant,
}

impl Watcher {
    /// From a change until the first look: most are over then.
    const SETTLE: Duration = Duration::from_millis(50);
    /// From a failed look to the next.
    const RETRY: Duration = Duration::from_millis(100);
    /// What is wrong for so long is so.
    const LASTS: Duration = Duration::from_millis(500);

    pub(crate) fn new(acceptor: Arc<Acceptor>) -> Self {
        let mut new = Self { acceptor, watch: None, settling: None, unwatched: None, tend: None };
        if new.acceptor.files().next().is_some() {
            match Watch::new() {
                Ok(watch) => new.watch = Some(watch),
                Err(error) => new.is_unwatched("files", &error),
            }
            new.follow();
            // What changed between the first reading and this moment nobody has seen.
            let now = crate::clock::now();
            new.settling = Some(Settling { since: now, next: now });
        }
        new
    }

    /// What to wait on.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// In a forked child: changes are the parent's business.
    pub(crate) fn disown(&self, child: &Forked) -> io::Result<()> {
        self.watch.as_ref().map_or(Ok(()), |watch| disown(child, watch))
    }

    /// Does what is due, tells what came of it, and when the next is.
    pub(crate) fn turn(&mut self, now: Instant, tell: &mut dyn FnMut(&Outcome)) -> Option<Instant> {
        if self.watch.as_mut().is_some_and(Watch::take) && self.settling.is_none() {
            self.settling = Some(Settling { since: now, next: now + Self::SETTLE });
        }
        if let Some(settling) = &mut self.settling
            && settling.next <= now
        {
            let lasts = now.saturating_duration_since(settling.since) >= Self::LASTS;
            settling.next = now + Self::RETRY;
            self.look(lasts);
        }
        self.tend(now);
        self.acceptor.take_outcomes().iter().for_each(tell);
        self.settling.as_ref().map(|settling| settling.next).into_iter().chain(self.tend).min()
    }

    /// Reads the files. What is wrong with them may be right in a moment, unless it has lasted.
    fn look(&mut self, lasts: bool) {
        // First the places, then what is in them: what changes after this is seen.
        self.follow();
        let result = self.acceptor.read_again();
        if result.is_ok() || lasts {
            self.settling = None;
            self.acceptor.note_unless_known(&result);
        }
    }

    fn follow(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        match watch.follow(self.acceptor.files()) {
            Ok(()) => self.unwatched = None,
            Err((place, error)) => self.is_unwatched(&format!("`{}`", place.display()), &error),
        }
    }

    fn is_unwatched(&mut self, place: &str, error: &io::Error) {
        let why = match rustix::io::Errno::from_io_error(error) {
            Some(rustix::io::Errno::NOSPC) => {
                "the user has too many watches (`fs.inotify.max_user_watches`)".to_owned()
            }
            Some(rustix::io::Errno::MFILE) => {
                format!("{error}, or the user has too many watchers (`fs.inotify.max_user_instances`)")
            }
            _ => error.to_string(),
        };
        let words = format!("cannot watch {place} for changes: {why}; they are read when the server is told to");
        if self.unwatched.as_ref() != Some(&words) {
            self.acceptor.note(Outcome::Failed(words.clone()));
            self.unwatched = Some(words);
        }
    }

    /// Keys of tickets change when somebody makes one, and under `Forks` that is never this process.
    fn tend(&mut self, now: Instant) {
        match self.tend {
            Some(due) if due > now => return,
            Some(_) => self.acceptor.turn_tickets(),
            None => {}
        }
        self.tend = now.checked_add(Acceptor::TICKETS);
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("acceptor", &self.acceptor).finish_non_exhaustive()
    }
}
