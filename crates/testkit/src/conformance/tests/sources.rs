use super::is_refused;
use crate::conformance::{accept, blocking_accept};
use crate::faults::{Fault, Faults, FaultyAccept, Turn};
use crate::{MemoryListener, PairListener};
use socketserver::{Accept, AsyncTransport, Peer, blocking};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, Waker};
use tokio::io::duplex;

#[test]
fn sources_pass() {
    let memory = || {
        let (listener, connector) = MemoryListener::new();
        (listener, async move || Ok(connector.connect()))
    };
    accept(memory);
    accept(|| {
        let (listener, connect) = memory();
        let faults = |nth| Faults::seeded(nth as u64);
        (FaultyAccept::new(listener, []).transports(faults), connect)
    });
    blocking_accept(|| {
        let (listener, connector) = PairListener::new().unwrap();
        (listener, move || connector.connect())
    });
    blocking_accept(|| tcp(Ok));
}

/// A listener of the system, and what becomes of what it gives.
struct Listener<F>(TcpListener, F);

impl<F> AsFd for Listener<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<F: FnMut(TcpStream) -> io::Result<TcpStream> + Send> blocking::Accept for Listener<F> {
    fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
        let (stream, peer) = self.0.accept()?;
        Ok((self.1(stream)?.into(), peer.into()))
    }
}

fn tcp<F>(then: F) -> (Listener<F>, impl FnMut() -> io::Result<TcpStream> + Send + 'static) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let at = listener.local_addr().unwrap();
    (Listener(listener, then), move || TcpStream::connect(at))
}

#[test]
fn broken_blocking_sources_are_found_out() {
    is_refused("would be inherited", || {
        blocking_accept(|| {
            tcp(|stream| {
                rustix::io::fcntl_setfd(&stream, rustix::io::FdFlags::empty())?;
                Ok(stream)
            })
        });
    });
    is_refused("somebody is accepted", || {
        // One too many.
        blocking_accept(|| {
            let (listener, connector) = PairListener::new().unwrap();
            connector.connect().unwrap();
            (listener, move || connector.connect())
        });
    });
    is_refused("does not say so but fails", || {
        blocking_accept(|| {
            let (listener, connector) = PairListener::new().unwrap();
            (FaultyAccept::failing(listener, [io::Error::other("nobody")]), move || connector.connect())
        });
    });
    is_refused("would spin", || {
        /// A descriptor that is always readable.
        struct Restless(PairListener, std::fs::File);
        impl AsFd for Restless {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.1.as_fd()
            }
        }
        impl blocking::Accept for Restless {
            fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
                self.0.accept()
            }
        }
        blocking_accept(|| {
            let (listener, connector) = PairListener::new().unwrap();
            (Restless(listener, std::fs::File::open("/dev/null").unwrap()), move || connector.connect())
        });
    });
}

/// Gives what another one gives, but wrongly.
struct Source<F>(MemoryListener, F);

type Polled = Poll<io::Result<(Box<dyn AsyncTransport>, Peer)>>;

impl<F: FnMut(&mut MemoryListener, &mut Context<'_>) -> Polled + Send> Accept for Source<F> {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Polled {
        self.1(&mut self.0, cx)
    }
}

#[test]
fn broken_sources_are_found_out() {
    let with = |poll: fn(&mut MemoryListener, &mut Context<'_>) -> Polled| {
        accept(move || {
            let (listener, connector) = MemoryListener::new();
            (Source(listener, poll), async move || Ok(connector.connect()))
        });
    };
    is_refused("nobody connects", || with(|_, _| Poll::Ready(Ok((Box::new(duplex(1).0), Peer::unnamed())))));
    is_refused("it hangs: who asked last is woken", || {
        with(|listener, _| listener.poll_accept(&mut Context::from_waker(Waker::noop())))
    });
    // After the one there is none.
    is_refused("one more, or it fails", || {
        let mut made = 0;
        accept(move || {
            let (listener, connector) = MemoryListener::new();
            made += 1;
            let turns = (0..8).map(|_| Turn::Accept).chain((made == 2).then(|| Turn::Fail(io::Error::other("over"))));
            (FaultyAccept::new(listener, turns), async move || Ok(connector.connect()))
        });
    });
    is_refused("what was written arrives", || {
        accept(move || {
            let (listener, connector) = MemoryListener::new();
            let faults = |_| Faults::none().reading([Fault::Error(io::ErrorKind::InvalidData)]);
            (FaultyAccept::new(listener, []).transports(faults), async move || Ok(connector.connect()))
        });
    });
}
