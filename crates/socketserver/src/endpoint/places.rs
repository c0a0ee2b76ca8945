use crate::Error;
use socketserver_proto::Endpoint;
use std::os::fd::OwnedFd;

/// A place to listen: an address, or a listening socket that was made elsewhere. Such a one becomes non-blocking, in every
/// process that shares it.
///
/// ```
/// use socketserver::{Server, Where};
/// let elsewhere = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let server = Server::bind(vec![Where::parse("tcp://127.0.0.1:0")?, Where::from(elsewhere)])?;
/// assert_eq!(server.endpoints().len(), 2);
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug)]
pub struct Where(pub(super) Place);

#[derive(Debug)]
pub(super) enum Place {
    Endpoint(Endpoint),
    Listener(OwnedFd),
}

impl Where {
    /// Reads an address.
    ///
    /// # Errors
    /// One that names the part that is wrong and shows what would be right.
    pub fn parse(endpoint: &str) -> Result<Self, Error> {
        Ok(endpoint.parse::<Endpoint>()?.into())
    }
}

impl From<Endpoint> for Where {
    fn from(endpoint: Endpoint) -> Self {
        Self(Place::Endpoint(endpoint))
    }
}

macro_rules! listener {
    ($($kind:ty),*) => { $(
        impl From<$kind> for Where {
            fn from(listener: $kind) -> Self {
                Self(Place::Listener(listener.into()))
            }
        }

        impl Endpoints for $kind {
            fn places(self) -> Result<Vec<Where>, Error> {
                Ok(vec![self.into()])
            }
        }
    )* };
}
listener!(
    std::net::TcpListener,
    std::net::UdpSocket,
    std::os::unix::net::UnixListener,
    std::os::unix::net::UnixDatagram,
    OwnedFd
);

/// One or many places: a string, an [`Endpoint`], a listening socket; arrays of strings, slices and vectors of strings or
/// endpoints, and vectors of [`Where`] for a mixture.
pub trait Endpoints {
    /// The places.
    ///
    /// # Errors
    /// The first address that is not understood.
    fn places(self) -> Result<Vec<Where>, Error>;
}

macro_rules! endpoints {
    ($($kind:ty => |$it:ident| $place:expr),* $(,)?) => { $(
        impl Endpoints for $kind {
            fn places(self) -> Result<Vec<Where>, Error> {
                let $it = self;
                Ok(vec![$place])
            }
        }
        impl Endpoints for Vec<$kind> {
            fn places(self) -> Result<Vec<Where>, Error> {
                self.into_iter().map(|$it| Ok($place)).collect()
            }
        }
        impl Endpoints for &[$kind] {
            fn places(self) -> Result<Vec<Where>, Error> {
                self.iter().map(|$it| Ok($place)).collect()
            }
        }
    )* };
}
endpoints! {
    &str => |it| Where::parse(it)?,
    String => |it| Where::parse(it.as_str())?,
    Endpoint => |it| it.clone().into(),
}

/// Arrays of strings alone, so that the type of `[]` is known.
impl<const N: usize> Endpoints for [&str; N] {
    fn places(self) -> Result<Vec<Where>, Error> {
        self.as_slice().places()
    }
}

impl Endpoints for &String {
    fn places(self) -> Result<Vec<Where>, Error> {
        self.as_str().places()
    }
}

impl Endpoints for Where {
    fn places(self) -> Result<Vec<Where>, Error> {
        Ok(vec![self])
    }
}

impl Endpoints for Vec<Where> {
    fn places(self) -> Result<Vec<Where>, Error> {
        Ok(self)
    }
}
