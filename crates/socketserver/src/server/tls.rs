use super::Server;
use crate::tls::{Acceptor, ServerTls};
use crate::{Error, ErrorKind};
use std::sync::Arc;

/// TLS.
impl<E> Server<E> {
    /// Connections are shaken hands with. All files are read now.
    ///
    /// ```no_run
    /// use socketserver::{Server, ServerTls, Threads, blocking};
    ///
    /// let tls = ServerTls::new().certificate("fullchain.pem", "privkey.pem");
    /// let mut server = Server::bind("tcp://*:8443")?.tls(tls)?;
    /// server.serve(Threads::default(), |c: &mut blocking::Stream| Ok(c.write_all(b"hello")?))?;
    /// # Ok::<_, socketserver::Error>(())
    /// ```
    ///
    /// # Errors
    /// A file that cannot be read ([`ErrorKind::Denied`], [`ErrorKind::Io`]), or is of no use ([`ErrorKind::Tls`]): nothing in it,
    /// a key that is encrypted, or another one than the certificate's. [`ErrorKind::Unsupported`]: the server was told
    /// before.
    pub fn tls(self, tls: ServerTls) -> Result<Self, Error> {
        let acceptor = Arc::new(Acceptor::new(tls)?);
        let twice = || {
            Error::new(ErrorKind::Unsupported, "a server has one `ServerTls`, with as many certificates as you like")
        };
        self.shared.set_acceptor(acceptor).map_err(|_| twice())?;
        Ok(self)
    }
}
