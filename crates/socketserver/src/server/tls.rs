use super::Server;
use crate::tls::{Acceptor, ServerTls, Watcher};
use crate::{Error, ErrorKind, Signal};
use std::sync::Arc;

/// TLS.
impl<E> Server<E> {
    /// What to shake hands with, at endpoints whose scheme says so (`tls://`, `wss://`), and wherever a handler turns a
    /// connection into TLS. All files are read now.
    ///
    /// They are read again when they change, in the directories that their paths lead to and over every symbolic link on the
    /// way, for connections from then on; open ones are not touched. What is of no use then changes nothing, and is an
    /// [event](crate::Observer::tls_reload_failed).
    ///
    /// ```no_run
    /// use socketserver::{Server, ServerTls, Threads, blocking};
    ///
    /// let tls = ServerTls::new().certificate("fullchain.pem", "privkey.pem");
    /// let mut server = Server::bind("tls://*:8443")?.tls(tls)?;
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
        self.shared.set_acceptor(acceptor.clone()).map_err(|_| twice())?;
        self.lock_duties().look_after(Watcher::new(acceptor));
        Ok(self)
    }

    /// Reads certificates, keys and authorities again when this signal comes (`SIGHUP`, as a rule): see
    /// [`Handle::reload_tls`](crate::Handle::reload_tls). What fails is an [event](crate::Observer::tls_reload_failed).
    ///
    /// ```no_run
    /// use socketserver::{Server, ServerTls, Signal};
    /// let tls = ServerTls::new().certificate("fullchain.pem", "privkey.pem");
    /// let server = Server::bind("tls://*:8443")?.tls(tls)?.reload_tls_on(Signal::Hangup)?;
    /// # Ok::<_, socketserver::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`on_signal`](Self::on_signal).
    pub fn reload_tls_on(self, signal: Signal) -> Result<Self, Error> {
        self.on_signal(signal, |handle| {
            // It was told as what it is, and is no failure of this duty.
            let _ = handle.reload_tls();
            Ok(())
        })
    }
}
