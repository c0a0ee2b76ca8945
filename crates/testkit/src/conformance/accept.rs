use super::{runtime, soon};
use socketserver::{Accept, Async, AsyncTransport, Server, Stream};
use socketserver_proto::{AcceptFailure, classify};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A source of async connections keeps to what [`Accept`] says: while nobody connects it waits; whoever connects wakes who
/// asked last, is accepted once, and can be talked with; a client that has gone before it was accepted ends nothing; its
/// name stays the same; and a server serves from it, drains, and serves from it again.
///
/// `source` makes one, and what connects to it; it is called again and again, in a runtime of tokio's, of one thread. What
/// connects need not wait until it is accepted.
///
/// ```
/// use socketserver_testkit::{MemoryListener, conformance};
///
/// conformance::accept(|| {
///     let (listener, connector) = MemoryListener::new();
///     (listener, async move || Ok(connector.connect()))
/// });
/// ```
///
/// # Panics
/// When it does not, with what is wrong.
#[track_caller]
pub fn accept<A, C, T>(mut source: impl FnMut() -> (A, C))
where
    A: Accept + 'static,
    C: AsyncFnMut() -> io::Result<T>,
    T: AsyncTransport,
{
    runtime().block_on(async {
        let (mut waiting, mut connect) = source();
        waits(&mut waiting, &mut connect).await;
        let (mut several, mut connect) = source();
        each_once(&mut several, &mut connect).await;
        let (mut left, mut connect) = source();
        gone(&mut left, &mut connect).await;
        let (served, mut connect) = source();
        serves(served, &mut connect).await;
    });
}

/// Whether it was woken.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

async fn waits<T: AsyncTransport>(source: &mut impl Accept, connect: &mut impl AsyncFnMut() -> io::Result<T>) {
    let name = source.endpoint();
    let (first, last) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    for bell in [&first, &last] {
        let polled = source.poll_accept(&mut Context::from_waker(&Waker::from(bell.clone())));
        assert!(polled.is_pending(), "nobody connects, and somebody is accepted or it fails");
    }
    let mut client = soon("a connection", connect()).await.expect("a connection");
    let woken = async {
        while !last.0.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    };
    soon("who asked last is woken by a connection", woken).await;
    let mut server = accepted(source).await;
    soon("a word each way", talk(&mut *server, &mut client)).await;
    assert_eq!(source.endpoint(), name, "its name changes");
}

async fn accepted(source: &mut impl Accept) -> Box<dyn AsyncTransport> {
    let accepted = soon("a connection is accepted", poll_fn(|cx| source.poll_accept(cx))).await;
    accepted.expect("a connection is accepted").0
}

async fn talk(server: &mut (impl AsyncTransport + ?Sized), client: &mut impl AsyncTransport) {
    says(client, b"hello", server).await;
    says(server, b"world", client).await;
}

async fn says(one: &mut (impl AsyncTransport + ?Sized), words: &[u8; 5], other: &mut (impl AsyncTransport + ?Sized)) {
    let mut heard = [0; 5];
    let say = async {
        one.write_all(words).await.expect("a write");
        one.flush().await.expect("a flush");
    };
    let hear = async { other.read_exact(&mut heard).await.expect("what was written arrives") };
    tokio::join!(say, hear);
    assert!(&heard == words, "what arrives is not what was written");
}

/// Several connect before any is accepted.
async fn each_once<T: AsyncTransport>(source: &mut impl Accept, connect: &mut impl AsyncFnMut() -> io::Result<T>) {
    let mut clients = Vec::new();
    for name in 0..8_u8 {
        let mut client = soon("a connection that was not accepted yet", connect()).await.expect("a connection");
        client.write_all(&[name]).await.expect("a write");
        client.flush().await.expect("a flush");
        clients.push(client);
    }
    let mut names = BTreeSet::new();
    for _ in &clients {
        let mut server = accepted(source).await;
        names.insert(soon("a word of the client", server.read_u8()).await.expect("what was written arrives"));
    }
    assert_eq!(names.len(), clients.len(), "connections are accepted twice: those of {names:?} alone were");
    let polled = source.poll_accept(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "all who connected were accepted, and there is one more, or it fails");
}

/// One that has connected and gone may come in, and be at its end, or be an error that concerns it alone.
async fn gone<T: AsyncTransport>(source: &mut impl Accept, connect: &mut impl AsyncFnMut() -> io::Result<T>) {
    drop(soon("a connection", connect()).await.expect("a connection"));
    let mut client = soon("a connection after one that has gone", connect()).await.expect("a connection");
    client.write_all(b"!").await.expect("a write");
    client.flush().await.expect("a flush");
    let next = async {
        loop {
            let accepted = poll_fn(|cx| source.poll_accept(cx)).await;
            let mut server = match accepted {
                Ok((server, _)) => server,
                Err(error) => {
                    let class = error.raw_os_error().map(classify);
                    assert!(
                        class == Some(AcceptFailure::Retry),
                        "a client that has gone would end the server: {error}"
                    );
                    continue;
                }
            };
            // Of the one that has gone it hears nothing but the end.
            if server.read_u8().await.is_ok() {
                return server;
            }
        }
    };
    let mut server = soon("who comes after one that has gone is accepted", next).await;
    soon("a word each way", talk(&mut *server, &mut client)).await;
}

async fn serves<T: AsyncTransport>(source: impl Accept + 'static, connect: &mut impl AsyncFnMut() -> io::Result<T>) {
    let mut server: Server<Async> =
        Server::bind([]).and_then(|server| server.accept_from(source)).expect("a server takes it");
    for run in ["first", "second"] {
        let handle = server.handle();
        let clients = async {
            let mut clients = Vec::new();
            for _ in 0..8 {
                clients.push(connect().await.expect("a connection"));
            }
            for client in &mut clients {
                client.write_all(b"hello").await.expect("a write");
                client.flush().await.expect("a flush");
                let mut heard = [0; 5];
                client.read_exact(&mut heard).await.expect("a server answers");
                assert!(&heard == b"hello", "what arrives is not what was written");
            }
            // Those that are idle are at their end when it drains.
            handle.shutdown();
            for client in &mut clients {
                let rest = client.read(&mut [0; 8]).await;
                assert!(matches!(rest, Ok(0) | Err(_)), "after its end a server says {rest:?}");
            }
        };
        let served = server.run(async |c: &mut Stream| {
            loop {
                let input = c.fill_buf().await?.to_vec();
                if input.is_empty() {
                    return Ok(());
                }
                c.write_all(&input).await?;
                c.consume(input.len());
            }
        });
        let (report, ()) = soon(&format!("the {run} run of a server"), async { tokio::join!(served, clients) }).await;
        let report = report.expect("a run comes to its end");
        assert_eq!(report.served, 8, "in the {run} run of a server");
    }
}
