use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Our end of a packet: the address that it was sent to, or is to be sent from, and the interface (`ip(7)`, `ipv6(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// As the header of the packet has it. IPv4 addresses of an IPv6 socket are `::ffff:a.b.c.d`.
    pub to: IpAddr,
    /// With what a reply can be sent: the same, or our own address where it was sent to many (broadcast, multicast).
    /// `None`: the system has to choose.
    pub from: Option<IpAddr>,
    /// Its number, `if_nametoindex(3)`; 0: any.
    pub interface: u32,
}

/// What came beside a packet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beside {
    pub(super) local: Option<Local>,
    pub(super) segment: Option<u16>,
    /// Process, user, group.
    pub(super) credentials: Option<(i32, u32, u32)>,
}

/// Room for what comes or goes beside a packet, as the headers of `cmsg(3)` want it aligned.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control([MaybeUninit<u8>; Self::SIZE]);

impl Control {
    /// Packet info of IPv6 (40), the size of a segment (24), credentials (32); an error and whose it is (64).
    pub(super) const SIZE: usize = 128;
    pub(super) const EMPTY: Self = Self([MaybeUninit::uninit(); Self::SIZE]);

    pub(super) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.0.as_mut_ptr().cast()
    }
}

/// Gives each message that the kernel wrote beside a packet: level, type and data.
///
/// # Safety
/// `header` is one that `recvmsg(2)` filled in, and its control buffer is still there.
pub(super) unsafe fn messages(header: &libc::msghdr, mut each: impl FnMut(libc::c_int, libc::c_int, &[u8])) {
    // SAFETY: the caller says that the header is as the kernel left it: `msg_controllen` bytes of control messages.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !at.is_null() {
        // SAFETY: not null, so it points to a whole header inside the control buffer; the kernel aligns them.
        let (level, kind, len) = unsafe { ((*at).cmsg_level, (*at).cmsg_type, (*at).cmsg_len) };
        // SAFETY: takes no memory, and computes alone.
        let has = len.saturating_sub(unsafe { libc::CMSG_LEN(0) } as usize);
        // SAFETY: the data lies behind the header, and so many bytes of it were written by the kernel. Nobody else has the
        // buffer while the slice is there.
        each(level, kind, unsafe { std::slice::from_raw_parts(libc::CMSG_DATA(at), has) });
        // SAFETY: both are what the calls before gave.
        at = unsafe { libc::CMSG_NXTHDR(header, at) };
    }
}

/// A plain structure of integers at the beginning of `data`, if there is so much.
fn read_as<T: Plain>(data: &[u8]) -> Option<T> {
    // SAFETY: so many bytes lie there, and any bytes are a value of such a type. It need not be aligned.
    (data.len() >= size_of::<T>()).then(|| unsafe { data.as_ptr().cast::<T>().read_unaligned() })
}

/// # Safety
/// Any bytes are a value of it.
unsafe trait Plain {}
// SAFETY: all of these have nothing but integers in them.
unsafe impl Plain for libc::in_pktinfo {}
// SAFETY: as above.
unsafe impl Plain for libc::in6_pktinfo {}
// SAFETY: as above.
unsafe impl Plain for libc::c_int {}
// SAFETY: as above.
unsafe impl Plain for libc::ucred {}

/// Reads what the kernel wrote beside a packet.
///
/// # Safety
/// As [`messages`].
pub(super) unsafe fn read(header: &libc::msghdr) -> Beside {
    let mut beside = Beside::default();
    let each = |level, kind, data: &[u8]| match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            beside.local = read_as::<libc::in_pktinfo>(data).map(|info| {
                let ip = |addr: libc::in_addr| Ipv4Addr::from(u32::from_be(addr.s_addr));
                let from = Some(ip(info.ipi_spec_dst)).filter(|ip| !ip.is_unspecified());
                Local {
                    to: ip(info.ipi_addr).into(),
                    from: from.map(Into::into),
                    interface: u32::try_from(info.ipi_ifindex).unwrap_or(0),
                }
            });
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            beside.local = read_as::<libc::in6_pktinfo>(data).map(|info| {
                let to = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                let many = match to.to_ipv4_mapped() {
                    Some(v4) => v4.is_multicast() || v4.is_broadcast(),
                    None => to.is_multicast(),
                };
                Local { to: to.into(), from: (!many).then_some(to.into()), interface: info.ipi6_ifindex }
            });
        }
        (libc::SOL_UDP, libc::UDP_GRO) => {
            let size = read_as::<libc::c_int>(data);
            beside.segment = size.and_then(|size| u16::try_from(size).ok()).filter(|size| *size > 0);
        }
        (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
            beside.credentials = read_as::<libc::ucred>(data).map(|cred| (cred.pid, cred.uid, cred.gid));
        }
        _ => {}
    };
    // SAFETY: as the caller says.
    unsafe { messages(header, each) };
    beside
}

/// Writes from where a packet is to be sent, and into what segments it is to be cut. Tells how many bytes that is.
pub(super) fn write(control: &mut Control, v6: bool, from: Option<Local>, segment: Option<u16>) -> usize {
    if from.is_none() && segment.is_none() {
        return 0;
    }
    // SAFETY: the whole buffer is there, and zero is a value of every byte: `CMSG_NXTHDR` looks at the length of a header
    // that is not written yet.
    unsafe { control.as_mut_ptr().cast::<u8>().write_bytes(0, Control::SIZE) };
    let mut len = 0;
    let mut put = |level, kind, data: &[u8]| {
        // SAFETY: both compute alone.
        let (whole, space) =
            unsafe { (libc::CMSG_LEN(data.len() as u32) as usize, libc::CMSG_SPACE(data.len() as u32) as usize) };
        assert!(len + space <= Control::SIZE, "there is room for one of each");
        // SAFETY: `len` is a multiple of the alignment and, as checked, header and data lie inside the buffer, which is
        // aligned for a header.
        unsafe {
            let header = control.as_mut_ptr().cast::<u8>().add(len).cast::<libc::cmsghdr>();
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            (*header).cmsg_len = whole as _;
            libc::CMSG_DATA(header).copy_from_nonoverlapping(data.as_ptr(), data.len());
        }
        len += space;
    };
    if let Some(local) = from {
        let interface = local.interface;
        match local.from {
            Some(IpAddr::V4(ip)) if !v6 => {
                // `struct in_pktinfo`: interface, source, and an address that is not looked at.
                let interface = 0_u32.to_ne_bytes();
                put(libc::IPPROTO_IP, libc::IP_PKTINFO, &[interface, ip.octets(), [0; 4]].concat());
            }
            Some(ip) if v6 => {
                let ip = match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                // Where the address tells the way the interface is none of ours.
                let interface = if ip.is_unicast_link_local() { interface } else { 0 };
                let mut info = [0; 20];
                info[..16].copy_from_slice(&ip.octets());
                info[16..].copy_from_slice(&interface.to_ne_bytes());
                put(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
            _ => {}
        }
    }
    if let Some(segment) = segment {
        put(libc::SOL_UDP, libc::UDP_SEGMENT, &segment.to_ne_bytes());
    }
    len
}
