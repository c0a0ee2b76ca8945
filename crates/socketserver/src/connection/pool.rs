//! Buffers for reading and for gathering, a few kept for each thread: a connection holds one only while there is
//! something in it.

#![expect(clippy::box_collection, clippy::vec_box, reason = "a connection has room for one, and most hold none")]

use std::cell::RefCell;

/// The size of each: beyond it a read or a write costs no less a byte. 64 KiB, and what TLS puts around them (RFC 8446,
/// section 5.2): a message of that size, which is a usual one, is there with one read.
pub(crate) const SIZE: usize = 65 * 1024;
/// So many of that size are kept for a thread. The one used last is warm in the cache and used next.
const KEPT: usize = 8;

thread_local! {
    static INPUT: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<Outputs> = const { RefCell::new(Outputs { kept: Vec::new(), bytes: 0 }) };
}

/// Those to gather into. Each is as large as what it was for: many small ones are kept, or a few large ones.
struct Outputs {
    kept: Vec<Box<Vec<u8>>>,
    /// What they take, all together.
    bytes: usize,
}

/// To read into. Only the pages that were read into cost memory.
pub(crate) fn take_input() -> Box<[u8]> {
    let kept = INPUT.try_with(|kept| kept.borrow_mut().pop());
    kept.ok().flatten().unwrap_or_else(|| vec![0; SIZE].into_boxed_slice())
}

pub(crate) fn give_input(buf: Box<[u8]>) {
    if buf.len() == SIZE {
        // While the thread ends there is nobody to keep it for.
        let _ = INPUT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < KEPT {
                kept.push(buf);
            }
        });
    }
}

/// To gather into: empty.
pub(crate) fn take_output() -> Box<Vec<u8>> {
    let taken = OUTPUT.try_with(|outputs| {
        let mut outputs = outputs.borrow_mut();
        let buf = outputs.kept.pop()?;
        outputs.bytes -= buf.capacity();
        Some(buf)
    });
    taken.ok().flatten().unwrap_or_default()
}

pub(crate) fn give_output(mut buf: Box<Vec<u8>>) {
    buf.clear();
    let _ = OUTPUT.try_with(|outputs| {
        let mut outputs = outputs.borrow_mut();
        if buf.capacity() > 0 && outputs.bytes + buf.capacity() <= KEPT * SIZE {
            outputs.bytes += buf.capacity();
            outputs.kept.push(buf);
        }
    });
}
