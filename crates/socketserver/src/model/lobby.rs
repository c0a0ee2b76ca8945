//! Where connections of proxies stay until it is known for whom they are, in a process that must not wait for one of them.

use crate::Peer;
use crate::admission::Admitted;
use crate::connection::pipeline::Ending;
use crate::connection::{NEVER, Reason};
use crate::endpoint::{Transport, readable};
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
        self.sockets().map(|(socket, _)| readable(socket))
    }

    /// When the first of them will have taken too long.
    pub(super) fn until(&self) -> Option<Instant> {
        self.0.iter().filter_map(|unknown| unknown.until).min()
    }

    /// Reads what has come, and gives those who may come in now.
    pub(super) fn leave(&mut self, run: &Run, verify: &dyn Fn(&Peer) -> bool) -> Vec<Admitted> {
        let mut known = Vec::new();
        for mut unknown in std::mem::take(&mut self.0) {
            match unknown.look(run) {
                Found::Nothing => self.0.push(unknown),
                Found::Header(header) => {
                    let mut admitted = unknown.admitted;
                    admitted.connection().slot.end_wait();
                    match run.let_in(admitted.connection(), header, verify) {
                        Ok(()) => known.push(admitted),
                        Err(why) => {
                            say_why(run, &admitted, why);
                            admitted.ending = Some(Ending::refused(why, None));
                        }
                    }
                }
                Found::End(ending) => unknown.admitted.ending = Some(ending),
            }
        }
        known
    }

    /// In a forked child: lets go of all.
    pub(super) fn disown(&self, child: &Forked) -> io::Result<()> {
        self.sockets().try_for_each(|(socket, _)| disown(child, socket))
    }

    fn sockets(&self) -> impl Iterator<Item = (BorrowedFd<'_>, &Unknown)> {
        // The blocking engine is given sockets.
        self.0.iter().filter_map(|unknown| Some((unknown.admitted.connection().descriptor()?, unknown)))
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
                _ if connection.slot.is_cut() => return Found::End(Ending::of(connection.slot.cut_by())),
                _ if run.is_stopping() => return Found::End(Ending::of(Reason::Drained)),
                Ok(_) => return bad(ProxyError::cut_short(before).to_string()),
                Err(Errno::AGAIN) if self.until.is_some_and(|until| until <= Instant::now()) => {
                    return bad("the handshake deadline passed: the PROXY header is not there".to_owned());
                }
                Err(Errno::AGAIN) => return Found::Nothing,
                Err(error) => return bad(error.to_string()),
            }
        }
    }
}

/// A peer that has too many connections is told so, if that is the policy, and it can be told in plain words.
fn say_why(run: &Run, admitted: &Admitted, why: Refusal) {
    let connection = admitted.connection();
    let (Some(words), false) = (run.farewell(why), run.shared.endpoints[connection.endpoint()].is_tls()) else {
        return;
    };
    let socket = connection.descriptor().map(|socket| socket.try_clone_to_owned());
    if let Some(Ok(socket)) = socket {
        run.bid_farewell(Transport::Socket(socket), &words);
    }
}
