use crate::Error;
use crate::endpoint::{abstract_name, resolve};
use socket2::SockAddr;
use socketserver_proto::{Endpoint, Host, UnixName};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// What can be connected to: an [`Endpoint`], or the text of one.
///
/// ```
/// use socketserver::{Endpoint, client::Target};
/// let endpoint: Endpoint = "tcp://127.0.0.1:8080".parse()?;
/// assert_eq!("127.0.0.1:8080".endpoint()?, endpoint);
/// assert_eq!(":8080".to_string().endpoint()?, endpoint);
/// assert_eq!((&endpoint).endpoint()?, endpoint);
/// assert!("tcp://127.0.0.1".endpoint().is_err());
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub trait Target {
    /// The address.
    ///
    /// # Errors
    /// One that names the part that is wrong and shows what would be right.
    fn endpoint(self) -> Result<Endpoint, Error>;
}

impl Target for Endpoint {
    fn endpoint(self) -> Result<Endpoint, Error> {
        Ok(self)
    }
}

impl Target for &Endpoint {
    fn endpoint(self) -> Result<Endpoint, Error> {
        Ok(self.clone())
    }
}

impl Target for &str {
    fn endpoint(self) -> Result<Endpoint, Error> {
        Ok(self.parse()?)
    }
}

impl Target for String {
    fn endpoint(self) -> Result<Endpoint, Error> {
        Ok(self.parse()?)
    }
}

impl Target for &String {
    fn endpoint(self) -> Result<Endpoint, Error> {
        Ok(self.parse()?)
    }
}

/// Where a host can be reached; `*` is this machine.
pub(super) fn reach(host: &Host, port: u16) -> io::Result<SocketAddr> {
    match host {
        Host::Any => Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)),
        host => resolve(host, port),
    }
}

pub(super) fn unix_addr(name: &UnixName) -> io::Result<SockAddr> {
    match name {
        UnixName::Path(path) => SockAddr::unix(path),
        UnixName::Abstract(name) => abstract_name(name),
        other => Err(io::Error::new(io::ErrorKind::Unsupported, format!("{other:?}"))),
    }
}
