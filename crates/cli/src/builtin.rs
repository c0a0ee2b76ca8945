//! The handlers that answer by themselves: what they say is written once, how it is said once for each engine.

use socketserver::{Datagram, DatagramHandler, Handler, Result, Stream, blocking};

/// Enough for a bulk transfer, and small enough for any stack.
const BUFFER: usize = 16 * 1024;

/// What answers by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Echo,
    Upper,
    Hello,
    Discard,
}

impl Answer {
    /// What is said before anything is read.
    fn greeting(self) -> &'static [u8] {
        match self {
            Self::Hello => b"hello world",
            Self::Echo | Self::Upper | Self::Discard => b"",
        }
    }

    /// What is said to a piece of input, in its place.
    fn answer(self, piece: &mut [u8]) -> &[u8] {
        match self {
            Self::Echo => piece,
            Self::Upper => {
                // Bytes of other alphabets are above ASCII in UTF-8 and most encodings: they stay as they are.
                piece.make_ascii_uppercase();
                piece
            }
            Self::Hello | Self::Discard => b"",
        }
    }

    /// Whether more is read after a piece; otherwise the connection closes.
    fn goes_on(self) -> bool {
        !matches!(self, Self::Hello)
    }
}

impl blocking::Handler for Answer {
    fn handle(&self, c: &mut blocking::Stream) -> Result {
        let mut buf = [0; BUFFER];
        c.write_all(self.greeting())?;
        loop {
            let count = c.read(&mut buf)?;
            if count == 0 {
                return Ok(());
            }
            c.write_all(self.answer(&mut buf[..count]))?;
            if !self.goes_on() {
                return Ok(());
            }
        }
    }
}

impl Handler for Answer {
    async fn handle(&self, c: &mut Stream) -> Result {
        c.write_all(self.greeting()).await?;
        loop {
            // Of its own size, and gone before the next wait: a connection that waits holds no buffer.
            let mut piece = c.fill_buf().await?.to_vec();
            if piece.is_empty() {
                return Ok(());
            }
            c.consume(piece.len());
            c.write_all(self.answer(&mut piece)).await?;
            if !self.goes_on() {
                return Ok(());
            }
        }
    }
}

/// The same for packets: a type is one kind of handler.
pub(crate) struct Packets(pub(crate) Answer);

impl DatagramHandler for Packets {
    fn handle(&self, d: &mut Datagram) -> Result {
        match self.0 {
            Answer::Echo => {
                let (packet, mut replies) = d.split();
                replies.send(packet)?;
            }
            Answer::Upper => {
                let upper = d.packet().to_ascii_uppercase();
                d.reply(&upper)?;
            }
            Answer::Hello => d.reply(b"hello client")?,
            Answer::Discard => {}
        }
        Ok(())
    }
}
