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
        let mut since = Instant::now();
        while since.elapsed() < time {
            // The runtime looks for events before it comes back, and does not wait for any.
            tokio::task::yield_now().await;
            if spinner.busy.take() {
                since = Instant::now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::{LocalSet, spawn_local, yield_now};

    #[test]
    fn a_time_beyond_the_clock_is_spun_for_ever() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let spinner = Rc::new(Spinner::default());
            let spins = spawn_local(spin(spinner.clone(), Duration::MAX));
            spinner.go_on();
            for _ in 0..10 {
                yield_now().await;
            }
            assert!(!spins.is_finished());
            spins.abort();
        });
    }
}
