use crate::PATIENCE;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use tokio::runtime::Builder;

/// Runs what would hang, and not fail, if it went wrong: on a thread of its own, for [`PATIENCE`] at most. Its panics are
/// the caller's.
///
/// ```
/// assert_eq!(socketserver_testkit::within("a sum", || 1 + 1), 2);
/// ```
///
/// # Panics
/// When it hangs, with the words that say what does.
#[track_caller]
pub fn within<T: Send + 'static>(what: &str, body: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, done) = channel();
    let thread = std::thread::spawn(move || send.send(body()));
    match done.recv_timeout(PATIENCE) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => panic!("it hangs: {what}"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(_) => unreachable!("what has not panicked has sent its value"),
        },
    }
}

/// Runs a future in a runtime of one thread whose clock is paused: when all that goes on in it waits, the clock moves on to
/// the next deadline, so hours pass in no time. With it go all of the server's own times, on the async engine. It has
/// [`PATIENCE`] of real time.
///
/// What waits for anything outside of the runtime (a socket, a thread) does not stop the clock: over real sockets every
/// deadline is up at once. [`MemoryListener`](crate::MemoryListener) has none.
///
/// ```
/// use std::time::Duration;
///
/// const HOUR: Duration = Duration::from_secs(3600);
/// let took = socketserver_testkit::paused(async || {
///     let start = tokio::time::Instant::now();
///     tokio::time::sleep(HOUR).await;
///     start.elapsed()
/// });
/// assert!(took >= HOUR);
/// ```
///
/// # Panics
/// When it hangs.
#[track_caller]
pub fn paused<T: Send + 'static, F: Future<Output = T>>(body: impl FnOnce() -> F + Send + 'static) -> T {
    within("what a paused clock goes by", || {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async { body().await })
    })
}
