use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// Words of memory that parent and children see alike after `fork(2)`: an anonymous shared mapping, `mmap(2)`.
///
/// All begin as zero, and the first begins a page. It lives until the last process that has it lets go.
///
/// ```
/// use std::sync::atomic::Ordering;
/// let words = socketserver_sys::SharedWords::new(3)?;
/// words[2].store(7, Ordering::Relaxed);
/// assert_eq!(words[2].load(Ordering::Relaxed), 7);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct SharedWords {
    start: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: it owns its mapping and gives out nothing but `&[AtomicU64]`, which is Send and Sync.
unsafe impl Send for SharedWords {}
// SAFETY: as above; all access goes through atomics.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// A mapping of `count` words; at least one.
    ///
    /// # Errors
    /// `ENOMEM`, and a `count` whose bytes do not fit into an `isize`.
    pub fn new(count: usize) -> io::Result<Self> {
        let count = count.max(1);
        let bytes = Self::bytes(count).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory that anything else
        // uses; the result is checked.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(Self { start, count })
    }

    fn bytes(count: usize) -> Option<usize> {
        count.checked_mul(size_of::<AtomicU64>()).filter(|bytes| isize::try_from(*bytes).is_ok())
    }
}

impl Deref for SharedWords {
    type Target = [AtomicU64];

    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: `start` is the page-aligned start of a mapping of `count` zeroed words, readable and writable until
        // `drop`; zero is a valid AtomicU64; other processes touch them as atomics too, and the borrow ends before
        // the mapping does.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `new` made, and no reference into it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.count * size_of::<AtomicU64>()) };
    }
}
