//! The handlers that come with the command.

use crate::args::What;
use socketserver::{Result, blocking};

/// Enough for a bulk transfer, and small enough for any stack.
const BUFFER: usize = 16 * 1024;

impl blocking::Handler for What {
    fn handle(&self, c: &mut blocking::Stream) -> Result {
        let mut buf = [0; BUFFER];
        match self {
            Self::Hello => {
                c.write_all(b"hello world")?;
                c.read(&mut buf)?;
            }
            Self::Echo => each(c, &mut buf, |c, bytes| c.write_all(bytes))?,
            Self::Upper => each(c, &mut buf, |c, bytes| {
                // Bytes of other alphabets are above ASCII in UTF-8 and most encodings: they stay as they are.
                bytes.make_ascii_uppercase();
                c.write_all(bytes)
            })?,
            Self::Discard => each(c, &mut buf, |_, _| Ok(()))?,
        }
        Ok(())
    }
}

/// Reads to the end of input, piece by piece as they come.
fn each(
    c: &mut blocking::Stream,
    buf: &mut [u8],
    mut piece: impl FnMut(&mut blocking::Stream, &mut [u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    loop {
        let count = c.read(buf)?;
        if count == 0 {
            return Ok(());
        }
        piece(c, &mut buf[..count])?;
    }
}
