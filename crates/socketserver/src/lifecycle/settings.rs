use super::Handle;
use super::deadlines::{Deadlines, Looks};
use crate::admission::ProxySource;
use crate::connection::{HANDSHAKE, IDLE, Idle, Terms, WRITE};
use crate::events::Observer;
use std::sync::Arc;
use std::time::Duration;

/// What a server was told before it serves.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) deadlines: Deadlines,
    pub(crate) write: Option<Duration>,
    pub(crate) handshake: Option<Duration>,
    /// Who has to say for whom it connects; nobody else may connect then.
    pub(crate) proxies: Arc<[ProxySource]>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

impl Settings {
    /// What a connection begins with.
    pub(super) fn terms(&self, handle: Handle) -> Terms {
        let idle = if self.looks().is_some() { Idle::Watched } else { Idle::Own(None) };
        Terms { handle, idle, write: self.write, handshake: self.handshake }
    }

    /// How the keeper looks after the deadlines, if there are any.
    pub(crate) fn looks(&self) -> Option<Looks> {
        self.deadlines.looks()
    }
}

impl Default for Settings {
    fn default() -> Self {
        let deadlines = Deadlines { idle: IDLE, first_byte: None, lifetime: None, min_rate: None };
        Self { deadlines, write: WRITE, handshake: HANDSHAKE, proxies: Arc::new([]), observer: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_on_unless_told() {
        let settings = Settings::default();
        assert_eq!(settings.deadlines.idle, Some(Duration::from_secs(60)));
        assert_eq!(settings.write, Some(Duration::from_secs(30)));
        assert_eq!(settings.handshake, Some(Duration::from_secs(5)));
    }
}
