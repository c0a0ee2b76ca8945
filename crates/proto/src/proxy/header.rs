//! A header, read or to be sent.

use super::tlv::{self, Tlvs};
use super::{Addresses, Parsed, ProxyError, Ssl, Tlv, parse, v1, v2};
use std::net::SocketAddr;

/// How long a header of version 2 may be unless told otherwise, in bytes: the 16 that all have, and 4096.
pub const DEFAULT_MAX: usize = v2::HEAD + 4096;

/// The longest that there can be: the length that it announces has two bytes.
const LONGEST: usize = v2::HEAD + u16::MAX as usize;

/// Which of the two formats a header was read in.
///
/// ```
/// use socketserver_proto::proxy::{Header, Parsed, Version};
///
/// let Parsed::Whole { header, .. } = Header::parse(b"PROXY UNKNOWN\r\n")? else { unreachable!() };
/// assert_eq!(header.version(), Version::V1);
/// # Ok::<(), socketserver_proto::proxy::ProxyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// Whose connection it is.
///
/// ```
/// use socketserver_proto::proxy::{Command, Header};
///
/// assert_eq!(Header::local().command(), Command::Local);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// The sender's own, as for a health check. The addresses of the connection are those that hold.
    Local,
    /// Somebody's for whom the sender speaks. The addresses in the header hold, if it has any.
    Proxy,
}

/// A header of the PROXY protocol: what came before the first byte of a connection, or is to be sent there.
///
/// [`parse`](Self::parse) reads one. Whoever connects makes one with [`proxied`](Self::proxied) or [`local`](Self::local), and
/// sends what [`encode_v2`](Self::encode_v2) or [`encode_v1`](Self::encode_v1) gives before anything else.
///
/// ```
/// use socketserver_proto::proxy::{Header, Parsed, Tlv};
///
/// let header = Header::proxied("192.0.2.7:56324".parse()?, "192.0.2.1:443".parse()?)?;
/// assert_eq!(header.encode_v1()?, b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n");
///
/// let header = header.with(Tlv::UniqueId(b"a1b2"))?.with(Tlv::Crc32c)?;
/// let sent = header.encode_v2();
/// assert_eq!(Header::parse(&sent)?, Parsed::Whole { header, len: sent.len() });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Header {
    version: Version,
    /// `Local` has no addresses.
    command: Command,
    /// Such as a header can have.
    addresses: Addresses,
    /// As they are sent, the checksum as zeros; checked. There are none without addresses.
    tlvs: Vec<u8>,
}

impl Header {
    /// Looks at the front of `input`: all that was read of a connection since it began. Nothing is taken and nothing kept.
    ///
    /// As long as the answer is [`Parsed::Incomplete`] it is to be asked again with the same bytes and some after them. How
    /// they came in pieces makes no difference, neither to the header nor to the error. A header of version 1 has at most 107
    /// bytes, one of version 2 at most [`DEFAULT_MAX`].
    ///
    /// How long to wait, and whom to believe, is not known here: see the [module](super).
    ///
    /// # Errors
    ///
    /// The bytes begin no header, or one that is wrong, as soon as that can be told: at the first byte that contradicts the
    /// signature, and before a length that is too long is waited for. The connection is to be closed then; nothing that came
    /// on it can be trusted.
    ///
    /// ```
    /// use socketserver_proto::proxy::{Header, Parsed};
    ///
    /// let input = b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\nhello";
    /// let Parsed::Whole { header, len } = Header::parse(input)? else { panic!() };
    /// assert_eq!(header.source(), Some("192.0.2.7:56324".parse().unwrap()));
    /// assert_eq!(&input[len..], b"hello");
    ///
    /// // A header that begins so has at least 32 bytes.
    /// assert_eq!(Header::parse(b"PROXY TCP4 ")?, Parsed::Incomplete { more: 21 });
    /// assert!(Header::parse(b"PRI * HTTP/2.0").unwrap_err().is_not_proxy());
    /// # Ok::<(), socketserver_proto::proxy::ProxyError>(())
    /// ```
    pub fn parse(input: &[u8]) -> Result<Parsed, ProxyError> {
        parse::parse(input, DEFAULT_MAX)
    }

    /// The same, where a header of version 2 has at most `max` bytes, the first 16 included. More than 65,551 there never are.
    /// Version 1 has its own limit.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_within(input: &[u8], max: usize) -> Result<Parsed, ProxyError> {
        parse::parse(input, max)
    }

    /// For a TCP connection that somebody made from `source` to `destination`.
    ///
    /// # Errors
    ///
    /// One address is IPv4 and the other IPv6: see [`Addresses::tcp`].
    pub fn proxied(source: SocketAddr, destination: SocketAddr) -> Result<Self, ProxyError> {
        Self::between(Addresses::tcp(source, destination)?)
    }

    /// For what somebody sends between such addresses; [`Addresses::Unspec`] says that there is somebody and no more.
    ///
    /// # Errors
    ///
    /// The name of a Unix socket is none, or too long.
    pub fn between(addresses: Addresses) -> Result<Self, ProxyError> {
        Ok(Self::new(Version::V2, Command::Proxy, addresses.checked()?, Vec::new()))
    }

    /// For a connection of the sender's own, as for a health check. Only version 2 can say it.
    #[must_use]
    pub const fn local() -> Self {
        Self::new(Version::V2, Command::Local, Addresses::Unspec, Vec::new())
    }

    /// What the parsers found.
    pub(super) const fn new(version: Version, command: Command, addresses: Addresses, tlvs: Vec<u8>) -> Self {
        Self { version, command, addresses, tlvs }
    }

    /// Tells this as well. Only version 2 can say it.
    ///
    /// # Errors
    ///
    /// The header has no addresses, and so no receiver could find what stands behind them; the TLV is not as the protocol
    /// says, or is a second checksum; there is no room for it in a header, which has at most 65,551 bytes. Receivers take
    /// less: this one [4112](DEFAULT_MAX), others not even that, and what is longer than 536 may not arrive at once.
    pub fn with(mut self, tlv: Tlv<'_>) -> Result<Self, ProxyError> {
        if self.addresses == Addresses::Unspec {
            return Err(ProxyError::unencodable("a PROXY header without addresses cannot have TLVs"));
        }
        tlv::write(tlv.kind(), &tlv.value(), &mut self.tlvs)?;
        tlv::check(&self.tlvs)?;
        let len = v2::HEAD + Addresses::len_of(self.addresses.family()) + self.tlvs.len();
        if len > LONGEST {
            return Err(ProxyError::too_long(len, LONGEST));
        }
        Ok(self)
    }

    /// The line that says so, in version 1.
    ///
    /// # Errors
    ///
    /// A line can say TCP addresses, or by `UNKNOWN` that there are [none](Addresses::Unspec). It can say no other addresses,
    /// no TLVs and no `LOCAL`. For a health check the text of the protocol wants a line with the addresses of the connection
    /// itself, since there are receivers that refuse `UNKNOWN`.
    pub fn encode_v1(&self) -> Result<Vec<u8>, ProxyError> {
        if self.command == Command::Local {
            return Err(ProxyError::unencodable("a PROXY line cannot say that a connection is local"));
        }
        if !self.tlvs.is_empty() {
            return Err(ProxyError::unencodable("a PROXY line cannot have TLVs"));
        }
        match v1::encode(&self.addresses) {
            Some(line) => Ok(line.into_bytes()),
            None => Err(ProxyError::unencodable("a PROXY line cannot have addresses of anything but TCP")),
        }
    }

    /// The bytes that say so, in version 2.
    #[must_use]
    pub fn encode_v2(&self) -> Vec<u8> {
        v2::encode(self.command, &self.addresses, &self.tlvs)
    }

    /// The format that it was read in; `V2` if it was not read.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Whose connection it is.
    #[must_use]
    pub const fn command(&self) -> Command {
        self.command
    }

    /// What the connection is made of, and between whom. It is [`Addresses::Unspec`] if it is [local](Command::Local), and
    /// wherever the addresses of the connection itself are the ones that hold.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Where the client is, if the header tells and it has an IP address. `None` does not mean that there is none: whoever
    /// sent the header is the client then, or does not say.
    #[must_use]
    pub fn source(&self) -> Option<SocketAddr> {
        self.addresses.source()
    }

    /// Where the client connected to, if the header tells and it is an IP address.
    #[must_use]
    pub fn destination(&self) -> Option<SocketAddr> {
        self.addresses.destination()
    }

    /// All else that is told, in its order. There is nothing in version 1, and where there are no addresses.
    #[must_use]
    pub fn tlvs(&self) -> Tlvs<'_> {
        Tlvs::of(&self.tlvs)
    }

    /// The protocol on the connection, as ALPN names it: `h2`. As with the others, of several it is the first.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.tlvs().find_map(|tlv| if let Tlv::Alpn(name) = tlv { Some(name) } else { None })
    }

    /// The name of the host that the client asked for. The client chose it.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.tlvs().find_map(|tlv| if let Tlv::Authority(name) = tlv { Some(name) } else { None })
    }

    /// What the proxy calls this connection.
    #[must_use]
    pub fn unique_id(&self) -> Option<&[u8]> {
        self.tlvs().find_map(|tlv| if let Tlv::UniqueId(id) = tlv { Some(id) } else { None })
    }

    /// TLS between the client and the proxy.
    #[must_use]
    pub fn ssl(&self) -> Option<Ssl<'_>> {
        self.tlvs().find_map(|tlv| if let Tlv::Ssl(ssl) = tlv { Some(ssl) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnixName;

    fn tcp() -> Header {
        Header::proxied("192.0.2.7:1".parse().unwrap(), "192.0.2.1:2".parse().unwrap()).unwrap()
    }

    #[test]
    fn what_version_1_cannot_say_is_refused() {
        let udp = Addresses::udp("[::1]:1".parse().unwrap(), "[::1]:2".parse().unwrap()).unwrap();
        let unix = Addresses::UnixStream { source: None, destination: Some(UnixName::Path("/a".into())) };
        let cases = [
            (Header::local(), "local"),
            (tcp().with(Tlv::Noop(b"")).unwrap(), "TLVs"),
            (Header::between(udp).unwrap(), "TCP"),
            (Header::between(unix).unwrap(), "TCP"),
        ];
        for (header, words) in cases {
            let error = header.encode_v1().unwrap_err();
            assert!(error.is_unencodable() && error.to_string().contains(words), "{error}");
        }
        assert_eq!(Header::between(Addresses::Unspec).unwrap().encode_v1().unwrap(), b"PROXY UNKNOWN\r\n");
    }

    #[test]
    fn what_no_header_can_say_is_refused() {
        for header in [Header::local(), Header::between(Addresses::Unspec).unwrap()] {
            assert!(header.with(Tlv::Noop(b"")).unwrap_err().is_unencodable());
        }
        assert!(tcp().with(Tlv::UniqueId(&[0; 129])).unwrap_err().is_malformed());
        assert!(tcp().with(Tlv::Other { kind: 0x02, value: b"\xFF" }).unwrap_err().is_malformed());
        assert!(tcp().with(Tlv::Crc32c).unwrap().with(Tlv::Crc32c).unwrap_err().is_malformed());
        let fits = 65_535 - 12 - 3;
        let fullest = tcp().with(Tlv::Noop(&vec![0; fits])).unwrap();
        let sent = fullest.encode_v2();
        assert_eq!(sent.len(), LONGEST);
        assert!(Header::parse(&sent).unwrap_err().is_too_long());
        assert_eq!(Header::parse_within(&sent, LONGEST), Ok(Parsed::Whole { header: fullest, len: LONGEST }));
        assert!(tcp().with(Tlv::Noop(&vec![0; fits + 1])).unwrap_err().is_too_long());
    }

    #[test]
    fn the_first_of_several_is_told() {
        let header = [Tlv::Alpn(b"h2"), Tlv::Authority("a"), Tlv::UniqueId(b"1"), Tlv::Ssl(Ssl::new())]
            .into_iter()
            .chain([Tlv::Alpn(b"h3"), Tlv::Authority("b"), Tlv::UniqueId(b"2"), Tlv::Ssl(Ssl::new().verify_result(1))])
            .fold(tcp(), |header, tlv| header.with(tlv).unwrap());
        assert_eq!(
            (header.alpn(), header.authority(), header.unique_id()),
            (Some(&b"h2"[..]), Some("a"), Some(&b"1"[..]))
        );
        assert_eq!(header.ssl(), Some(Ssl::new()));
        assert_eq!(tcp().ssl(), None);
    }
}
