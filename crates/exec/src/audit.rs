use crate::event::printable;
use crate::talk::Talk;
use crate::{Event, Exec, Outcome, Status};
use std::time::Instant;

/// What it is if nothing else becomes of it, or the server ends it.
pub(crate) const CUT: &str = "cut";

/// The event of a request, told when it is dropped: so each is told of, however it ends.
pub(crate) struct Audit<'a> {
    exec: &'a Exec,
    id: u64,
    peer: socketserver::Peer,
    subject: Option<&'a str>,
    command: String,
    length: usize,
    pub(crate) status: &'static str,
    pub(crate) detail: Option<i32>,
    pub(crate) output_cut: bool,
    pub(crate) bytes: u64,
    pub(crate) left: u32,
    began: Instant,
}

impl<'a> Audit<'a> {
    /// Of a request of so many bytes, which says this; by somebody, as far as that was asked for.
    pub(crate) fn new(
        exec: &'a Exec,
        c: &impl Talk,
        subject: Option<&'a str>,
        request: &[u8],
        text: Option<&str>,
    ) -> Self {
        Self {
            exec,
            id: c.id(),
            peer: c.peer().clone(),
            subject,
            command: printable(request, text),
            length: request.len(),
            status: CUT,
            detail: None,
            output_cut: false,
            bytes: 0,
            left: 0,
            began: Instant::now(),
        }
    }

    /// Tells of somebody who did not come as far as a request.
    pub(crate) fn without_request(exec: &Exec, c: &impl Talk, subject: Option<&str>, status: &'static str) {
        Audit::new(exec, c, subject, b"", None).status = status;
    }

    /// It was this long.
    pub(crate) fn length(mut self, bytes: usize) -> Self {
        self.length = bytes;
        self
    }

    /// That became of it.
    pub(crate) fn is(&mut self, status: Status) {
        (self.status, self.detail) = (status.as_str(), status.number());
    }

    /// The command was run, and ended so.
    pub(crate) fn ended(&mut self, outcome: &Outcome) {
        (self.output_cut, self.left) = (outcome.cut, outcome.left);
        self.is(outcome.status);
    }

    /// There was no room for it.
    pub(crate) fn was_not_started(&mut self, error: &std::io::Error) {
        (self.status, self.detail) = (Status::NotStarted(0).as_str(), error.raw_os_error());
    }
}

impl Drop for Audit<'_> {
    fn drop(&mut self) {
        self.exec.tell(&Event {
            id: self.id,
            peer: &self.peer,
            subject: self.subject,
            command: &self.command,
            length: self.length,
            status: self.status,
            detail: self.detail,
            output_cut: self.output_cut,
            bytes: self.bytes,
            left: self.left,
            duration: self.began.elapsed(),
        });
    }
}
