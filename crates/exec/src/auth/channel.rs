use socketserver::{Credentials, Identity, Peer, TlsInfo, TlsVersion};
use std::io;
use std::net::SocketAddr;

/// What a connection itself says of who is at its other end: all that this crate asks of a transport.
#[derive(Debug, Clone, Default)]
pub(crate) struct Channel {
    /// Whether both ends are on this machine: a Unix socket, or addresses of the loopback, and no proxy between.
    pub(crate) is_near: bool,
    /// What the kernel says of a peer over a Unix socket (`SO_PEERCRED`, `unix(7)`).
    pub(crate) credentials: Option<Credentials>,
    /// What the peer has shown for TLS, and what was verified.
    pub(crate) certificate: Option<Certificate>,
    /// What ties a proof to this connection.
    pub(crate) binding: Binding,
}

/// The certificate of a peer, verified.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Certificate {
    /// The names that it is for (`subjectAltName`, RFC 5280, section 4.2.1.6), each with what it is in front: `DNS:`, `URI:`,
    /// `email:` or `IP:`.
    pub(crate) names: Vec<String>,
}

impl Certificate {
    fn of(identity: &Identity) -> Self {
        Self { names: identity.sans().iter().map(ToString::to_string).collect() }
    }
}

impl Channel {
    /// What a connection says whose peer and binding these are, with an end of ours on the loopback or not.
    pub(crate) fn of(peer: &Peer, on_loopback: bool, binding: Binding) -> Self {
        // Of who is behind a proxy neither the kernel nor the address of the proxy says anything.
        let is_direct = peer.proxied().is_none();
        let credentials = peer.credentials().filter(|_| is_direct);
        let is_near = |addr: SocketAddr| is_direct && on_loopback && addr.ip().to_canonical().is_loopback();
        Self {
            is_near: credentials.is_some() || peer.addr().is_some_and(is_near),
            credentials,
            certificate: peer.identity().map(Certificate::of),
            binding,
        }
    }
}

/// What ties a proof to one connection: who relays it to another has nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Binding {
    /// Nothing: there is no TLS. A proof is good for the server's nonce all the same.
    #[default]
    Plain,
    /// The binding `tls-exporter` (RFC 9266): 32 bytes that both ends of this TLS connection know, and no other.
    Exporter([u8; 32]),
    /// TLS that cannot be bound. Of version 1.2 that would take the extended master secret (RFC 7627; RFC 9266, section 3), and
    /// whether there is one is not told. No token is taken over it, nor given.
    Unbound,
}

impl Binding {
    /// The label of the exporter that is asked for (RFC 9266), with no context.
    const LABEL: &'static [u8] = b"EXPORTER-Channel-Binding";

    /// Of a connection that speaks this TLS, or none, and can export so much by that label and context.
    pub(crate) fn of(
        tls: Option<TlsInfo>,
        export: impl FnOnce(&mut [u8], &[u8], Option<&[u8]>) -> io::Result<()>,
    ) -> Self {
        match tls {
            None => Self::Plain,
            Some(tls) if tls.version() >= TlsVersion::Tls13 => {
                let mut bytes = [0; 32];
                // Absent and empty are the same context there (RFC 8446, section 7.5).
                match export(&mut bytes, Self::LABEL, None) {
                    Ok(()) => Self::Exporter(bytes),
                    Err(_) => Self::Unbound,
                }
            }
            Some(_) => Self::Unbound,
        }
    }
}
