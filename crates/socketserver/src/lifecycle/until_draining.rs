use super::Shared;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Ready once the server drains: made by [`Handle::draining`](crate::Handle::draining) and
/// [`Stream::draining`](crate::Stream::draining), to be waited for beside something else. It borrows nothing, and is
/// cheap enough to be made for each connection.
///
/// Cancel-safe: one that is made while the server drains already is ready at once. Once it was ready it must not be
/// polled again.
///
/// ```
/// use socketserver::{Server, Stream, Tasks, client};
/// use std::time::Duration;
///
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Tasks::new(1), async |c: &mut Stream| {
///     let mut draining = c.draining();
///     // A clock that ticks until the server stops.
///     while tokio::time::timeout(Duration::from_millis(10), &mut draining).await.is_err() {
///         c.write_all(b"tick\n").await?;
///     }
///     c.write_all(b"bye\n").await?;
///     Ok(())
/// })?;
/// let mut c = client::connect(&server.handle().endpoints()[0])?;
/// assert_eq!(c.read_line(10)?.as_deref(), Some("tick"));
/// server.handle().shutdown();
/// assert!(c.read_to_end(1 << 20)?.ends_with(b"bye\n"));
/// assert!(server.join()?.is_clean());
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub struct UntilDraining(Pin<Box<dyn Future<Output = ()> + Send>>);

impl UntilDraining {
    pub(super) fn new(shared: Option<Arc<Shared>>, run: u64) -> Self {
        Self(Box::pin(async move {
            let Some(shared) = shared else { return std::future::pending().await };
            let mut stopping = shared.stopping.subscribe();
            // The sender is as long-lived as what it is borrowed from.
            let _ = stopping.wait_for(|stopped| *stopped >= run).await;
        }))
    }
}

impl Future for UntilDraining {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for UntilDraining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UntilDraining")
    }
}
