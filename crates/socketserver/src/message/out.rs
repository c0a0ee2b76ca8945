use crate::connection::pool;
use crate::framing::Framing;
use std::io;
use std::sync::Arc;

/// Messages on their way out, as the carrier sends them.
pub(crate) struct Out {
    form: Form,
    /// A buffer of the thread's, while something is in it.
    #[expect(clippy::box_collection, reason = "it is seldom there, and each connection has room for it")]
    bytes: Option<Box<Vec<u8>>>,
    /// Where each ends, on carriers that keep them apart by themselves.
    ends: Vec<usize>,
}

/// How a message goes out.
pub(crate) enum Form {
    /// Framed, one behind the other.
    Framed(Arc<dyn Framing + Send + Sync>),
    /// As it is, at most so long.
    Whole(usize),
}

impl Out {
    pub(super) fn new(form: Form) -> Self {
        Self { form, bytes: None, ends: Vec::new() }
    }

    #[inline]
    pub(super) fn push(&mut self, message: &[u8]) -> io::Result<()> {
        let bytes = self.bytes.get_or_insert_with(pool::take_output);
        match &self.form {
            Form::Framed(framing) => framing.encode(message, bytes).map_err(invalid),
            Form::Whole(max) if message.len() > *max => {
                Err(invalid(format!("a message of {} bytes is longer than the limit of {max}", message.len())))
            }
            Form::Whole(_) => {
                bytes.extend_from_slice(message);
                self.ends.push(bytes.len());
                Ok(())
            }
        }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.as_ref().map_or(&[], |bytes| bytes)
    }

    /// Each message by itself.
    pub(super) fn each(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes()[start..*end])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes().is_empty() && self.ends.is_empty()
    }

    /// All of it was sent. While the connection waits it holds no memory.
    pub(super) fn clear(&mut self) {
        self.ends.clear();
        if let Some(bytes) = self.bytes.take() {
            pool::give_output(bytes);
        }
    }
}

fn invalid(error: impl Into<crate::Failure>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
