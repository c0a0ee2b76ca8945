//! Words that threads and processes share.
//!
//! What is built of them is tried in every order in which threads can come through, by loom:
//! `RUSTFLAGS="--cfg loom" cargo test -p socketserver-proto --release --lib model`.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

/// A word that several sides change: an [`AtomicU64`], or a model of one.
pub trait Word {
    /// What it is.
    fn load(&self) -> u64;
    /// Makes it this.
    fn store(&self, value: u64);
    /// Makes it this, and tells what it was.
    fn swap(&self, value: u64) -> u64;
    /// Adds so much, and tells what it was.
    fn add(&self, value: u64) -> u64;
    /// Takes so much away, and tells what it was.
    fn sub(&self, value: u64) -> u64;
    /// Changes it as told. `Err`: it was to stay as it is.
    ///
    /// # Errors
    /// What it is, when `change` gives nothing.
    fn update(&self, change: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64>;
    /// Of two sides that each change a word and then look at the other's, one at least sees the change.
    fn fence();
    /// The same, where nothing but what is here changes the words and looks at them: that order they have anyway, and it costs
    /// nothing, but loom knows it of fences alone.
    fn in_order();
}

macro_rules! word {
    ($word:ty, $fence:path, $in_order:block) => {
        impl Word for $word {
            #[inline]
            fn load(&self) -> u64 {
                self.load(SeqCst)
            }
            #[inline]
            fn store(&self, value: u64) {
                self.store(value, SeqCst);
            }
            #[inline]
            fn swap(&self, value: u64) -> u64 {
                self.swap(value, SeqCst)
            }
            #[inline]
            fn add(&self, value: u64) -> u64 {
                self.fetch_add(value, SeqCst)
            }
            #[inline]
            fn sub(&self, value: u64) -> u64 {
                self.fetch_sub(value, SeqCst)
            }
            #[inline]
            fn update(&self, change: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64> {
                self.fetch_update(SeqCst, SeqCst, change)
            }
            #[inline]
            fn fence() {
                $fence(SeqCst);
            }
            #[inline]
            fn in_order() $in_order
        }
    };
}
word!(AtomicU64, std::sync::atomic::fence, {});

/// What the models have in common.
#[cfg(all(test, loom))]
pub(crate) mod model {
    use super::*;
    pub(crate) use loom::sync::atomic::AtomicU64 as Modelled;
    use loom::sync::{Condvar, Mutex};
    use std::task::Wake;

    word!(Modelled, loom::sync::atomic::fence, { loom::sync::atomic::fence(SeqCst) });

    /// Stands for an eventfd: readable until it is cleared.
    #[derive(Default)]
    pub(crate) struct Bell(Mutex<bool>, Condvar);

    impl Bell {
        pub(crate) fn ring(&self) {
            *self.0.lock().unwrap() = true;
            self.1.notify_all();
        }
        pub(crate) fn clear(&self) {
            *self.0.lock().unwrap() = false;
        }
        pub(crate) fn wait(&self) {
            let mut rung = self.0.lock().unwrap();
            while !*rung {
                rung = self.1.wait(rung).unwrap();
            }
        }
    }

    /// As a task that waits in a runtime, or a thread in `poll(2)`.
    impl Wake for Bell {
        fn wake(self: std::sync::Arc<Self>) {
            self.ring();
        }
    }
}
