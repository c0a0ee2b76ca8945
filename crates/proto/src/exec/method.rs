use std::fmt;

/// How a client proves who it is.
///
/// ```
/// use socketserver_proto::exec::Method;
/// assert_eq!(Method::Token.to_string(), "token");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// It need not.
    None = 1,
    /// The kernel says which user it is: over Unix sockets (`SO_PEERCRED`, `unix(7)`).
    Credentials = 2,
    /// The certificate that it has shown for TLS.
    Certificate = 4,
    /// That it knows a secret, which does not travel.
    Token = 8,
}

impl Method {
    /// All that this version knows.
    pub const ALL: [Self; 4] = [Self::None, Self::Credentials, Self::Certificate, Self::Token];

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|method| *method as u8 == byte)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Credentials => "credentials",
            Self::Certificate => "certificate",
            Self::Token => "token",
        })
    }
}

/// Which methods a server takes, a bit each. Bits that a client does not know are none to it.
///
/// ```
/// use socketserver_proto::exec::{Method, Methods};
/// let methods = Methods::default().with(Method::Credentials).with(Method::Token);
/// assert!(methods.has(Method::Token) && !methods.has(Method::None));
/// assert_eq!(methods.to_string(), "credentials, token");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Methods(pub u8);

impl Methods {
    /// This one too.
    #[must_use]
    pub const fn with(self, method: Method) -> Self {
        Self(self.0 | method as u8)
    }

    /// Whether it is one of them.
    #[must_use]
    pub const fn has(self, method: Method) -> bool {
        self.0 & method as u8 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for method in Method::ALL.into_iter().filter(|method| self.has(*method)) {
            write!(f, "{}{method}", if std::mem::replace(&mut first, false) { "" } else { ", " })?;
        }
        Ok(())
    }
}
