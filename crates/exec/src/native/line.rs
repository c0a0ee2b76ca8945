use crate::talk::Talk;
use socketserver::{Failure, Result};
use socketserver_proto::exec::{Frame, Proof, Receiver, Side, WireError};
use std::io;
use std::time::{Duration, Instant};

/// The server's end of a conversation.
#[derive(Debug)]
pub(super) struct Line {
    receiver: Receiver,
    /// Until when what is waited for has to be there.
    until: Option<Instant>,
}

/// What a client says.
#[derive(Debug)]
pub(super) enum Heard {
    Version(u16),
    Proof(Proof),
    /// What is to be run, and how many bytes that were.
    Run(Vec<String>, usize),
}

/// At once no more is read of a long frame.
const PIECE: usize = 16 << 10;

impl Line {
    pub(super) fn new() -> Self {
        Self { receiver: Receiver::new(Side::Server), until: None }
    }

    /// From now on all of what is waited for has to be there in that time; `None`: each part of it as soon as the server
    /// wants it.
    pub(super) fn set_deadline(&mut self, c: &mut impl Talk, time: Option<Duration>) {
        self.until = time.map(|time| Instant::now() + time);
        if time.is_none() {
            c.set_patience(None);
        }
    }

    /// What the client says next. `None`: nothing more.
    pub(super) async fn hear(&mut self, c: &mut impl Talk) -> Result<Option<Heard>> {
        let mut size = 0;
        loop {
            // No more than belongs to this: what comes behind it stays where a drain sees it.
            let mut piece = vec![0; self.receiver.wants().min(PIECE)];
            let count = match self.until {
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(io::Error::from(io::ErrorKind::TimedOut).into());
                    }
                    c.set_patience(Some(left));
                    c.read_some(&mut piece).await?
                }
                None if self.receiver.is_midway() => {
                    c.read_answer(&mut piece).await?;
                    piece.len()
                }
                None => c.read_some(&mut piece).await?,
            };
            if count == 0 {
                self.receiver.finish()?;
                return Ok(None);
            }
            size += count;
            let heard = match self.receiver.next(&mut &piece[..count])? {
                None => continue,
                Some(Frame::Version(version)) => Heard::Version(version),
                Some(Frame::Auth(proof)) => Heard::Proof(proof),
                Some(Frame::Run(words)) => Heard::Run(words.iter().map(str::to_owned).collect(), size),
                // From there nothing else comes.
                Some(other) => return Err(WireError::Order(other.kind()).into()),
            };
            return Ok(Some(heard));
        }
    }

    /// Says something, and that now.
    pub(super) async fn say(&mut self, c: &mut impl Talk, frames: &[Frame<'_>]) -> Result {
        let mut bytes = Vec::new();
        for frame in frames {
            frame.encode(&mut bytes);
            self.receiver.sent(frame.kind())?;
        }
        c.write_all(&bytes).await?;
        Ok(c.flush().await?)
    }
}

/// Whether what came is not understood, other than that the connection has failed.
pub(super) fn is_wrong(failure: &Failure) -> Option<WireError> {
    failure.downcast_ref::<WireError>().copied()
}
