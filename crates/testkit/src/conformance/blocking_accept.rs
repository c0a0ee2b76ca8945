use crate::{PATIENCE, within};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;
use socketserver::{Blocking, Model, Serial, Server, Threads, blocking};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

/// A source of blocking connections keeps to what [`blocking::Accept`] says: while nobody connects it says so at once, and
/// its descriptor is not readable, for a server that waited for it would spin; whoever connects makes it readable, is
/// accepted once, as a stream socket that programs which are executed do not inherit, and can be talked with; its
/// descriptor stays the same; and servers serve from it, one connection at a time or several, drain, and serve again.
///
/// `source` makes one, and what connects to it; it is called again and again. What connects need not wait until it is
/// accepted.
///
/// ```
/// use socketserver_testkit::{PairListener, conformance};
///
/// conformance::blocking_accept(|| {
///     let (listener, connector) = PairListener::new().expect("a pair of sockets");
///     (listener, move || connector.connect())
/// });
/// ```
///
/// # Panics
/// When it does not, with what is wrong.
#[track_caller]
pub fn blocking_accept<A, C, T>(mut source: impl FnMut() -> (A, C))
where
    A: blocking::Accept + 'static,
    C: FnMut() -> io::Result<T> + Send + 'static,
    T: Read + Write + Send + 'static,
{
    let (waiting, connect) = source();
    within("a source that is asked for its connections", || each_once(waiting, connect));
    let (served, connect) = source();
    within("servers on one thread, one after the other", || serves(Serial::default, served, connect));
    let (served, connect) = source();
    within("servers on several threads, one after the other", || serves(|| Threads::new(4), served, connect));
}

fn is_readable(source: &impl AsFd, wait: bool) -> bool {
    let time = if wait { Timespec::try_from(PATIENCE).ok() } else { Some(Timespec::default()) };
    let mut polled = [PollFd::new(source, PollFlags::IN)];
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, time.as_ref())).expect("its descriptor can be polled")
        > 0
}

#[track_caller]
fn is_at_rest(source: &mut impl blocking::Accept) {
    let error = source.accept().expect_err("nobody connects, and somebody is accepted");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "nobody connects, and it does not say so but fails: {error}");
    assert!(!is_readable(source, false), "nobody connects, and its descriptor is readable: a server would spin");
}

fn each_once<T: Read + Write>(mut source: impl blocking::Accept, mut connect: impl FnMut() -> io::Result<T>) {
    let descriptor = source.as_fd().as_raw_fd();
    is_at_rest(&mut source);
    let mut clients = Vec::new();
    for name in 0..8_u8 {
        let mut client = connect().expect("a connection that was not accepted yet");
        client.write_all(&[name]).and_then(|()| client.flush()).expect("a write");
        clients.push(client);
    }
    let mut names = BTreeSet::new();
    for _ in &clients {
        assert!(is_readable(&source, true), "somebody waits, and its descriptor is not readable");
        let (socket, _) = source.accept().expect("a connection is accepted");
        let kind = socket_type(&socket);
        assert_eq!(kind, Ok(SocketType::STREAM), "what is accepted is no stream socket");
        let inherited = !fcntl_getfd(&socket).is_ok_and(|flags| flags.contains(FdFlags::CLOEXEC));
        assert!(!inherited, "what is accepted would be inherited by programs that are executed");
        // Only for reading and writing: both are the same for any stream socket.
        let mut server = UnixStream::from(socket);
        server.set_nonblocking(false).and_then(|()| server.set_read_timeout(Some(PATIENCE))).expect("an option");
        let mut name = [0];
        server.read_exact(&mut name).expect("what was written arrives");
        server.write_all(&name).expect("a write");
        names.insert(name);
    }
    assert_eq!(names.len(), clients.len(), "connections are accepted twice: those of {names:?} alone were");
    for (name, mut client) in clients.into_iter().enumerate() {
        let mut heard = [0];
        client.read_exact(&mut heard).expect("what was written arrives");
        assert_eq!(usize::from(heard[0]), name, "what arrives is not what was written");
    }
    is_at_rest(&mut source);
    assert_eq!(source.as_fd().as_raw_fd(), descriptor, "its descriptor changes, and a server waits for the first");
}

fn serves<M, T>(
    model: impl Fn() -> M,
    source: impl blocking::Accept + 'static,
    mut connect: impl FnMut() -> io::Result<T>,
) where
    M: Model<Engine = Blocking> + Send + 'static,
    T: Read + Write,
{
    let mut server =
        Server::bind([]).and_then(|server| server.accept_from_blocking(source)).expect("a server takes it");
    for run in ["first", "second"] {
        let handle = server.handle();
        let model = model();
        let running = std::thread::spawn(move || {
            let echo = |c: &mut blocking::Stream| {
                let mut name = [0];
                while c.read(&mut name)? > 0 {
                    c.write_all(&name)?;
                }
                Ok(())
            };
            let report = server.serve(model, echo);
            (server, report)
        });
        for name in 0..8_u8 {
            let mut client = connect().expect("a connection");
            let mut heard = [0];
            client.write_all(&[name]).and_then(|()| client.flush()).expect("a write");
            client.read_exact(&mut heard).expect("a server answers");
            assert_eq!(heard, [name], "what arrives is not what was written");
        }
        handle.shutdown();
        let (came_back, report) = running.join().expect("a server does not panic");
        server = came_back;
        let report = report.expect("a run comes to its end");
        assert_eq!(report.served, 8, "in the {run} run of a server");
    }
}
