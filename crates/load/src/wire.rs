//! A connection at the client's end: a socket, and TLS over it if the load says so.

use std::net::Shutdown;
use std::time::Instant;

use socket2::Socket;

use crate::errors::Failure;
use crate::socket::{CHUNK, receive, send};
use crate::tls::{Session, Tls};

/// A socket, and the session over it.
pub(crate) struct Wire {
    socket: Socket,
    tls: Option<Box<Session>>,
}

/// What is received into; one for all connections.
pub(crate) struct Incoming {
    bytes: Vec<u8>,
    /// What they came in, with TLS.
    records: Vec<u8>,
}

impl Incoming {
    pub(crate) fn new(tls: Option<&Tls>) -> Self {
        Self { bytes: vec![0; CHUNK], records: tls.map(|_| vec![0; CHUNK]).unwrap_or_default() }
    }

    /// The first of what was received last.
    pub(crate) fn first(&self, count: usize) -> &[u8] {
        &self.bytes[..count]
    }
}

impl Wire {
    /// With TLS hands are shaken once something is sent.
    pub(crate) fn new(socket: Socket, tls: Option<&Tls>) -> Result<Self, Failure> {
        let tls = tls.map(Tls::session).transpose()?.map(Box::new);
        Ok(Self { socket, tls })
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Shakes hands now, until `deadline` at the latest.
    pub(crate) fn shake_hands(&mut self, deadline: Instant) -> Result<(), Failure> {
        self.tls.as_mut().map_or(Ok(()), |tls| tls.shake_hands(&self.socket, deadline))
    }

    /// Whether some of what it took waits for the socket to take it.
    pub(crate) fn is_behind(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_behind())
    }

    /// Whether TLS is not ready yet.
    pub(crate) fn is_shaking_hands(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_shaking_hands())
    }

    /// Whether it may fall behind later.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Takes what it can of the bytes, maybe none; the socket tells when more goes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        match &mut self.tls {
            Some(tls) => tls.send(&self.socket, bytes),
            None => send(&self.socket, bytes).map_err(|error| Failure::from(&error)),
        }
    }

    /// Receives what is there, [`CHUNK`] at most, and less only when nothing is left; `None` when nothing is there,
    /// `Some(0)` at the end.
    pub(crate) fn receive(&mut self, incoming: &mut Incoming) -> Result<Option<usize>, Failure> {
        match &mut self.tls {
            Some(tls) => tls.receive(&self.socket, &mut incoming.bytes, &mut incoming.records),
            None => receive(&self.socket, &mut incoming.bytes).map_err(|error| Failure::from(&error)),
        }
    }

    /// Says that nothing more is sent.
    pub(crate) fn shutdown(&mut self) -> Result<(), Failure> {
        if let Some(tls) = &mut self.tls {
            tls.say_goodbye(&self.socket)?;
        }
        self.socket.shutdown(Shutdown::Write).map_err(|error| Failure::from(&error))
    }
}
