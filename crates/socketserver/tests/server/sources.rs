//! Sources of connections of one's own.

use crate::{echo, within};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use socketserver::{Blocking, ErrorKind, Handle, Model, Peer, Serial, Server, Threads, blocking};
use socketserver_testkit::{PairConnector, PairListener};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

/// Connects by sequenced-packet sockets: every write of the server is one packet, so a test can count them.
pub(crate) struct Feed(PairConnector);

impl Feed {
    pub(crate) fn connect(&self) -> OwnedFd {
        let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (client, server) = pair.unwrap();
        self.0.hand_over(server).unwrap();
        client
    }
}

pub(crate) fn from_a_source() -> (Server<Blocking>, Feed) {
    let (listener, connector) = PairListener::new().unwrap();
    (Server::bind([]).unwrap().accept_from_blocking(listener).unwrap(), Feed(connector))
}

#[test]
fn a_source_of_ones_own_feeds_every_blocking_model() {
    fn check<M: Model<Engine = Blocking> + Send + 'static>(model: M) {
        let (server, feed) = from_a_source();
        let server = server.spawn(model, echo).unwrap();
        for _ in 0..3 {
            let client = feed.connect();
            rustix::net::send(&client, b"hello\n", SendFlags::NOSIGNAL).unwrap();
            let mut packet = [0; 100];
            assert_eq!(rustix::net::recv(&client, &mut packet[..], RecvFlags::empty()).unwrap().0, 6);
        }
        assert_eq!(server.stop().unwrap().served, 3);
    }
    check(Serial::default());
    check(Threads::new(3));
}

/// Fails once, and then gives what it is fed.
struct Stumbling(PairListener, bool);

impl AsFd for Stumbling {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl blocking::Accept for Stumbling {
    fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
        if std::mem::take(&mut self.1) {
            return Err(io::Error::other("it stumbled"));
        }
        self.0.accept()
    }
}

#[test]
fn a_source_that_failed_is_heard_in_the_next_run() {
    within("a source that failed once", || {
        let (listener, connector) = PairListener::new().unwrap();
        let source = Stumbling(listener, true);
        // Beside another one, so that it is waited for.
        let mut server = Server::bind("tcp://127.0.0.1:0").unwrap().accept_from_blocking(source).unwrap();
        let feed = Feed(connector);
        let client = feed.connect();
        rustix::net::send(&client, b"hello\n", SendFlags::NOSIGNAL).unwrap();
        assert!(server.serve(Serial::default(), echo).unwrap_err().to_string().contains("it stumbled"));
        let handle = server.handle();
        let serving = std::thread::spawn(move || server.serve(Serial::default(), echo).unwrap());
        let mut packet = [0; 100];
        assert_eq!(rustix::net::recv(&client, &mut packet[..], RecvFlags::empty()).unwrap().0, 6);
        drop(client);
        handle.shutdown();
        assert_eq!(serving.join().unwrap().served, 1);
    });
}

/// A model whose worker comes back for more when the run is long over.
/// Gives what it is fed in the name of a network that is denied while accept is under way.
struct Denied(PairListener, Arc<OnceLock<Handle>>);

impl AsFd for Denied {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl blocking::Accept for Denied {
    fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
        let (connection, _) = self.0.accept()?;
        self.1.get().unwrap().set_deny(["192.0.2.0/24".parse().unwrap()]);
        Ok((connection, "192.0.2.1:7".parse::<SocketAddr>().unwrap().into()))
    }
}

#[test]
fn a_rule_that_came_before_the_connection_did_holds_for_it() {
    let (listener, connector) = PairListener::new().unwrap();
    let handle = Arc::new(OnceLock::new());
    let server = Server::bind([]).unwrap().accept_from_blocking(Denied(listener, handle.clone())).unwrap();
    handle.set(server.handle()).unwrap();
    let server = server.spawn(Threads::new(3), echo).unwrap();
    let client = Feed(connector).connect();
    // It is closed without a word.
    assert_eq!(rustix::net::recv(&client, &mut [0; 100], RecvFlags::empty()).unwrap().0, 0);
    let report = server.stop().unwrap();
    assert_eq!((report.served, report.totals.denied), (0, 1));
}

#[test]
fn work_that_is_asked_for_after_the_run_is_none() {
    struct Late(Receiver<()>, Sender<bool>);
    impl Model for Late {
        type Engine = Blocking;
        fn run<S: socketserver::Service<Blocking> + Send + Sync>(
            self,
            work: socketserver::Work<Blocking, S>,
        ) -> Result<(), socketserver::Error> {
            std::thread::spawn(move || {
                self.0.recv().unwrap();
                self.1.send(work.next().is_ok_and(|job| job.is_none())).unwrap();
            });
            Ok(())
        }
    }
    let (go, wait) = channel();
    let (tell, told) = channel();
    let mut server = Server::bind("tcp://127.0.0.1:0").unwrap();
    server.serve(Late(wait, tell), echo).unwrap();
    go.send(()).unwrap();
    assert!(told.recv_timeout(socketserver_testkit::PATIENCE).unwrap());
}

#[test]
fn a_source_that_fails_for_good_ends_the_server() {
    struct Broken(UnixDatagram);
    impl AsFd for Broken {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
    impl blocking::Accept for Broken {
        fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
            Err(io::Error::other("out of order"))
        }
    }
    for threads in [false, true] {
        let (bell, ready) = UnixDatagram::pair().unwrap();
        bell.send(&[1]).unwrap();
        let mut server = Server::bind([]).unwrap().accept_from_blocking(Broken(ready)).unwrap();
        let result = within("a server whose source fails", move || {
            if threads { server.serve(Threads::default(), echo) } else { server.serve(Serial::default(), echo) }
        });
        let error = result.unwrap_err();
        assert!(error.to_string().contains("out of order"), "{error}");
    }
}

#[test]
fn a_source_that_panics_ends_the_server_in_order() {
    struct Broken(UnixDatagram);
    impl AsFd for Broken {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
    impl blocking::Accept for Broken {
        fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
            panic!("out of order")
        }
    }
    let (bell, ready) = UnixDatagram::pair().unwrap();
    bell.send(&[1]).unwrap();
    let mut server = Server::bind("tcp://127.0.0.1:0").unwrap().accept_from_blocking(Broken(ready)).unwrap();
    let result = within("a server whose source panics", move || server.serve(Threads::default(), echo));
    let error = result.unwrap_err();
    assert!(error.to_string().contains("out of order"), "{error}");
}

#[test]
fn a_source_must_come_before_the_first_handle() {
    let server = Server::bind([]).unwrap();
    let _handle = server.handle();
    let error = server.accept_from_blocking(PairListener::new().unwrap().0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}
