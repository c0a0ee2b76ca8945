use crate::{Error, ErrorKind};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover};
use socket2::Socket;
use socketserver_proto::Endpoint;
use std::io;

/// Options that are set on a socket before it is bound, if they were asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tuning {
    /// In bytes, as the system is told; it makes something else of it.
    pub(super) receive_buffer: Option<usize>,
    pub(super) send_buffer: Option<usize>,
    /// Of UDP alone.
    pub(super) broadcast: bool,
    pub(super) dont_fragment: bool,
}

impl Tuning {
    /// Whether what is for UDP alone has a use with these endpoints, of which some are to be bound.
    pub(super) fn suits<'a>(&self, mut bound: impl Iterator<Item = &'a Endpoint>) -> Result<(), Error> {
        let option = match (self.broadcast, self.dont_fragment) {
            (true, _) => "broadcast",
            (_, true) => "dont_fragment",
            _ => return Ok(()),
        };
        if bound.any(|endpoint| matches!(endpoint, Endpoint::Udp { .. })) {
            return Ok(());
        }
        let text =
            format!("`{option}` is for UDP sockets, and none is bound here: an endpoint `udp://host:port` has one");
        Err(Error::new(ErrorKind::Unsupported, text))
    }

    /// What every kind of socket has.
    pub(super) fn set(&self, socket: &Socket) -> io::Result<()> {
        // What does not fit into the system's integer is far beyond its maximum.
        let bytes = |size: usize| size.min(i32::MAX as usize);
        if let Some(size) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes(size))?;
        }
        if let Some(size) = self.send_buffer {
            socket.set_send_buffer_size(bytes(size))?;
        }
        Ok(())
    }

    /// The same, and what UDP has.
    pub(super) fn set_udp(&self, socket: &Socket, is_v6: bool) -> io::Result<()> {
        self.set(socket)?;
        if self.broadcast {
            socket.set_broadcast(true)?;
        }
        if self.dont_fragment {
            if is_v6 {
                set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DO)?;
            }
            // An IPv6 socket may send IPv4 packets too.
            set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO)?;
        }
        Ok(())
    }
}
