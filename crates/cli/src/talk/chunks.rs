//! One read is one message.

use socketserver::framing::{FrameError, Framing, Scan, Step};

/// No framing at all: a message is what one read gave, and what is sent is sent as it is.
///
/// TCP keeps no boundaries. What a peer sends in one go may come in several messages, and what it sends in several in one:
/// a short text that is alone on its way comes as it was sent, and nobody promises that. It is the way of many a first
/// lesson on sockets, `recv(1024)`, and good for nothing but what people read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunks;

impl Chunks {
    /// The longest message, either way: 1 MiB. A read gives 64 KiB at most.
    pub(super) const MAX: usize = 1 << 20;
}

impl Framing for Chunks {
    fn decode(&self, input: &[u8], _: &mut Scan) -> Result<Step, FrameError> {
        let len = input.len().min(Self::MAX);
        Ok(if len == 0 { Step::More(1) } else { Step::Message { body: 0..len, len } })
    }

    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        if message.len() > Self::MAX {
            return Err(FrameError::too_long(message.len() as u64, Self::MAX));
        }
        out.extend_from_slice(message);
        Ok(())
    }

    fn max_message(&self) -> usize {
        Self::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_there_is_is_a_message_and_nothing_is_added() {
        let scan = &mut Scan::default();
        assert_eq!(Chunks.decode(b"", scan), Ok(Step::More(1)));
        assert_eq!(Chunks.decode(b"a\nb", scan), Ok(Step::Message { body: 0..3, len: 3 }));
        let mut out = b"a".to_vec();
        Chunks.encode(b"b\n", &mut out).unwrap();
        Chunks.encode(b"", &mut out).unwrap();
        assert_eq!(out, b"ab\n");
        assert!(Chunks.encode(&vec![0; Chunks::MAX + 1], &mut out).unwrap_err().is_too_long());
    }
}
