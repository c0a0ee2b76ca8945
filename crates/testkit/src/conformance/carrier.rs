use super::{runtime, soon};
use socketserver::AsyncTransport;
use std::future::poll_fn;
use std::io;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf, split};
use tokio::task::JoinError;

/// A carrier of bytes keeps to what a server expects of one: what is written arrives, once, whole and in order, in both
/// directions at a time; whoever waits is woken; who waited and gave up has taken nothing; a reader that does not read
/// holds up the writer, before it has taken 64 MiB; the end is the end of what was written, of one direction alone; and a read
/// from a peer that is gone is an end or an error, and not a wait without end.
///
/// `pair` makes the two ends of a connection, the server's and the client's; it is called again and again, in a runtime of
/// tokio's, of one thread. Both ends are checked.
///
/// ```
/// use socketserver_testkit::conformance;
/// use tokio::net::{TcpListener, TcpStream};
///
/// conformance::carrier(async || {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     Ok((listener.accept().await?.0, client))
/// });
/// ```
///
/// # Panics
/// When it does not, with what is wrong.
#[track_caller]
pub fn carrier<S: AsyncTransport, C: AsyncTransport>(mut pair: impl AsyncFnMut() -> io::Result<(S, C)>) {
    runtime().block_on(async {
        let mut pair = async || soon("a connection", pair()).await.expect("a connection");
        let (server, client) = pair().await;
        ends(server, client).await;
        let (server, client) = pair().await;
        ends(client, server).await;
        let (server, client) = pair().await;
        arrives(server, client).await;
        let (server, client) = pair().await;
        let (client, server) = woken(server, client).await;
        let (server, client) = woken(client, server).await;
        let (client, server) = in_small_pieces(server, client).await;
        in_small_pieces(client, server).await;
        let (server, client) = pair().await;
        holds_up(server, client).await;
        let (server, client) = pair().await;
        holds_up(client, server).await;
        let (server, client) = pair().await;
        gone(server, client).await;
        let (server, client) = pair().await;
        gone(client, server).await;
    });
}

/// After which a write that nobody has taken counts as held up. One that is taken later is none the worse for it.
const MOMENT: Duration = Duration::from_millis(300);

/// Bytes that are not the same when some are lost, doubled or swapped.
fn pattern(len: usize, first: u32) -> Vec<u8> {
    (first..).flat_map(|number| (number ^ 0x5a5a_a5a5).to_be_bytes()).take(len).collect()
}

/// More than any buffer that is worth having holds.
const MUCH: usize = 256 * 1024;

/// Much, in both directions at once.
async fn arrives(server: impl AsyncTransport, client: impl AsyncTransport) {
    let (there, back) = (pattern(MUCH, 0), pattern(MUCH, 1 << 30));
    let ((mut sr, mut sw), (mut cr, mut cw)) = (split(server), split(client));
    let (mut heard, mut answered) = (vec![0; there.len()], vec![0; back.len()]);
    let all = async {
        let send_there = async {
            cw.write_all(&there).await.expect("a write");
            cw.shutdown().await.expect("the end of one direction");
        };
        let send_back = async {
            sw.write_all(&back).await.expect("a write");
            sw.shutdown().await.expect("the end of one direction");
        };
        let hear = async { sr.read_exact(&mut heard).await.expect("what was written arrives") };
        let answer = async { cr.read_exact(&mut answered).await.expect("what was written arrives") };
        tokio::join!(send_there, send_back, hear, answer);
    };
    soon("much in both directions at once", all).await;
    assert!(heard == there && answered == back, "what arrives is not what was written");
}

/// One says that nothing more comes, and is still answered.
async fn ends(mut one: impl AsyncTransport, mut other: impl AsyncTransport) {
    let all = async {
        says_last(&mut one, b"the last words", &mut other).await;
        let more = other.read(&mut [0; 8]).await;
        assert!(more.as_ref().is_ok_and(|count| *count == 0), "after the end comes {more:?}");
        says_last(&mut other, b"an answer", &mut one).await;
    };
    soon("an end in each direction", all).await;
}

async fn says_last(one: &mut impl AsyncTransport, words: &[u8], other: &mut impl AsyncTransport) {
    let mut heard = Vec::new();
    let say = async {
        one.write_all(words).await.expect("a direction whose end nobody told of takes a write");
        one.shutdown().await.expect("the end of one direction");
    };
    let hear = async { other.read_to_end(&mut heard).await.expect("a direction whose end was told of is at its end") };
    tokio::join!(say, hear);
    assert!(heard == words, "before the end came {:?}", String::from_utf8_lossy(&heard));
}

/// A look that came to nothing has taken nothing, and is not the one that is woken: that is the one that asked last, from
/// a task of its own.
async fn woken<A: AsyncTransport, B: AsyncTransport>(mut one: A, mut other: B) -> (B, A) {
    let mut heard = [0; 5];
    let polled = Pin::new(&mut one).poll_read(&mut Context::from_waker(Waker::noop()), &mut ReadBuf::new(&mut heard));
    assert!(polled.is_pending(), "nothing was written, and a read gives {polled:?}");
    let waiting = Arc::new(AtomicBool::new(false));
    let waits = waiting.clone();
    let hear = tokio::spawn(async move {
        let mut read = pin!(one.read_exact(&mut heard));
        let read = poll_fn(|cx| {
            let polled = read.as_mut().poll(cx);
            waits.store(true, Ordering::SeqCst);
            polled
        });
        read.await.expect("what was written arrives");
        (one, heard)
    });
    while !waiting.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    let say = tokio::spawn(async move {
        other.write_all(b"hello").await.expect("a write");
        other.flush().await.expect("a flush");
        other
    });
    let (heard, said) = soon("a read that is woken by what comes", async { tokio::join!(hear, say) }).await;
    let ((one, heard), other) = (heard.unwrap_or_else(rethrow), said.unwrap_or_else(rethrow));
    assert!(&heard == b"hello", "what arrives is not what was written");
    (other, one)
}

/// The panic of a task is the check's.
fn rethrow<T>(failed: JoinError) -> T {
    resume_unwind(failed.into_panic())
}

/// Room for a byte, and behind what is in the buffer already.
async fn in_small_pieces<A: AsyncTransport, B: AsyncTransport>(mut one: A, mut other: B) -> (B, A) {
    let words = b"in pieces";
    let mut heard = [0; 9];
    let say = async {
        other.write_all(words).await.expect("a write");
        other.flush().await.expect("a flush");
    };
    let hear = async {
        for at in 0..words.len() {
            let mut buf = ReadBuf::new(&mut heard[..=at]);
            buf.set_filled(at);
            poll_fn(|cx| Pin::new(&mut one).poll_read(cx, &mut buf)).await.expect("a read");
            assert_eq!(buf.filled().len(), at + 1, "a read into room for one byte");
        }
    };
    soon("reads of one byte", async { tokio::join!(say, hear) }).await;
    assert!(&heard == words, "byte by byte one reads {:?}", String::from_utf8_lossy(&heard));
    (other, one)
}

/// Nobody reads: then somebody does.
async fn holds_up(mut one: impl AsyncTransport, mut other: impl AsyncTransport) {
    // The buffers of the system, and the carrier's own, are taken to hold less.
    const TOO_MUCH: usize = 64 << 20;
    let piece = pattern(64 * 1024, 7);
    let mut sent = 0;
    let all = async {
        while let Ok(count) = tokio::time::timeout(MOMENT, one.write(&piece[sent % piece.len()..])).await {
            sent += count.expect("a write");
            assert!(sent < TOO_MUCH, "{sent} bytes are taken that nobody reads");
        }
        let mut heard = vec![0; sent];
        let (flushed, read) = tokio::join!(one.flush(), other.read_exact(&mut heard));
        flushed.expect("a flush");
        read.expect("what was written arrives");
        assert!(heard.chunks(piece.len()).all(|chunk| chunk == &piece[..chunk.len()]), "some was lost or doubled");
        soon("a write that is woken by a reader", one.write_all(b"more")).await.expect("a write");
    };
    soon("a writer that is held up, and then is not", all).await;
}

async fn gone(mut one: impl AsyncTransport, other: impl AsyncTransport) {
    drop(other);
    let all = async {
        let mut heard = Vec::new();
        let _ = one.read_to_end(&mut heard).await;
        assert!(heard.is_empty(), "a peer that is gone has said {heard:?}");
        // It may take some for lost.
        let _ = tokio::time::timeout(MOMENT, one.write_all(b"is anybody there?")).await;
        let _ = tokio::time::timeout(MOMENT, one.shutdown()).await;
    };
    soon("a read from a peer that is gone", all).await;
}
