//! What every stream can say of itself, whatever its engine.

/// The methods that both streams have alike. They take a `core`.
macro_rules! facts {
    () => {
        /// What is read already and not yet taken; nothing is waited for.
        #[must_use]
        pub fn buffered(&self) -> &[u8] {
            self.core.buffered()
        }

        /// Who is at the other end.
        #[must_use]
        pub fn peer(&self) -> &$crate::Peer {
            self.core.connection.peer()
        }

        /// Our own address; `None` over Unix sockets.
        #[must_use]
        pub fn local(&self) -> Option<std::net::SocketAddr> {
            let addr = rustix::net::getsockname(self.core.connection.descriptor()?).ok()?;
            std::net::SocketAddr::try_from(addr).ok().and_then(|addr| $crate::Peer::from(addr).addr())
        }

        /// The number of this connection, unique in its server. 0 on the client side.
        #[must_use]
        pub fn id(&self) -> u64 {
            self.core.connection.id
        }

        /// Which of the server's endpoints it came in by, counted as in [`Handle::endpoints`](crate::Handle::endpoints);
        /// `None` on the client side.
        #[must_use]
        pub fn endpoint(&self) -> Option<usize> {
            self.core.connection.is_served().then_some(self.core.connection.endpoint())
        }

        /// The server, to stop it or to ask it things. On the client side it is nobody's: it stops nothing.
        #[must_use]
        pub fn server(&self) -> &$crate::Handle {
            &self.core.terms().handle
        }

        /// Whether the server drains: a handler with much to do may want to come to an end.
        #[must_use]
        pub fn is_draining(&self) -> bool {
            self.core.terms().handle.is_stopping()
        }

        /// Names the connection, for [`Handle::connections`](crate::Handle::connections): after its user, say, once it
        /// has logged in. The first 64 bytes are kept; an empty name is none.
        pub fn set_label(&self, label: &str) {
            self.core.connection.slot.set_label(label);
        }

        /// From now on the connection does not count towards
        /// [`Server::max_connections`](crate::Server::max_connections): for a long-lived one that holds nobody up. It still
        /// counts as one of its peer's.
        ///
        /// ```
        /// use socketserver::{Server, Threads, blocking, client};
        ///
        /// let server = Server::bind("tcp://127.0.0.1:0")?.max_connections(1);
        /// let server = server.spawn(Threads::default(), |c: &mut blocking::Stream| {
        ///     c.exempt();
        ///     c.write_all(b"hello\n")?;
        ///     c.read_line(100)?;
        ///     Ok(())
        /// })?;
        /// let at = &server.handle().endpoints()[0];
        /// let mut both = [client::connect(at)?, client::connect(at)?];
        /// assert_eq!(both[0].read_line(100)?.as_deref(), Some("hello"));
        /// assert_eq!(both[1].read_line(100)?.as_deref(), Some("hello"));
        /// # drop(both);
        /// # server.stop()?;
        /// # Ok::<_, socketserver::Failure>(())
        /// ```
        pub fn exempt(&self) {
            if self.core.connection.slot.exempt() {
                self.core.terms().handle.give_back_permit();
            }
        }

        /// What is known of the TLS that the connection speaks; `None` on a plain one.
        #[cfg(feature = "tls")]
        #[must_use]
        pub fn tls(&self) -> Option<$crate::TlsInfo> {
            self.core.tls_info()
        }

        /// Fills `output` with bytes that follow from the secrets of this TLS connection, the label and the context: the same
        /// at both ends, and on no other connection (RFC 5705; RFC 8446, section 7.5). With the label
        /// `EXPORTER-Channel-Binding` and 32 bytes it is the channel binding `tls-exporter` (RFC 9266).
        ///
        /// # Errors
        /// `Unsupported` on a plain connection, `InvalidInput` for more bytes than TLS gives at a time.
        #[cfg(feature = "tls")]
        pub fn export_keying_material(
            &self,
            output: &mut [u8],
            label: &[u8],
            context: Option<&[u8]>,
        ) -> std::io::Result<()> {
            self.core.export(output, label, context)
        }

        /// How long a read waits for the peer; `None` is for ever. Applies to this connection, from the next read on.
        ///
        /// After such a deadline of its own a handler may read on; after the server's
        /// ([`Server::idle`](crate::Server::idle)), which is looked after in steps of an eighth, the input is over.
        pub fn set_idle(&mut self, time: impl Into<Option<std::time::Duration>>) {
            self.core.own_terms().idle = $crate::connection::Idle::Own(time.into());
        }

        /// From the next read on the deadline is again what it was before any [`set_idle`](Self::set_idle): the server's,
        /// or the 60 s of a client.
        ///
        /// ```
        /// use socketserver::{Server, Threads, blocking, client};
        /// use std::time::Duration;
        ///
        /// let server = Server::bind("tcp://127.0.0.1:0")?.idle(None);
        /// let server = server.spawn(Threads::default(), |c: &mut blocking::Stream| {
        ///     // Who one is has to be said soon; then one may be silent.
        ///     c.set_idle(Duration::from_secs(10));
        ///     let Some(name) = c.read_line(100)? else { return Ok(()) };
        ///     c.reset_idle();
        ///     while let Some(line) = c.read_line(100)? {
        ///         c.write_all(format!("{name}: {line}\n").as_bytes())?;
        ///     }
        ///     Ok(())
        /// })?;
        /// let mut c = client::connect(&server.handle().endpoints()[0])?;
        /// c.write_all(b"Ann\nhello\n")?;
        /// assert_eq!(c.read_line(100)?.as_deref(), Some("Ann: hello"));
        /// # drop(c);
        /// # server.stop()?;
        /// # Ok::<_, socketserver::Failure>(())
        /// ```
        pub fn reset_idle(&mut self) {
            let served = self.core.connection.is_served();
            self.core.own_terms().idle = if served {
                $crate::connection::Idle::Watched
            } else {
                $crate::connection::Idle::Own($crate::connection::IDLE)
            };
        }

        /// How long a write may make no progress; `None` is for ever. Applies to this connection, from the next write on.
        pub fn set_write_timeout(&mut self, time: impl Into<Option<std::time::Duration>>) {
            self.core.own_terms().write = time.into();
        }
    };
}

pub(crate) use facts;

/// The text of a line without its end.
pub(crate) fn text_of_line(mut line: Vec<u8>) -> std::io::Result<String> {
    line.pop();
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}
