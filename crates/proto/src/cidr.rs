//! Blocks of IP addresses, as a string that a person can type.
//!
//! | text | meaning |
//! |---|---|
//! | `10.0.0.0/8` | the IPv4 addresses that begin with these 8 bits (RFC 4632, section 3.1) |
//! | `2001:db8::/32` | the IPv6 addresses that begin with these 32 bits (RFC 4291, section 2.3) |
//! | `192.0.2.7`, `::1` | one address: a prefix of 32 or 128 bits |
//! | `0.0.0.0/0`, `::/0` | every IPv4 address; every IPv6 address |
//! | `::ffff:10.0.0.0/104` | the same as `10.0.0.0/8` |
//!
//! A socket that serves both families shows an IPv4 peer as `::ffff:a.b.c.d` (RFC 4291, section
//! 2.5.5.2). Everything here takes such an IPv4-mapped address for the IPv4 one.

use crate::quoted::Quoted;
use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

const V4_EXAMPLE: &str = "10.0.0.0/8";
const V6_EXAMPLE: &str = "2001:db8::/32";

/// The bits before the IPv4 address in an IPv4-mapped one.
const MAPPED_BITS: u8 = 96;

/// A block of IP addresses: all that begin with the same bits; the [module](self) has the syntax.
///
/// It is parsed from a string by [`str::parse`] and printed by [`Display`](fmt::Display). What is
/// printed gives the same value when it is parsed again; a block of one address prints as that
/// address alone. Two blocks are equal if they hold the same addresses. For the block in which
/// some peer happens to be, to count it by, see [`peer_key`].
///
/// ```
/// use socketserver_proto::Cidr;
///
/// let block: Cidr = "10.0.0.0/8".parse()?;
/// assert!(block.contains("10.1.2.3".parse()?));
/// assert!(block.contains("::ffff:10.1.2.3".parse()?));
/// assert!(!block.contains("11.0.0.0".parse()?));
/// assert_eq!(block.to_string(), "10.0.0.0/8");
///
/// assert_eq!("::1/128".parse::<Cidr>()?.to_string(), "::1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    /// Never an IPv4-mapped address; every bit after the prefix is zero.
    network: IpAddr,
    /// At most the bits of the address.
    prefix_len: u8,
}

impl Cidr {
    /// The block of the addresses whose first `prefix_len` bits are those of `network`.
    ///
    /// # Errors
    ///
    /// The prefix is longer than the address (32 or 128 bits), or a bit of the address after the
    /// prefix is set: `10.1.2.3/8` may have been meant for the one address or for all of
    /// `10.0.0.0/8`, and in a list of who may come in the difference matters. The prefix of an
    /// IPv4-mapped address counts the 96 bits before the IPv4 address, and is not shorter.
    ///
    /// ```
    /// use socketserver_proto::Cidr;
    ///
    /// assert_eq!(Cidr::new("10.0.0.0".parse()?, 8)?, "10.0.0.0/8".parse()?);
    /// assert_eq!(Cidr::new("::ffff:10.0.0.0".parse()?, 104)?, "10.0.0.0/8".parse()?);
    /// assert!(Cidr::new("10.0.0.0".parse()?, 33).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(network: IpAddr, prefix_len: u8) -> Result<Self, CidrError> {
        if prefix_len > bits(network) {
            return Err(CidrError::prefix_len(network, &prefix_len.to_string()));
        }
        let first = masked(network, prefix_len);
        let prefix = match network.to_canonical() {
            IpAddr::V4(v4) if network.is_ipv6() => match prefix_len.checked_sub(MAPPED_BITS) {
                Some(prefix) => prefix,
                None => return Err(CidrError::mapped(v4, prefix_len)),
            },
            _ => prefix_len,
        };
        let block = Self { network: first.to_canonical(), prefix_len: prefix };
        if first != network {
            let reason = format!("`{network}/{prefix_len}` has bits set after the first {prefix_len}");
            return Err(CidrError::new(reason, block));
        }
        Ok(block)
    }

    /// Whether the address is in the block.
    ///
    /// An IPv4-mapped address is asked about as the IPv4 one that it is, so it is in `0.0.0.0/0`
    /// and not in `::/0`.
    ///
    /// ```
    /// # use socketserver_proto::Cidr;
    /// let all: Cidr = "::/0".parse()?;
    /// assert!(all.contains("2001:db8::1".parse()?));
    /// assert!(!all.contains("192.0.2.1".parse()?));
    /// assert!(!all.contains("::ffff:192.0.2.1".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        // Addresses of two families are never equal.
        masked(addr.to_canonical(), self.prefix_len) == self.network
    }

    /// The first address of the block: the prefix, then zeros. It is never an IPv4-mapped one.
    ///
    /// ```
    /// # use socketserver_proto::Cidr;
    /// assert_eq!("10.0.0.0/8".parse::<Cidr>()?.network().to_string(), "10.0.0.0");
    /// # Ok::<(), socketserver_proto::CidrError>(())
    /// ```
    #[must_use]
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// How many bits the addresses have in common: 0 to 32 in IPv4, 0 to 128 in IPv6.
    ///
    /// ```
    /// # use socketserver_proto::Cidr;
    /// assert_eq!("10.0.0.0/8".parse::<Cidr>()?.prefix_len(), 8);
    /// assert_eq!("::ffff:10.0.0.0/104".parse::<Cidr>()?.prefix_len(), 8);
    /// assert_eq!("::1".parse::<Cidr>()?.prefix_len(), 128);
    /// # Ok::<(), socketserver_proto::CidrError>(())
    /// ```
    #[must_use]
    pub fn prefix_len(&self) -> u8 {
        self.prefix_len
    }
}

/// A block of one address.
impl From<IpAddr> for Cidr {
    fn from(addr: IpAddr) -> Self {
        let network = addr.to_canonical();
        Self { network, prefix_len: bits(network) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, prefix_len } = *self;
        if prefix_len == bits(network) { write!(f, "{network}") } else { write!(f, "{network}/{prefix_len}") }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(CidrError::new("a block of addresses cannot be empty", V4_EXAMPLE));
        }
        let (addr, prefix_len) = match text.split_once('/') {
            Some((addr, prefix_len)) => (addr, Some(prefix_len)),
            None => (text, None),
        };
        if addr.is_empty() {
            return Err(CidrError::new(format!("{} has no address before the `/`", Quoted(text)), V4_EXAMPLE));
        }
        let Ok(network) = addr.parse::<IpAddr>() else {
            let example = if addr.contains(':') { V6_EXAMPLE } else { V4_EXAMPLE };
            return Err(CidrError::new(format!("{} is not an IP address", Quoted(addr)), example));
        };
        match prefix_len {
            None => Ok(network.into()),
            Some(prefix_len) => Self::new(network, parse_prefix_len(network, prefix_len)?),
        }
    }
}

/// Digits alone, with no zero before them: there are programs that would read `010` as 8.
fn parse_prefix_len(network: IpAddr, text: &str) -> Result<u8, CidrError> {
    let is_decimal = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let parsed = if is_decimal { text.parse().ok() } else { None };
    parsed.ok_or_else(|| CidrError::prefix_len(network, text))
}

/// The address by which a peer is counted, where there is a limit for each peer.
///
/// An IPv4 address, and an IPv4-mapped one, is the IPv4 address, whole. Of an IPv6 address only the
/// first `v6_prefix` bits stay and the others become zero: one subscriber has a /64 at least (RFC
/// 6177), and could come from another address of it each time. 64 is the usual value; 0 counts all
/// of IPv6 as one peer; 128, and anything above, leaves the address whole.
///
/// The answer is a key and not the address of anybody. The key of a key is the same key, and a key
/// of IPv6 is never one of IPv4. To ask whether a peer is in a block that is known, see [`Cidr`].
///
/// ```
/// use socketserver_proto::peer_key;
/// use std::net::IpAddr;
///
/// let ip = |text: &str| text.parse::<IpAddr>();
/// assert_eq!(peer_key(ip("192.0.2.7")?, 64), ip("192.0.2.7")?);
/// assert_eq!(peer_key(ip("::ffff:192.0.2.7")?, 64), ip("192.0.2.7")?);
/// assert_eq!(peer_key(ip("2001:db8:0:1:a:b:c:d")?, 64), ip("2001:db8:0:1::")?);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn peer_key(addr: IpAddr, v6_prefix: u8) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        v6 => masked(v6, v6_prefix),
    }
}

/// How many bits an address of this family has.
fn bits(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

/// The address with every bit after the first `prefix_len` cleared; whole, if there is none.
fn masked(addr: IpAddr, prefix_len: u8) -> IpAddr {
    let cleared = u32::from(bits(addr).saturating_sub(prefix_len));
    // A shift by all the bits there are is `None`: nothing stays.
    match addr {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & u32::MAX.checked_shl(cleared).unwrap_or(0)).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & u128::MAX.checked_shl(cleared).unwrap_or(0)).into(),
    }
}

/// Why something is not a [`Cidr`].
///
/// The text names the offending part and ends with an example of a right block, which is the one
/// that was probably meant where that can be told. It is for people: match on nothing in it. It
/// shows at most 200 characters of the input, with control characters escaped, so that it can go to
/// a log or a terminal as it is.
///
/// ```
/// use socketserver_proto::Cidr;
///
/// let error = "10.1.2.3/8".parse::<Cidr>().unwrap_err();
/// assert_eq!(error.to_string(), "`10.1.2.3/8` has bits set after the first 8; for example `10.0.0.0/8`");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CidrError {
    text: Box<str>,
}

impl CidrError {
    /// `reason` must show the offending part; `example` must parse.
    fn new(reason: impl fmt::Display, example: impl fmt::Display) -> Self {
        Self { text: format!("{reason}; for example `{example}`").into() }
    }

    fn prefix_len(network: IpAddr, prefix_len: &str) -> Self {
        let (family, example) = if network.is_ipv4() { ("IPv4", V4_EXAMPLE) } else { ("IPv6", V6_EXAMPLE) };
        let (bits, quoted) = (bits(network), Quoted(prefix_len));
        Self::new(format!("{family} prefix length {quoted} is not a whole number from 0 to {bits}"), example)
    }

    /// `::ffff:10.0.0.0/8`, where the IPv4 prefix may have been meant.
    fn mapped(v4: Ipv4Addr, prefix_len: u8) -> Self {
        let reason = format!("prefix length `{prefix_len}` of an IPv4-mapped address is not from {MAPPED_BITS} to 128");
        let prefix = prefix_len.min(32);
        Self::new(reason, Cidr { network: masked(v4.into(), prefix), prefix_len: prefix })
    }
}

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for CidrError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// The example at the end of an error's text, which must itself be right.
    #[track_caller]
    fn example_of(error: &CidrError) -> String {
        let message = error.to_string();
        let example = message.strip_suffix('`').and_then(|m| m.rsplit('`').next()).unwrap();
        assert!(example.parse::<Cidr>().is_ok(), "the example of {message:?} is itself wrong");
        example.to_owned()
    }

    #[test]
    fn well_formed() {
        // (text, its first address, its prefix, how it prints)
        let cases = [
            ("10.0.0.0/8", "10.0.0.0", 8, "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0", 0, "0.0.0.0/0"),
            ("0.0.0.0", "0.0.0.0", 32, "0.0.0.0"),
            ("128.0.0.0/1", "128.0.0.0", 1, "128.0.0.0/1"),
            ("192.0.2.6/31", "192.0.2.6", 31, "192.0.2.6/31"),
            ("192.0.2.7/32", "192.0.2.7", 32, "192.0.2.7"),
            ("2001:DB8:0::/32", "2001:db8::", 32, "2001:db8::/32"),
            ("::/0", "::", 0, "::/0"),
            ("::", "::", 128, "::"),
            ("::1/128", "::1", 128, "::1"),
            ("8000::/1", "8000::", 1, "8000::/1"),
            ("fe80::/10", "fe80::", 10, "fe80::/10"),
            // IPv4-mapped, and those that only look like it.
            ("::ffff:10.0.0.0/104", "10.0.0.0", 8, "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0", 0, "0.0.0.0/0"),
            ("::ffff:1.2.3.4", "1.2.3.4", 32, "1.2.3.4"),
            ("::ffff:1.2.3.4/128", "1.2.3.4", 32, "1.2.3.4"),
            ("::fffe:0:0/95", "::fffe:0:0", 95, "::fffe:0:0/95"),
            ("::/80", "::", 80, "::/80"),
            ("::1.2.3.4", "::102:304", 128, "::102:304"),
        ];
        for (text, network, prefix_len, printed) in cases {
            let block: Cidr = text.parse().unwrap();
            assert_eq!((block.network(), block.prefix_len()), (ip(network), prefix_len), "{text}");
            assert_eq!(block.to_string(), printed, "{text}");
            assert_eq!(printed.parse(), Ok(block), "{text}");
        }
    }

    #[test]
    fn malformed() {
        // (input, words of the reason, the example)
        let cases = [
            ("", "empty", V4_EXAMPLE),
            ("/8", "`/8` has no address", V4_EXAMPLE),
            ("10/8", "`10` is not an IP address", V4_EXAMPLE),
            ("10.0.0/8", "`10.0.0` is not an IP address", V4_EXAMPLE),
            ("010.0.0.0/8", "`010.0.0.0` is not an IP address", V4_EXAMPLE),
            (" 10.0.0.0/8", "` 10.0.0.0` is not an IP address", V4_EXAMPLE),
            ("localhost", "`localhost` is not an IP address", V4_EXAMPLE),
            ("[::1]", "`[::1]` is not an IP address", V6_EXAMPLE),
            ("fe80::1%eth0", "`fe80::1%eth0` is not an IP address", V6_EXAMPLE),
            ("1:\x1b[2J", r"`1:\u{1b}[2J` is not an IP address", V6_EXAMPLE),
            ("10.0.0.0/", "IPv4 prefix length `` is not", V4_EXAMPLE),
            ("10.0.0.0/33", "IPv4 prefix length `33` is not a whole number from 0 to 32", V4_EXAMPLE),
            ("10.0.0.0/256", "prefix length `256` is not", V4_EXAMPLE),
            ("10.0.0.0/08", "prefix length `08` is not", V4_EXAMPLE),
            ("10.0.0.0/+8", "prefix length `+8` is not", V4_EXAMPLE),
            ("10.0.0.0/-1", "prefix length `-1` is not", V4_EXAMPLE),
            ("10.0.0.0/8 ", "prefix length `8 ` is not", V4_EXAMPLE),
            ("10.0.0.0/8/8", "prefix length `8/8` is not", V4_EXAMPLE),
            ("10.0.0.0/255.0.0.0", "prefix length `255.0.0.0` is not", V4_EXAMPLE),
            ("::/129", "IPv6 prefix length `129` is not a whole number from 0 to 128", V6_EXAMPLE),
            ("::/x", "IPv6 prefix length `x` is not", V6_EXAMPLE),
            // Bits after the prefix.
            ("10.1.2.3/8", "`10.1.2.3/8` has bits set after the first 8", "10.0.0.0/8"),
            ("0.0.0.1/0", "after the first 0", "0.0.0.0/0"),
            ("192.0.2.7/31", "after the first 31", "192.0.2.6/31"),
            ("2001:db8::1/32", "`2001:db8::1/32` has bits set", "2001:db8::/32"),
            ("::1/127", "after the first 127", "::/127"),
            ("::ffff:10.1.2.3/104", "`::ffff:10.1.2.3/104` has bits set after the first 104", "10.0.0.0/8"),
            // An IPv4 prefix after an IPv4-mapped address.
            ("::ffff:10.1.2.3/8", "`8` of an IPv4-mapped address is not from 96 to 128", "10.0.0.0/8"),
            ("::ffff:10.0.0.0/95", "`95` of an IPv4-mapped", "10.0.0.0"),
        ];
        for (input, words, example) in cases {
            let error = input.parse::<Cidr>().unwrap_err();
            assert!(error.to_string().contains(words), "{words:?} is not in {error}");
            assert_eq!(example_of(&error), example, "{input:?}");
        }
        let error = "9".repeat(1_000_000).parse::<Cidr>().unwrap_err();
        assert!(error.to_string().len() < 1_000, "{error}");
    }

    #[test]
    fn first_and_last_are_in_and_their_neighbours_are_not() {
        // (block, the address before it, its first, its last, the address after it)
        let cases = [
            ("10.0.0.0/8", "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            ("192.0.2.6/31", "192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.7", "192.0.2.6", "192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("2001:db8::/32", "2001:db7:ffff::", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"),
            ("::2/127", "::1", "::2", "::3", "::4"),
            ("0.0.0.0/0", "::", "0.0.0.0", "255.255.255.255", "::1"),
            ("::/0", "0.0.0.0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::ffff:1.2.3.4"),
            ("::/80", "0.0.0.0", "::", "::fffe:1.2.3.4", "::ffff:1.2.3.4"),
        ];
        for (block, before, first, last, after) in cases {
            let block: Cidr = block.parse().unwrap();
            assert_eq!(
                [before, first, last, after].map(|a| block.contains(ip(a))),
                [false, true, true, false],
                "{block}"
            );
        }
    }

    #[test]
    fn keys() {
        // (address, IPv6 prefix, key)
        let cases = [
            ("192.0.2.7", 0, "192.0.2.7"),
            ("::ffff:192.0.2.7", 0, "192.0.2.7"),
            ("2001:db8::1", 0, "::"),
            ("2001:db8:1:2ff::1", 56, "2001:db8:1:200::"),
            ("2001:db8::1", 127, "2001:db8::"),
            ("2001:db8::1", 128, "2001:db8::1"),
            ("2001:db8::1", 255, "2001:db8::1"),
            ("::1", 64, "::"),
        ];
        for (addr, v6_prefix, key) in cases {
            assert_eq!(peer_key(ip(addr), v6_prefix), ip(key), "{addr} to {v6_prefix}");
        }
    }

    /// Any address, but an IPv4-mapped one as often as another.
    fn addr() -> impl Strategy<Value = IpAddr> {
        prop_oneof![any::<IpAddr>(), any::<Ipv4Addr>().prop_map(|v4| v4.to_ipv6_mapped().into())]
    }

    /// The address as binary digits, of which a block's have the same beginning.
    fn digits(addr: IpAddr) -> String {
        match addr.to_canonical() {
            IpAddr::V4(v4) => format!("4{:032b}", v4.to_bits()),
            IpAddr::V6(v6) => format!("6{:0128b}", v6.to_bits()),
        }
    }

    proptest! {
        #[test]
        fn printing_then_parsing_gives_the_same(addr in addr(), prefix_len in 0..=128_u8) {
            let prefix_len = prefix_len.min(bits(addr));
            let block = Cidr::new(masked(addr, prefix_len), prefix_len).unwrap();
            prop_assert_eq!(block.to_string().parse(), Ok(block));
            prop_assert_eq!(Cidr::new(block.network(), block.prefix_len()), Ok(block));
        }

        #[test]
        fn a_block_has_what_begins_with_its_bits(addr in addr(), prefix_len in 0..=128_u8, flip in 0..128_u32, v6 in addr()) {
            let addr = addr.to_canonical();
            let prefix_len = prefix_len % (bits(addr) + 1);
            let block = Cidr::new(masked(addr, prefix_len), prefix_len).unwrap();
            // The same address but for one bit, then some other one.
            let near: IpAddr = match addr {
                IpAddr::V4(a) => Ipv4Addr::from_bits(a.to_bits() ^ 1 << (flip % 32)).into(),
                IpAddr::V6(a) => Ipv6Addr::from_bits(a.to_bits() ^ 1 << flip).into(),
            };
            for asked in [addr, near, v6] {
                let want = digits(asked).starts_with(&digits(addr)[..=usize::from(prefix_len)]);
                prop_assert_eq!(block.contains(asked), want, "{} in {}", asked, block);
            }
            if let IpAddr::V4(v4) = near {
                prop_assert_eq!(block.contains(v4.to_ipv6_mapped().into()), block.contains(near));
            }
        }

        #[test]
        fn a_key_is_the_block_of_its_peer(addr in addr(), v6_prefix in any::<u8>()) {
            let key = peer_key(addr, v6_prefix);
            prop_assert_eq!(peer_key(key, v6_prefix), key);
            prop_assert_eq!(key.is_ipv4(), addr.to_canonical().is_ipv4());
            let prefix_len = if key.is_ipv4() { 32 } else { v6_prefix.min(128) };
            prop_assert!(Cidr::new(key, prefix_len).unwrap().contains(addr));
        }

        #[test]
        fn any_string_is_a_block_or_an_error(text in any::<String>()) {
            holds_for(&text)?;
        }

        #[test]
        fn nearly_blocks_too(text in "(10|255|0|::|::ffff:|2001:db8|[.:/`]){0,8}(/[0-9]{0,3})?") {
            holds_for(&text)?;
        }

        #[test]
        fn any_address_and_prefix_is_a_block_or_an_error(addr in addr(), prefix_len in any::<u8>()) {
            holds_for(&format!("{addr}/{prefix_len}"))?;
            prop_assert_eq!(format!("{addr}/{prefix_len}").parse(), Cidr::new(addr, prefix_len));
        }
    }

    /// What parses prints so that it parses to the same; what does not has a right example.
    fn holds_for(text: &str) -> Result<(), TestCaseError> {
        match text.parse::<Cidr>() {
            Ok(block) => prop_assert_eq!(block.to_string().parse(), Ok(block)),
            Err(error) => drop(example_of(&error)),
        }
        Ok(())
    }
}
