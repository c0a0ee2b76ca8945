//! What a failed `accept(2)` means for the loop that called it.

/// What an accept loop does after `accept(2)` failed; [`classify`] decides it.
///
/// ```
/// use socketserver_proto::{AcceptFailure, classify};
///
/// assert_eq!(classify(libc::EAGAIN), AcceptFailure::WouldBlock);
/// assert_eq!(classify(libc::ECONNABORTED), AcceptFailure::Retry);
/// assert_eq!(classify(libc::EMFILE), AcceptFailure::Exhausted);
/// assert_eq!(classify(libc::EBADF), AcceptFailure::Fatal);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcceptFailure {
    /// No connection waits: wait until the listener is readable.
    WouldBlock,
    /// One connection failed before it was accepted, or a signal interrupted the call: try again
    /// at once. A kernel, seccomp or LSM rule that refuses every call looks the same, so a loop
    /// bounds how many it takes in a row without waiting.
    Retry,
    /// Descriptors or memory ran out. The connection still waits in the backlog and the listener
    /// stays readable, so trying at once would spin: wait first, see [`Backoff::accept`].
    ///
    /// [`Backoff::accept`]: crate::Backoff::accept
    Exhausted,
    /// The listener is unusable, or the error is unknown: hand it to the caller.
    Fatal,
}

/// The error numbers that `accept(2)` lists for Linux (and ECONNRESET), their names, and what each
/// means to an accept loop.
///
/// `accept(2)`, "Error handling": "Linux accept() passes already-pending network errors on the new
/// socket as an error code from accept() [...] For reliable operation the application should detect
/// the network errors defined for the protocol after accept() and treat them like EAGAIN by
/// retrying. In the case of TCP/IP, these are ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET,
/// EHOSTUNREACH, EOPNOTSUPP, and ENETUNREACH."
const ERRORS: [(i32, &str, AcceptFailure); 25] = {
    use AcceptFailure::{Exhausted, Fatal, Retry, WouldBlock};
    [
        // EWOULDBLOCK is the same number on Linux.
        (libc::EAGAIN, "EAGAIN", WouldBlock),
        (libc::EINTR, "EINTR", Retry),
        (libc::ECONNABORTED, "ECONNABORTED", Retry),
        // "Firewall rules forbid connection."
        (libc::EPERM, "EPERM", Retry),
        // The pending network errors, but for EOPNOTSUPP (see below).
        (libc::ENETDOWN, "ENETDOWN", Retry),
        (libc::EPROTO, "EPROTO", Retry),
        (libc::ENOPROTOOPT, "ENOPROTOOPT", Retry),
        (libc::EHOSTDOWN, "EHOSTDOWN", Retry),
        (libc::ENONET, "ENONET", Retry),
        (libc::EHOSTUNREACH, "EHOSTUNREACH", Retry),
        (libc::ENETUNREACH, "ENETUNREACH", Retry),
        // Not in the list for TCP/IP, but of the same kind: the peer is gone.
        (libc::ECONNRESET, "ECONNRESET", Retry),
        (libc::ETIMEDOUT, "ETIMEDOUT", Retry),
        // The process's and the system's limit of descriptors, then memory.
        (libc::EMFILE, "EMFILE", Exhausted),
        (libc::ENFILE, "ENFILE", Exhausted),
        (libc::ENOBUFS, "ENOBUFS", Exhausted),
        (libc::ENOMEM, "ENOMEM", Exhausted),
        // EOPNOTSUPP has two meanings in accept(2): a pending network error, and "the referenced
        // socket is not of type SOCK_STREAM". Nothing in the number tells them apart, and this
        // function has no memory with which to bound a retry. Wrongly fatal is an error that the
        // caller sees; wrongly retried is a loop that spins for ever, and a descriptor that was
        // handed to us (`fd:`) may have been changed by whoever shares it. So it is fatal.
        (libc::EOPNOTSUPP, "EOPNOTSUPP", Fatal),
        // The listener itself is wrong: closed, not listening, not a socket.
        (libc::EBADF, "EBADF", Fatal),
        (libc::EINVAL, "EINVAL", Fatal),
        (libc::ENOTSOCK, "ENOTSOCK", Fatal),
        (libc::EFAULT, "EFAULT", Fatal),
        // "Various Linux kernels can return other errors such as" these; none tells that a retry
        // would help.
        (libc::ENOSR, "ENOSR", Fatal),
        (libc::ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT", Fatal),
        (libc::EPROTONOSUPPORT, "EPROTONOSUPPORT", Fatal),
    ]
};

/// Says what to do after `accept(2)` failed with this error number.
///
/// An error number that `accept(2)` does not list is [`AcceptFailure::Fatal`]: better one clear
/// error than a loop that spins over something unknown.
///
/// ```
/// use socketserver_proto::{AcceptFailure, classify};
///
/// let error = std::io::Error::from_raw_os_error(libc::ENFILE);
/// assert_eq!(error.raw_os_error().map(classify), Some(AcceptFailure::Exhausted));
/// ```
#[must_use]
pub fn classify(errno: i32) -> AcceptFailure {
    find(errno).map_or(AcceptFailure::Fatal, |&(_, _, failure)| failure)
}

/// The symbolic name of an error number that `accept(2)` lists, for events and counters; `"errno"`
/// for any other.
///
/// ```
/// use socketserver_proto::accept::errno_name;
///
/// assert_eq!(errno_name(libc::EMFILE), "EMFILE");
/// assert_eq!(errno_name(0), "errno");
/// ```
#[must_use]
pub fn errno_name(errno: i32) -> &'static str {
    find(errno).map_or("errno", |&(_, name, _)| name)
}

fn find(errno: i32) -> Option<&'static (i32, &'static str, AcceptFailure)> {
    ERRORS.iter().find(|&&(number, _, _)| number == errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_class() {
        let classes: [(AcceptFailure, &[i32]); 4] = [
            (AcceptFailure::WouldBlock, &[libc::EAGAIN, libc::EWOULDBLOCK]),
            (
                AcceptFailure::Retry,
                &[
                    libc::EINTR,
                    libc::ECONNABORTED,
                    libc::EPROTO,
                    libc::EPERM,
                    libc::ENETDOWN,
                    libc::ENOPROTOOPT,
                    libc::EHOSTDOWN,
                    libc::ENONET,
                    libc::EHOSTUNREACH,
                    libc::ENETUNREACH,
                    libc::ECONNRESET,
                    libc::ETIMEDOUT,
                ],
            ),
            (AcceptFailure::Exhausted, &[libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM]),
            (
                AcceptFailure::Fatal,
                &[libc::EOPNOTSUPP, libc::EBADF, libc::EINVAL, libc::ENOTSOCK, libc::EFAULT, 0, -1, i32::MIN, i32::MAX],
            ),
        ];
        for (class, numbers) in classes {
            for &number in numbers {
                assert_eq!(classify(number), class, "{} ({number})", errno_name(number));
            }
        }
    }

    #[test]
    fn no_error_number_is_listed_twice() {
        for (i, (number, name, _)) in ERRORS.iter().enumerate() {
            assert!(ERRORS[..i].iter().all(|(n, m, _)| n != number && m != name), "{name}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(errno_name(libc::EMFILE), "EMFILE");
        assert_eq!(errno_name(libc::EWOULDBLOCK), "EAGAIN");
        assert_eq!(errno_name(libc::EOPNOTSUPP), "EOPNOTSUPP");
        assert_eq!(errno_name(libc::ENOENT), "errno");
        assert_eq!(errno_name(-1), "errno");
    }
}
