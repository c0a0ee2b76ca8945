use std::io;
use std::time::Duration;

/// The processor time that a process has used, in all its threads, those that ended too: its process clock,
/// `clock_getcpuclockid(3)`.
///
/// # Errors
/// `ESRCH` when there is no such process.
///
/// ```
/// let used = socketserver_sys::process_cpu(std::process::id())?;
/// assert!(used <= socketserver_sys::process_cpu(std::process::id())?);
/// # std::io::Result::Ok(())
/// ```
pub fn process_cpu(pid: u32) -> io::Result<Duration> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
    let mut clock = 0;
    // SAFETY: `clock` is a valid place for one clockid_t; the call writes nothing else. It returns an errno.
    let error = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for one timespec, and lives through the call.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0)))
}
