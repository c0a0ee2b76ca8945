use crate::lifecycle::Handle;
use std::io;
use std::net::SocketAddr;

/// Whether it is known that whoever a packet says it is from is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody asks: what is sent has no limit.
    Unasked,
    /// It is the first packet from there.
    Stranger,
    /// It is not the first.
    Known,
}

impl Standing {
    /// Whether so many bytes may be sent to whoever the packet is from.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub(crate) fn permit_reply(self, handle: &Handle, to: Option<SocketAddr>, bytes: usize) -> io::Result<()> {
        match (self, to) {
            // One that has given way to others meanwhile has no more than one that has spent all.
            (Self::Stranger, Some(to)) if handle.may_be_sent(to, bytes) != Some(true) => Err(withheld(handle)),
            _ => Ok(()),
        }
    }

    /// Whether so many bytes may be sent to somebody else.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub(super) fn permit(self, handle: &Handle, to: SocketAddr, bytes: usize) -> io::Result<()> {
        let may = self == Self::Unasked || handle.may_be_sent(to, bytes) != Some(false);
        if may { Ok(()) } else { Err(withheld(handle)) }
    }
}

fn withheld(handle: &Handle) -> io::Error {
    handle.count_withheld();
    let words = "it was heard from once, and whoever that was may have forged its address: it may be sent no more than \
                 `max_amplification` times what came from it, until a second packet comes";
    io::Error::new(io::ErrorKind::PermissionDenied, words)
}
