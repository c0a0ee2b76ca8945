use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// Keeps a shard from going to sleep for a while after it had something to do.
#[derive(Default)]
pub(super) struct Spinner {
    busy: Cell<bool>,
    sleeping: Cell<Option<Waker>>,
}

impl Spinner {
    /// The shard has something to do.
    #[inline]
    pub(super) fn go_on(&self) {
        self.busy.set(true);
        if let Some(sleeping) = self.sleeping.take() {
            sleeping.wake();
        }
    }
}

pub(super) async fn spin(spinner: Rc<Spinner>, time: Duration) {
    loop {
        poll_fn(|cx| {
            if spinner.busy.take() {
                return Poll::Ready(());
            }
            spinner.sleeping.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
        let mut until = Instant::now() + time;
        while Instant::now() < until {
            // The runtime looks for events before it comes back, and does not wait for any.
            tokio::task::yield_now().await;
            if spinner.busy.take() {
                until = Instant::now() + time;
            }
        }
    }
}
