//! TLS at the client's end: a session without its socket, and the socket beside it.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::io::retry_on_intr;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ClientConnection, Resumption};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use socket2::Socket;

use crate::errors::Failure;
use crate::socket::{receive, wait};

/// The name that a server is asked for whose certificate nobody looks at.
const NAME: &str = "localhost";

/// Whom a load believes that it is the server.
#[derive(Debug, Clone)]
pub(crate) enum Trust {
    /// Anybody, over TLS 1.3 with one suite and one group.
    Anybody,
    /// Whom the settings say, if it is the one of that name.
    Given(Arc<ClientConfig>, ServerName<'static>),
}

/// What all connections of a load begin with. No session goes on.
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    pub(crate) fn new(trust: &Trust) -> Result<Self, rustls::Error> {
        match trust {
            Trust::Anybody => Self::with_anybody(),
            Trust::Given(config, name) => {
                let mut config = ClientConfig::clone(config);
                config.resumption = Resumption::disabled();
                Ok(Self { config: Arc::new(config), name: name.clone() })
            }
        }
    }

    fn with_anybody() -> Result<Self, rustls::Error> {
        let mut provider = ring::default_provider();
        // The cheapest that every server has.
        provider.cipher_suites = vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
        provider.kx_groups = vec![ring::kx_group::X25519];
        let schemes = provider.signature_verification_algorithms.supported_schemes();
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(schemes)))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        let name = ServerName::try_from(NAME).map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(Self { config: Arc::new(config), name })
    }

    pub(crate) fn session(&self) -> Result<Session, Failure> {
        let session = ClientConnection::new(self.config.clone(), self.name.clone()).map_err(|_| Failure::Tls)?;
        Ok(Session { session, ended: false })
    }
}

/// Whatever certificate a server shows is believed, and its signature is not verified: that would cost the client more than
/// the whole handshake costs the server.
#[derive(Debug)]
struct Anybody(Vec<SignatureScheme>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

/// One connection's session. What is sent before hands were shaken waits in it until then.
pub(crate) struct Session {
    session: ClientConnection,
    /// The server has said that nothing more comes, or has ended the connection.
    ended: bool,
}

impl Session {
    /// Shakes hands, until `deadline` at the latest.
    pub(crate) fn shake_hands(&mut self, socket: &Socket, deadline: Instant) -> Result<(), Failure> {
        while self.session.is_handshaking() {
            match self.session.complete_io(&mut Records(socket)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let what = if self.is_behind() { PollFlags::OUT } else { PollFlags::IN };
                    let left = deadline.saturating_duration_since(Instant::now());
                    wait(socket, what, left).map_err(|error| Failure::from(&error))?;
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Failure::EarlyClose),
                // So it is told what rustls does not like.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(Failure::Tls),
                Err(error) => return Err(Failure::from(&error)),
            }
        }
        Ok(())
    }

    /// Whether hands are not shaken yet.
    pub(crate) fn is_shaking_hands(&self) -> bool {
        self.session.is_handshaking()
    }

    /// Whether records wait for the socket to take them.
    pub(crate) fn is_behind(&self) -> bool {
        self.session.wants_write()
    }

    /// Takes some of the bytes, and sends as many records as the socket takes.
    pub(crate) fn send(&mut self, socket: &Socket, bytes: &[u8]) -> Result<usize, Failure> {
        let taken = self.session.writer().write(bytes).map_err(|error| Failure::from(&error))?;
        self.flush(socket)?;
        Ok(taken)
    }

    /// Says that nothing more comes.
    pub(crate) fn say_goodbye(&mut self, socket: &Socket) -> Result<(), Failure> {
        self.session.send_close_notify();
        self.flush(socket)
    }

    fn flush(&mut self, socket: &Socket) -> Result<(), Failure> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Records(socket)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(Failure::from(&error)),
            }
        }
        Ok(())
    }

    /// Receives as [`socket::receive`](receive) does: less than the buffer holds when nothing is left. `records` is room for
    /// what comes from the socket, as much as `buffer`.
    pub(crate) fn receive(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        records: &mut [u8],
    ) -> Result<Option<usize>, Failure> {
        let mut filled = self.take(buffer)?;
        let mut drained = false;
        while filled < buffer.len() && !drained && !self.ended {
            // No more than there is room for what is in it: of rustls' own there is little.
            let records = &mut records[filled..];
            match receive(socket, records).map_err(|error| Failure::from(&error))? {
                Some(0) => self.ended = true,
                None => drained = true,
                Some(received) => {
                    drained = received < records.len();
                    filled += self.open(&records[..received], &mut buffer[filled..])?;
                }
            }
        }
        // Its part of the handshake, and what waited for that.
        self.flush(socket)?;
        Ok((filled > 0 || self.ended).then_some(filled))
    }

    /// Takes records apart, and what was in them as far as there is room.
    fn open(&mut self, mut records: &[u8], buffer: &mut [u8]) -> Result<usize, Failure> {
        let mut filled = 0;
        while !records.is_empty() && !self.ended {
            self.session.read_tls(&mut records).map_err(|error| Failure::from(&error))?;
            let state = self.session.process_new_packets().map_err(|_| Failure::Tls)?;
            filled += self.take(&mut buffer[filled..])?;
            self.ended = state.peer_has_closed();
        }
        Ok(filled)
    }

    /// Takes what was in the records.
    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        match self.session.reader().read(buffer) {
            Ok(taken) => Ok(taken),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(Failure::from(&error)),
        }
    }
}

/// The socket as rustls wants it: what would block is an error.
struct Records<'a>(&'a Socket);

impl Read for Records<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        receive(self.0, buffer)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Records<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::net::send(self.0, bytes, SendFlags::NOSIGNAL))?)
    }

    fn write_vectored(&mut self, records: &[IoSlice<'_>]) -> io::Result<usize> {
        match records {
            // Cheaper by the half of a microsecond.
            [record] => self.write(record),
            _ => Ok(retry_on_intr(|| {
                sendmsg(self.0, records, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
            })?),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
