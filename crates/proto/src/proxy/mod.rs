//! The PROXY protocol: who a connection is from, told by the proxy that it came through.
//!
//! A proxy connects to a server in the name of its client, and the server sees the address of the proxy. So the proxy sends
//! a header before anything else, with the addresses that the server would have seen without it. This is both sides of ["The
//! PROXY protocol, versions 1 & 2"](https://github.com/haproxy/haproxy/blob/master/doc/proxy-protocol.txt) by Willy Tarreau,
//! without I/O: a [`Header`] is found at the front of bytes that somebody else read, and is written into bytes that somebody
//! else sends.
//!
//! ```
//! use socketserver_proto::proxy::{Header, Parsed, ProxyError};
//!
//! // What was read comes in pieces, and a request may follow at once.
//! let mut input = Vec::new();
//! for read in [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xC0\0\x02"[..], b"\x07\xC0\0\x02\x01\xDC\x04", b"\x01\xBBGET / "] {
//!     input.extend_from_slice(read);
//!     match Header::parse(&input)? {
//!         Parsed::Incomplete { more } => println!("at least {more} bytes are to come"),
//!         Parsed::Whole { header, len } => {
//!             assert_eq!(header.source(), Some("192.0.2.7:56324".parse().unwrap()));
//!             assert_eq!(header.destination(), Some("192.0.2.1:443".parse().unwrap()));
//!             input.drain(..len);
//!         }
//!     }
//! }
//! assert_eq!(input, b"GET / ");
//! # Ok::<(), ProxyError>(())
//! ```
//!
//! # What is left to the caller
//!
//! - **Whom to believe.** Anybody can send a header and be whoever he likes. It is read from proxies that are known by their
//!   address, and there it is a must: whether one comes is configured, and never guessed.
//! - **How long to wait.** A header is there within a few seconds or never. There is no clock here, so that one deadline can
//!   cover it and what follows, as TLS.
//! - **What an end of the input means.** There is [`ProxyError::cut_short`] for it.
//! - **IPv4-mapped addresses** stay as they came, see [`Addresses`].
//! - **When there are no addresses**, as in `LOCAL`, those of the connection hold. Whether that is good enough is for the
//!   server to say.
//!
//! # Version 1
//!
//! One line of at most 107 bytes, CRLF included:
//!
//! ```text
//! PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n
//! PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n
//! PROXY UNKNOWN\r\n                                      whatever stands between UNKNOWN and CRLF is passed over
//! ```
//!
//! It is read strictly: one space between two, decimal numbers with no zero before them, CRLF at the end. Only an IPv6
//! address may end in one of IPv4, since proxies write `::ffff:192.0.2.7`; here it is never written so.
//!
//! # Version 2
//!
//! Numbers are sent with the most significant byte first.
//!
//! ```text
//!  0               4               8               12  13  14      16
//! +---------------+---------------+---------------+---+---+-------+--------- ~ ---------+-- ~ --+
//! | 0D  0A  0D  0A  00  0D  0A  51  55  49  54  0A|2 c|f t|  len  |      addresses      | TLVs  |
//! +---------------+---------------+---------------+---+---+-------+--------- ~ ---------+-- ~ --+
//!                    signature                      |   |         |<------- len bytes --------->|
//!                                                   |   +- family, transport
//!                                                   +- version 2; command: 0 LOCAL, 1 PROXY
//!
//! f t    addresses                                                  bytes
//! 1 1    TCP and
//! 1 2    UDP over IPv4: source 4, destination 4, port of each 2        12
//! 2 1    TCP and
//! 2 2    UDP over IPv6: source 16, destination 16, port of each 2      36
//! 3 1    Unix stream and
//! 3 2    Unix datagram: source 108, destination 108                   216
//! others none that are told
//! ```
//!
//! With `LOCAL`, and with a family or a transport that is 0, all of the `len` bytes are passed over: nobody says where the
//! addresses end and TLVs begin. So they are with one that is not assigned. The text of the protocol would have that refused;
//! its own sample code, and HAProxy, pass over it, and no address is believed that was not understood. An unknown command is
//! refused.
//!
//! A header is at most [`DEFAULT_MAX`] bytes long unless told otherwise, by [`Header::parse_within`].
//!
//! # TLVs
//!
//! Behind the addresses of version 2 may be more, each a type of one byte, a length of two, and a value:
//!
//! | type | name | value | here |
//! |---|---|---|---|
//! | `01` | `ALPN` | the protocol on the connection | [`Tlv::Alpn`] |
//! | `02` | `AUTHORITY` | the host that the client asked for, UTF-8 | [`Tlv::Authority`] |
//! | `03` | `CRC32C` | 4 bytes, the checksum of the header with zeros in their place (RFC 4960, appendix B) | [`Tlv::Crc32c`], verified |
//! | `04` | `NOOP` | padding | [`Tlv::Noop`] |
//! | `05` | `UNIQUE_ID` | the proxy's name for the connection, at most 128 bytes | [`Tlv::UniqueId`] |
//! | `20` | `SSL` | a byte of bits, a result of 4, then of the following | [`Tlv::Ssl`] |
//! | `21` | `SSL_VERSION` | ASCII | [`SslTlv::Version`] |
//! | `22` | `SSL_CN` | the client's common name, UTF-8 | [`SslTlv::CommonName`] |
//! | `23` | `SSL_CIPHER` | ASCII | [`SslTlv::Cipher`] |
//! | `24` | `SSL_SIG_ALG` | ASCII | [`SslTlv::SignatureAlgorithm`] |
//! | `25` | `SSL_KEY_ALG` | ASCII | [`SslTlv::KeyAlgorithm`] |
//! | `26` | `SSL_GROUP` | ASCII | [`SslTlv::Group`] |
//! | `27` | `SSL_SIG_SCHEME` | ASCII | [`SslTlv::SignatureScheme`] |
//! | `28` | `SSL_CLIENT_CERT` | the client's certificate, DER | [`SslTlv::Certificate`] |
//! | `30` | `NETNS` | a network namespace, ASCII | [`Tlv::Netns`] |
//! | `E0`-`EF` | | of applications: [`GCP`](Tlv::GCP), [`AWS`](Tlv::AWS), [`AZURE`](Tlv::AZURE), one's own | [`Tlv::Other`] |
//! | the rest | | experiments, or reserved | [`Tlv::Other`] |
//!
//! One that is not so is an error, and so is the whole header: longer than what is left of it, text that is none, a checksum
//! that is wrong or there twice.

mod addresses;
mod crc32c;
mod error;
mod header;
mod parse;
mod ssl;
mod tlv;
mod v1;
mod v2;

pub use addresses::Addresses;
pub use error::ProxyError;
pub use header::{Command, DEFAULT_MAX, Header, Version};
pub use parse::Parsed;
pub use ssl::{Ssl, SslTlv};
pub use tlv::{Tlv, Tlvs};
