use super::{
    AcceptFailed, ChildEnded, Closed, Cut, Draining, Hogged, HookFailed, Observer, Opened, Refused, SpawnFailed,
    TlsReloadFailed, TlsReloaded, Undelivered, Unsent,
};
use crate::connection::pipeline::catch;

/// Two observers at once: both are told, in order, and a panic in the first does not keep the second from it. For more,
/// pairs in pairs: `(a, (b, c))`.
///
/// ```
/// use socketserver::{Closed, Observer, Opened, Server};
///
/// struct Greet;
/// impl Observer for Greet {
///     fn opened(&self, e: &Opened<'_>) {
///         println!("hello, {}", e.peer);
///     }
/// }
/// struct Mourn;
/// impl Observer for Mourn {
///     fn closed(&self, e: &Closed<'_>) {
///         println!("farewell, {}: {}", e.peer, e.reason);
///     }
/// }
/// let server = Server::bind("tcp://127.0.0.1:0")?.observe((Greet, Mourn));
/// # Ok::<_, socketserver::Error>(())
/// ```
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn opened(&self, event: &Opened<'_>) {
        both(self, |observer| observer.opened(event));
    }
    fn closed(&self, event: &Closed<'_>) {
        both(self, |observer| observer.closed(event));
    }
    fn refused(&self, event: &Refused<'_>) {
        both(self, |observer| observer.refused(event));
    }
    fn accept_failed(&self, event: &AcceptFailed<'_>) {
        both(self, |observer| observer.accept_failed(event));
    }
    fn unsent(&self, event: &Unsent<'_>) {
        both(self, |observer| observer.unsent(event));
    }
    fn undelivered(&self, event: &Undelivered<'_>) {
        both(self, |observer| observer.undelivered(event));
    }
    fn spawn_failed(&self, event: &SpawnFailed<'_>) {
        both(self, |observer| observer.spawn_failed(event));
    }
    fn child_ended(&self, event: &ChildEnded) {
        both(self, |observer| observer.child_ended(event));
    }
    fn hook_failed(&self, event: &HookFailed<'_>) {
        both(self, |observer| observer.hook_failed(event));
    }
    fn hogged(&self, event: &Hogged) {
        both(self, |observer| observer.hogged(event));
    }
    fn tls_reloaded(&self, event: &TlsReloaded<'_>) {
        both(self, |observer| observer.tls_reloaded(event));
    }
    fn tls_reload_failed(&self, event: &TlsReloadFailed<'_>) {
        both(self, |observer| observer.tls_reload_failed(event));
    }
    fn draining(&self, event: &Draining) {
        both(self, |observer| observer.draining(event));
    }
    fn cut(&self, event: &Cut) {
        both(self, |observer| observer.cut(event));
    }
}

fn both<A: Observer, B: Observer>((first, second): &(A, B), tell: impl Fn(&dyn Observer)) {
    let _ = catch(|| tell(first));
    // A panic here is whoever's who tells the pair: the server swallows it.
    tell(second);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AcceptThen, Peer, Reason, Refusal};
    use std::io;
    use std::panic::resume_unwind;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// Writes down what it is told under its own name, and panics if it is to.
    struct Scribe {
        name: &'static str,
        book: Arc<Mutex<Vec<String>>>,
        panics: bool,
    }

    impl Scribe {
        fn write(&self, event: &str) {
            self.book.lock().unwrap().push(format!("{} {event}", self.name));
            if self.panics {
                // Without the hook's message.
                resume_unwind(Box::new("a scribe"));
            }
        }
    }

    impl Observer for Scribe {
        fn opened(&self, _: &Opened<'_>) {
            self.write("opened");
        }
        fn closed(&self, _: &Closed<'_>) {
            self.write("closed");
        }
        fn refused(&self, _: &Refused<'_>) {
            self.write("refused");
        }
        fn accept_failed(&self, _: &AcceptFailed<'_>) {
            self.write("accept_failed");
        }
        fn unsent(&self, _: &Unsent<'_>) {
            self.write("unsent");
        }
        fn undelivered(&self, _: &Undelivered<'_>) {
            self.write("undelivered");
        }
        fn spawn_failed(&self, _: &SpawnFailed<'_>) {
            self.write("spawn_failed");
        }
        fn child_ended(&self, _: &ChildEnded) {
            self.write("child_ended");
        }
        fn hook_failed(&self, _: &HookFailed<'_>) {
            self.write("hook_failed");
        }
        fn hogged(&self, _: &Hogged) {
            self.write("hogged");
        }
        fn tls_reloaded(&self, _: &TlsReloaded<'_>) {
            self.write("tls_reloaded");
        }
        fn tls_reload_failed(&self, _: &TlsReloadFailed<'_>) {
            self.write("tls_reload_failed");
        }
        fn draining(&self, _: &Draining) {
            self.write("draining");
        }
        fn cut(&self, _: &Cut) {
            self.write("cut");
        }
    }

    impl Observer for () {}

    const EVENTS: [&str; 14] = [
        "opened",
        "closed",
        "refused",
        "accept_failed",
        "unsent",
        "undelivered",
        "spawn_failed",
        "child_ended",
        "hook_failed",
        "hogged",
        "tls_reloaded",
        "tls_reload_failed",
        "draining",
        "cut",
    ];

    /// Tells of everything that can happen.
    fn tell_all(observer: &dyn Observer) {
        let (peer, endpoint) = (&Peer::unnamed(), &"tcp://127.0.0.1:1".parse().unwrap());
        let (id, time, error) = (1, Duration::ZERO, &io::Error::other("out of order"));
        observer.opened(&Opened { id, peer, endpoint });
        let (reason, failure) = (Reason::Finished, None);
        observer.closed(&Closed { id, peer, endpoint, read: 0, written: 0, duration: time, reason, failure });
        observer.refused(&Refused { peer, endpoint, why: Refusal::Full, failure: None });
        observer.accept_failed(&AcceptFailed { endpoint, error, then: AcceptThen::GaveUp });
        observer.unsent(&Unsent { peer, endpoint, error });
        observer.undelivered(&Undelivered { peer, endpoint, by: None, error, mtu: None });
        observer.spawn_failed(&SpawnFailed { what: "thread", error });
        observer.child_ended(&ChildEnded { pid: 1, how: Reason::Killed(9), connection: None });
        observer.hook_failed(&HookFailed { hook: "every", failure: "no" });
        observer.hogged(&Hogged { connection: id, shard: 0, time });
        observer.tls_reloaded(&TlsReloaded { fingerprints: &[] });
        observer.tls_reload_failed(&TlsReloadFailed { failure: "no" });
        observer.draining(&Draining { open: 0, deadline: time });
        let (peer, endpoint) = (peer.clone(), endpoint.clone());
        observer.cut(&Cut { id, peer, endpoint, age: time, abandoned: false });
    }

    #[test]
    fn a_pair_tells_both_in_order_whether_or_not_the_first_panics() {
        for panics in [false, true] {
            let book = Arc::new(Mutex::new(Vec::new()));
            let scribe = |name, panics| Scribe { name, book: book.clone(), panics };
            tell_all(&((scribe("first", panics), scribe("second", panics)), scribe("third", false)));
            let expected =
                EVENTS.iter().flat_map(|event| ["first", "second", "third"].map(|who| format!("{who} {event}")));
            assert_eq!(*book.lock().unwrap(), expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_panic_of_the_second_is_the_callers() {
        let book = Arc::default();
        let pair = ((), Scribe { name: "second", book, panics: true });
        assert!(catch(|| pair.draining(&Draining { open: 0, deadline: Duration::ZERO })).is_err());
    }

    #[test]
    fn an_arc_is_told_everything() {
        let book = Arc::new(Mutex::new(Vec::new()));
        tell_all(&Arc::new(Scribe { name: "it", book: book.clone(), panics: false }));
        assert_eq!(*book.lock().unwrap(), EVENTS.map(|event| format!("it {event}")));
    }
}
