//! TLS, at either end of a connection.

use super::secure::Secure;
use super::{Core, PollIo};
use crate::clock;
use crate::tls::{Acceptor, ClientTls, HandshakeFailure, Identity, TlsInfo};
use rustls::Connection;
use socketserver_proto::Host;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// The first byte of a TLS record that begins a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

impl<T: PollIo> Core<T> {
    /// With what TLS is to be spoken on this connection from its first byte on, if it is.
    pub(crate) fn acceptor(&self) -> Option<Arc<Acceptor>> {
        let handle = &self.terms().handle;
        let endpoint = handle.endpoint(self.connection.endpoint());
        endpoint.filter(|endpoint| endpoint.is_tls()).and_then(|_| handle.acceptor().cloned())
    }

    /// What comes before the handler: the handshake, within its deadline, which began at accept.
    pub(crate) async fn accept_tls(&mut self, acceptor: Arc<Acceptor>) -> crate::Result {
        let until = self.agreed_until();
        if acceptor.or_plain() && !self.is_tls(until).await? {
            return Ok(());
        }
        Ok(self.shake_hands_as_server(&acceptor, until).await?)
    }

    /// STARTTLS: from now on the connection is TLS, at whose server end we are.
    pub(crate) async fn upgrade(&mut self) -> io::Result<()> {
        let Some(acceptor) = self.terms().handle.acceptor().cloned() else {
            let words = "this server has no certificate to show: `Server::tls` gives it one";
            return Err(io::Error::new(io::ErrorKind::Unsupported, words));
        };
        self.check_upgrade()?;
        let until = self.terms().handshake.and_then(|time| clock::now().checked_add(time));
        // Its own deadline is the one that counts meanwhile.
        self.slot.begin_agreeing();
        let agreed = self.shake_hands_as_server(&acceptor, until).await;
        self.slot.end_agreeing();
        agreed
    }

    /// STARTTLS at the client's end: the server is to be the one of that name.
    pub(crate) async fn upgrade_as_client(&mut self, tls: &ClientTls, name: &str) -> io::Result<()> {
        let session = tls.session(&Host::Name(name.to_owned()))?;
        let until = self.terms().handshake.and_then(|time| clock::now().checked_add(time));
        self.upgrade_to(session, until).await
    }

    /// What a client of `tls://` begins with.
    pub(crate) async fn upgrade_to(
        &mut self,
        session: rustls::ClientConnection,
        until: Option<Instant>,
    ) -> io::Result<()> {
        self.check_upgrade()?;
        self.shake_hands(session.into(), until).await
    }

    /// What is known of the TLS that it speaks, once hands were shaken.
    pub(crate) fn tls_info(&self) -> Option<TlsInfo> {
        match &*self.io.tls()?.session() {
            Connection::Server(session) => TlsInfo::of_server(session),
            Connection::Client(session) => TlsInfo::of_client(session),
        }
    }

    /// Bytes that this connection's two ends alone have in common (RFC 5705, RFC 8446, section 7.5).
    pub(crate) fn export(&self, output: &mut [u8], label: &[u8], context: Option<&[u8]>) -> io::Result<()> {
        let tls = self.io.tls().ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "the connection is plain"))?;
        let exported = match &*tls.session() {
            Connection::Server(session) => session.export_keying_material(output, label, context).map(|_| ()),
            Connection::Client(session) => session.export_keying_material(output, label, context).map(|_| ()),
        };
        exported.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    async fn shake_hands_as_server(&mut self, acceptor: &Acceptor, until: Option<Instant>) -> io::Result<()> {
        let session = acceptor.session().map_err(|error| io::Error::other(error.to_string()))?;
        self.shake_hands(session.into(), until).await
    }

    async fn shake_hands(&mut self, session: Connection, until: Option<Instant>) -> io::Result<()> {
        let early = std::mem::take(&mut self.input);
        self.io.put_on(Secure::new(session, early));
        poll_fn(|cx| self.poll_agree(cx, |core, cx| core.io.poll_handshake(cx, until))).await?;
        let certificate = self.io.tls().and_then(|tls| Some(tls.session().peer_certificates()?.first()?.clone()));
        if let Some(certificate) = certificate {
            let identity = Identity::from_der(&certificate).map_err(|error| {
                self.fate.handshake_failed(HandshakeFailure::BadCertificate, io::Error::other(error))
            })?;
            self.connection.identify(identity);
        }
        Ok(())
    }

    /// What was said in plain words behind the wish for TLS could be anybody's (RFC 3207, section 6).
    fn check_upgrade(&mut self) -> io::Result<()> {
        if self.io.tls().is_some() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the connection is TLS already"));
        }
        if self.input.is_empty() {
            return Ok(());
        }
        let words = "the peer went on in plain words after it had asked for TLS";
        Err(self.fate.handshake_failed(HandshakeFailure::NotTls, io::Error::new(io::ErrorKind::InvalidData, words)))
    }

    /// Whether the peer's first byte begins TLS.
    async fn is_tls(&mut self, until: Option<Instant>) -> io::Result<bool> {
        if self.buffered().is_empty() {
            poll_fn(|cx| self.poll_more(cx, until)).await?;
        }
        // Whoever says nothing and leaves has not said it in TLS.
        Ok(self.buffered().first() == Some(&HANDSHAKE))
    }
}
