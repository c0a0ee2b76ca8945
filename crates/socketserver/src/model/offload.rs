use crate::Panic;
use std::any::Any;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Work that computes or blocks, taken off the shard of an async handler and done on another thread, so many at a time.
///
/// Whoever comes when all are busy waits for its turn, in order, and holds up nobody. Clones share the limit.
///
/// Dropping the future while it waits takes the work back; work that has begun goes on to its end, and its result is
/// dropped.
///
/// ```
/// use socketserver::{Offload, Server, Stream, Tasks, client};
///
/// let offload = Offload::new(4);
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Tasks::new(1), async move |c: &mut Stream| {
///     let sum = offload.run(|| (1..=1_000_000_u64).sum::<u64>()).await?;
///     c.write_all(sum.to_string().as_bytes()).await?;
///     Ok(())
/// })?;
/// let mut c = client::connect(&server.handle().endpoints()[0])?;
/// assert_eq!(c.read_to_end(100)?, b"500000500000");
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone)]
pub struct Offload {
    turns: Arc<Semaphore>,
}

impl Offload {
    /// At most `threads` at a time, at least one. Each shard's runtime has 512 threads for it at most.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(threads.clamp(1, Semaphore::MAX_PERMITS))) }
    }

    /// Does `work` on another thread and waits for its result.
    ///
    /// # Errors
    /// It panicked.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Result<R, Panic> {
        // It is closed by nobody.
        let turn = self.turns.clone().acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        });
        done.await.map_err(|error| match error.try_into_panic() {
            Ok(payload) => Panic::new(&*payload),
            Err(error) => Panic::new(&error.to_string() as &(dyn Any + Send)),
        })
    }
}
