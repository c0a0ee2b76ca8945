//! Where connections of proxies stay until it is known for whom they are, in a process that must not wait for one of them.

use crate::Peer;
use crate::admission::Admitted;
use crate::connection::pipeline::Ending;
use crate::connection::preamble::LATE;
use crate::connection::{NEVER, Reason, Woken};
use crate::endpoint::readable;
use crate::events::Refusal;
use crate::lifecycle::Run;
use rustix::event::PollFd;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use socketserver_proto::proxy::{Header, Parsed, ProxyError};
use socketserver_sys::{Forked, disown};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

/// Those who wait to be introduced.
#[derive(Debug, Default)]
pub(super) struct Lobby(Vec<Unknown>);

#[derive(Debug)]
struct Unknown {
    admitted: Admitted,
    /// What has come of it. Nothing behind it is read.
    header: Vec<u8>,
    until: Option<Instant>,
}

/// What a look at one of them found.
enum Found {
    /// It is not known yet.
    Nothing,
    Header(Header),
    End(Ending),
}

impl Lobby {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn enter(&mut self, admitted: Admitted, run: &Run) {
        // A drain ends its wait: nothing was asked yet.
        admitted.connection().slot.begin_wait(false, NEVER);
        let until = run.settings.handshake.and_then(|time| Instant::now().checked_add(time));
        self.0.push(Unknown { admitted, header: Vec::new(), until });
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.sockets().map(readable)
    }

    /// When the first of them will have taken too long.
    pub(super) fn until(&self) -> Option<Instant> {
        self.0.iter().filter_map(|unknown| unknown.until).min()
    }

    /// Reads what has come, and gives one who may come in now, if there is one. The others stay here: a process that is made
    /// for this one finds them to let go of.
    pub(super) fn next(&mut self, run: &Run, verify: &dyn Fn(&Peer) -> bool) -> Option<Admitted> {
        let mut at = 0;
        while let Some(unknown) = self.0.get_mut(at) {
            let found = unknown.look(run);
            if let Found::Nothing = found {
                at += 1;
                continue;
            }
            let mut admitted = self.0.swap_remove(at).admitted;
            match found {
                Found::Header(header) => {
                    if admitted.connection().slot.end_wait().0 != Woken::No {
                        // A drain was first: nothing more can be read of it.
                        admitted.ending = Some(Ending::of(Reason::Drained));
                        continue;
                    }
                    match run.let_in(admitted.connection(), header, verify) {
                        Ok(()) => {
                            admitted.connection().slot.end_agreeing();
                            return Some(admitted);
                        }
                        Err(why) => admitted.ending = Some(Ending::refused(why, None)),
                    }
                }
                Found::End(ending) => admitted.ending = Some(ending),
                Found::Nothing => {}
            }
        }
        None
    }

    /// In a forked child: lets go of all.
    pub(super) fn disown(&self, child: &Forked) -> io::Result<()> {
        self.sockets().try_for_each(|socket| disown(child, socket))
    }

    fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        // The blocking engine is given sockets.
        self.0.iter().filter_map(|unknown| unknown.admitted.connection().descriptor())
    }
}

impl Unknown {
    fn look(&mut self, run: &Run) -> Found {
        let bad = |failure: String| Found::End(Ending::refused(Refusal::BadHeader, Some(failure)));
        let connection = self.admitted.connection();
        let Some(socket) = connection.descriptor() else { return Found::Nothing };
        loop {
            let more = match Header::parse(&self.header) {
                Ok(Parsed::Whole { header, .. }) => return Found::Header(header),
                Ok(Parsed::Incomplete { more }) => more,
                Err(error) => return bad(error.to_string()),
            };
            let before = self.header.len();
            self.header.resize(before + more, 0);
            let read =
                rustix::net::recv(socket, &mut self.header[before..], RecvFlags::DONTWAIT).map(|(count, _)| count);
            self.header.truncate(before + read.unwrap_or(0));
            match read {
                Ok(1..) | Err(Errno::INTR) => {}
                _ if run.is_stopping() => return Found::End(Ending::of(Reason::Drained)),
                // Nothing else cuts one that nobody knows.
                _ if connection.slot.is_cut() => {
                    return bad("the server cut this connection: its lifetime is over".to_owned());
                }
                Ok(_) => return bad(ProxyError::cut_short(before).to_string()),
                Err(Errno::AGAIN) if self.until.is_some_and(|until| until <= Instant::now()) => {
                    return bad(LATE.to_owned());
                }
                Err(Errno::AGAIN) => return Found::Nothing,
                Err(error) => return bad(error.to_string()),
            }
        }
    }
}
