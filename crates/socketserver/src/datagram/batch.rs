use super::{Datagram, DatagramSocket, Dispatch, Standing};
use crate::admission::{Place, Rules};
use crate::connection::pipeline::catch;
use crate::endpoint::poll_until;
use crate::engine::Engine;
use crate::handler::Service;
use crate::lifecycle::Run;
use crate::{Peer, Result, clock};
use rustix::event::{PollFd, PollFlags};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Packets that came in together, and their place: so a drain waits until they are handled.
#[derive(Debug)]
pub(crate) struct Batch {
    /// `None` once it was given back.
    datagram: Option<Box<Datagram>>,
    /// How many were received; a train is one.
    count: usize,
    socket: Arc<DatagramSocket>,
    /// Where in the server's list of endpoints it came in.
    index: usize,
    /// A child's own copy of the socket: the listeners are its parent's.
    own: Option<OwnedFd>,
    /// Those that are to be handled, among the others, and what is known of their peers; where that was found out before.
    sifted: Option<Vec<Option<Standing>>>,
    place: Place,
}

/// With as many packets in a batch, asking for more at once costs less than waiting for the system to tell that there are.
#[cfg(feature = "tokio")]
const BUSY: usize = 8;

/// Why a packet is not handled.
enum Unwanted {
    Nonsense,
    Denied,
    OverRate,
}

impl Batch {
    pub(crate) fn new(
        (datagram, count): (Box<Datagram>, usize),
        socket: &Arc<DatagramSocket>,
        index: usize,
        place: Place,
    ) -> Self {
        let (socket, place) = (socket.clone(), place.for_packets(index));
        Self { datagram: Some(datagram), count, socket, index, own: None, sifted: None, place }
    }

    /// For a child that is to be forked: it keeps the socket when it lets go of the listeners.
    pub(crate) fn keep_socket(&mut self) -> io::Result<()> {
        self.own = Some(self.socket.as_fd().try_clone_to_owned()?);
        Ok(())
    }

    /// Nothing more is sent through the socket by this process.
    pub(crate) fn forget_socket(&mut self) {
        self.own = None;
    }

    /// As many came as there is room for, so more may wait.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_full(&self) -> bool {
        self.datagram.as_ref().is_some_and(|datagram| datagram.inbox.is_full())
    }

    /// So many came at once that more wait, or most likely have come meanwhile.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_busy(&self) -> bool {
        self.count >= BUSY || self.is_full()
    }

    fn run(&self) -> &Arc<Run> {
        self.place.run()
    }

    /// Finds out, in the process where packets come in, which of them the handler is to have; `false`: none.
    pub(crate) fn sift<E: Engine, S: Service<E>>(&mut self, service: &S) -> bool {
        let run = self.run().clone();
        let mut sifted = Vec::with_capacity(self.count);
        self.each_judged(|datagram, judged| {
            let wanted = judged && verify::<E, S>(&run, datagram.peer(), service);
            if judged && !wanted {
                run.shared.control.count_unwelcome();
            }
            sifted.push(wanted.then_some(datagram.standing));
        });
        let any = sifted.iter().any(Option::is_some);
        self.sifted = Some(sifted);
        any
    }

    /// Hands each packet to the handler. What that replies gathers.
    pub(crate) fn handle<E: Engine, S: Service<E>>(&mut self, service: &S) {
        let run = self.run().clone();
        let handle = |datagram: &mut Datagram| {
            let outcome = catch(|| service.datagram(datagram)).unwrap_or_else(|panic| Err(panic.into()));
            judge_outcome::<E, S>(&run, service, datagram.peer(), outcome);
        };
        if let (Some(sifted), Some(datagram)) = (self.sifted.take(), &mut self.datagram) {
            datagram.rewind();
            for wanted in sifted {
                if let (true, Some(standing)) = (datagram.turn(self.count), wanted) {
                    datagram.standing = standing;
                    handle(datagram);
                }
            }
            return;
        }
        self.each(|datagram| {
            if verify::<E, S>(&run, datagram.peer(), service) {
                handle(datagram);
            } else {
                run.shared.control.count_unwelcome();
            }
        });
    }

    /// Gives out each packet that somebody can have sent who may.
    pub(crate) fn each(&mut self, mut take: impl FnMut(&mut Datagram)) {
        self.each_judged(|datagram, judged| {
            if judged {
                take(datagram);
            }
        });
    }

    /// Gives out each packet, and whether somebody can have sent it who may.
    fn each_judged(&mut self, mut take: impl FnMut(&mut Datagram, bool)) {
        let Some(mut datagram) = self.datagram.take() else { return };
        let control = &self.run().shared.control;
        let door = &self.run().shared.door;
        let rules = door.rules();
        let factor = self.socket.bound().and_then(|bound| rules.amplification(bound));
        // They came together.
        let now = if rules.packet_rate.is_some() || factor.is_some() { control.elapsed() } else { Duration::ZERO };
        let mut packets = 0;
        while datagram.turn(self.count) {
            packets += 1;
            if datagram.is_truncated() {
                control.count_truncated();
            }
            let judged = self.judge(&datagram, &rules, now);
            match judged {
                Err(Unwanted::Nonsense) => control.count_nonsense(),
                Err(Unwanted::Denied) => control.count_unwelcome(),
                Err(Unwanted::OverRate) => control.count_over_rate(),
                Ok(()) => {
                    datagram.standing = match (factor, &door.crowd, datagram.source) {
                        (Some(factor), Some(crowd), Some(source)) => {
                            let is_known = crowd.hear(source, datagram.packet().len(), factor, now);
                            if is_known { Standing::Known } else { Standing::Stranger }
                        }
                        _ => Standing::Unasked,
                    };
                }
            }
            take(&mut datagram, judged.is_ok());
        }
        control.count_packets(packets);
        self.datagram = Some(datagram);
    }

    fn judge(&self, datagram: &Datagram, rules: &Rules, now: Duration) -> Result<(), Unwanted> {
        if let Some(source) = datagram.source {
            if is_nonsense(source, self.socket.bound(), datagram.local()) {
                return Err(Unwanted::Nonsense);
            }
            if !rules.permit(datagram.peer()) {
                return Err(Unwanted::Denied);
            }
            if self.run().shared.door.crowd.as_ref().is_some_and(|crowd| !crowd.is_in_pace(source, rules, now)) {
                return Err(Unwanted::OverRate);
            }
        }
        Ok(())
    }

    /// Has the replies to a packet of its own leave with the others.
    #[cfg(feature = "tokio")]
    pub(crate) fn gather(&mut self, datagram: &mut Datagram) {
        if let Some(own) = &mut self.datagram {
            own.outbox.append(&mut datagram.outbox);
        }
    }

    fn dispatch(&self) -> Dispatch<'_> {
        let own = self.own.as_ref().map(AsFd::as_fd);
        Dispatch { run: self.run(), socket: &self.socket, index: self.index, own }
    }

    /// Sends what was gathered, and does not wait. `false`: the rest has to wait until the socket takes more.
    pub(crate) fn send(&mut self) -> bool {
        let Some(mut datagram) = self.datagram.take() else { return true };
        let all = self.dispatch().send(&mut datagram.outbox);
        self.datagram = Some(datagram);
        all
    }

    /// When the socket is to have taken something: by the write deadline.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.run().settings.write.and_then(|time| clock::now().checked_add(time))
    }

    /// The socket takes nothing any more: what is left is lost.
    pub(crate) fn give_up(&mut self) {
        if let Some(mut datagram) = self.datagram.take() {
            self.dispatch().give_up(&mut datagram.outbox);
            self.datagram = Some(datagram);
        }
    }

    /// Sends what was gathered, and waits for the socket to take it for as long as the write deadline allows.
    pub(crate) fn send_all(&mut self) {
        while !self.send() {
            let until = self.until();
            let socket = self.own.as_ref().map_or(self.socket.as_fd(), AsFd::as_fd);
            let mut ready = [PollFd::from_borrowed_fd(socket, PollFlags::OUT)];
            if !matches!(poll_until(&mut ready, until), Ok(1..)) {
                return self.give_up();
            }
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(datagram) = self.datagram.take() {
            self.socket.give_back(datagram);
        }
    }
}

/// What is done about what came of a packet's handler.
pub(crate) fn judge_outcome<E: Engine, S: Service<E>>(run: &Run, service: &S, peer: &Peer, outcome: Result) {
    let Err(failure) = outcome else { return };
    run.shared.control.count_packet_failed();
    if let Err(panic) = catch(|| service.on_datagram_error(&failure, peer)) {
        run.hook_failed("on_error", &panic.to_string());
    }
    // Its drop is the user's code too.
    let _ = catch(|| drop(failure));
}

/// Whether the handler takes packets of that peer.
pub(crate) fn verify<E: Engine, S: Service<E>>(run: &Run, peer: &Peer, service: &S) -> bool {
    catch(|| service.verify_datagram(peer)).unwrap_or_else(|panic| {
        run.hook_failed("verify", &panic.to_string());
        false
    })
}

/// Whether nobody can have sent a packet from there who wants an answer.
fn is_nonsense(source: SocketAddr, bound: Option<SocketAddr>, to: Option<std::net::IpAddr>) -> bool {
    let ip = source.ip().to_canonical();
    let broadcast = matches!(ip, std::net::IpAddr::V4(ip) if ip.is_broadcast());
    // From our own socket: answering it would go on for ever.
    let own = bound.is_some_and(|bound| bound.port() == source.port() && (to == Some(ip) || bound.ip() == ip));
    // Echo, daytime, quote of the day and character generator answer whatever comes (RFC 862, 867, 865, 864): two that
    // answer each other never end. On the loopback somebody may have chosen such a port.
    let answers = [7, 13, 17, 19].contains(&source.port()) && !ip.is_loopback();
    source.port() == 0 || broadcast || ip.is_multicast() || ip.is_unspecified() || own || answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_nonsense() {
        let bound = Some("127.0.0.1:53".parse().unwrap());
        let is = |source: &str| is_nonsense(source.parse().unwrap(), bound, Some("127.0.0.2".parse().unwrap()));
        for source in ["10.0.0.1:0", "255.255.255.255:9", "224.0.0.1:9", "[ff02::1]:9", "0.0.0.0:9", "127.0.0.1:53"] {
            assert!(is(source), "{source}");
        }
        assert!(is("127.0.0.2:53") && is("[::ffff:127.0.0.2]:53"), "bound to many, it was asked there");
        assert!(is("10.0.0.1:7") && is("[2001:db8::1]:19") && !is("127.0.0.1:7"));
        assert!(!is("127.0.0.1:54") && !is("10.0.0.1:53") && !is("[::1]:53"));
    }
}
