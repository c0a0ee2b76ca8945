//! Who comes and who leaves, in words.

use crate::args::Log;
use crate::printable;
use socketserver::{
    AcceptFailed, ChildEnded, Closed, Cut, Draining, Hogged, HookFailed, Observer, Opened, Refused, SpawnFailed,
    TlsReloadFailed, TlsReloaded, Undelivered, Unsent,
};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The log, with other words for those who come and leave, and how many are there then. Written as JSON it is the log.
pub(super) struct Arrivals {
    log: Log,
    open: AtomicU64,
}

impl Arrivals {
    pub(super) fn new(log: Log) -> Self {
        Self { log, open: AtomicU64::new(0) }
    }
}

macro_rules! pass_on {
    ($($event:ident: $kind:ty),* $(,)?) => {
        $(fn $event(&self, event: &$kind) {
            self.log.$event(event);
        })*
    };
}

impl Observer for Arrivals {
    fn opened(&self, event: &Opened<'_>) {
        let open = self.open.fetch_add(1, Relaxed) + 1;
        match self.log {
            Log::Text => self.log.note(&format!("{} {} has come; {open} open", event.id, event.peer)),
            Log::Json => self.log.opened(event),
        }
    }

    fn closed(&self, event: &Closed<'_>) {
        let open = self.open.fetch_sub(1, Relaxed) - 1;
        match self.log {
            Log::Text => {
                let failure =
                    event.failure.map(|failure| format!(": {}", printable::text(failure))).unwrap_or_default();
                let (id, peer, reason) = (event.id, event.peer, event.reason.as_str());
                self.log.note(&format!("{id} {peer} has left ({reason}{failure}); {open} open"));
            }
            Log::Json => self.log.closed(event),
        }
    }

    pass_on! {
        refused: Refused<'_>,
        accept_failed: AcceptFailed<'_>,
        unsent: Unsent<'_>,
        undelivered: Undelivered<'_>,
        spawn_failed: SpawnFailed<'_>,
        child_ended: ChildEnded,
        hook_failed: HookFailed<'_>,
        hogged: Hogged,
        tls_reloaded: TlsReloaded<'_>,
        tls_reload_failed: TlsReloadFailed<'_>,
        draining: Draining,
        cut: Cut,
    }
}
