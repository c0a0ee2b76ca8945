//! What is ours passes, and what is broken, each in a way of its own, is found out.

mod carriers;
mod framings;
mod sources;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// It is found out, by these words.
#[track_caller]
fn is_refused(words: &str, check: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(check)).expect_err("what is broken passes");
    let said =
        panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).into()));
    assert!(said.as_ref().is_some_and(|said| said.contains(words)), "{said:?}");
}
