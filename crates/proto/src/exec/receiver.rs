use super::{CAP, Frame, Kind, MAGIC, PIECE, Side, Stage, VERSION, WireError};

/// Of a version and of the head of a frame.
const OPENING: usize = MAGIC.len() + 2;
const HEAD: usize = 5;
/// More than this is not kept for the next frame.
const KEPT: usize = 2 * PIECE;

/// Takes what the other side says, in pieces of any size, and hands out whole frames, one a call.
///
/// It keeps the order too: what may come now depends on what was [sent](Self::sent) and what has come. Type and length are
/// judged before a byte of the payload is taken, and memory grows with what comes, never with what is announced.
///
/// ```
/// use socketserver_proto::exec::{Frame, Receiver, Side, Stage, WireError};
/// let mut client = Receiver::at(Side::Client, Stage::Running);
/// let mut heard = Vec::new();
/// for piece in [&b"\x04\x00\x00\x00\x05he"[..], b"llo\x05\x00", b"\x00\x00\x01!"] {
///     let mut rest = piece;
///     while let Some(frame) = client.next(&mut rest)? {
///         heard.push(format!("{frame:?}"));
///     }
/// }
/// assert_eq!(heard.len(), 2);
/// // Four GiB are announced.
/// let error = client.next(&mut &b"\x04\xff\xff\xff\xff"[..]).unwrap_err();
/// assert_eq!(error.to_string(), "a frame STDOUT of 4294967295 bytes, and 1048576 is the most");
/// # Ok::<(), WireError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Who sends.
    from: Side,
    stage: Stage,
    cap: usize,
    /// The version or the head of a frame, as far as it has come.
    head: [u8; OPENING],
    in_head: usize,
    /// The frame whose head is complete, and how long its payload is.
    begun: Option<(Kind, usize)>,
    /// Its payload, as far as it has come; after it was handed out, that one.
    payload: Vec<u8>,
    failed: Option<WireError>,
}

impl Receiver {
    /// For this side of a new connection.
    #[must_use]
    pub fn new(side: Side) -> Self {
        Self::at(side, Stage::Opening)
    }

    /// For this side of a connection that has come so far.
    #[must_use]
    pub fn at(side: Side, stage: Stage) -> Self {
        Self {
            from: side.other(),
            stage,
            cap: CAP,
            head: [0; OPENING],
            in_head: 0,
            begun: None,
            payload: Vec::new(),
            failed: None,
        }
    }

    /// How long the payload of a frame may be; [`CAP`] unless said otherwise.
    #[must_use]
    pub fn cap(mut self, bytes: usize) -> Self {
        self.cap = bytes;
        self
    }

    /// How far the conversation has come.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// How many bytes are missing of what comes next: the version, the head of a frame, its payload. Who reads no more than
    /// that has nothing over; at least one.
    #[must_use]
    pub fn wants(&self) -> usize {
        match self.begun {
            Some((_, length)) => length - self.payload.len(),
            None => self.head_size() - self.in_head,
        }
    }

    /// Whether something has come and not all of it.
    #[must_use]
    pub fn is_midway(&self) -> bool {
        self.in_head > 0
    }

    /// This was sent from here.
    ///
    /// # Errors
    /// [`WireError::Order`]: it should not have been.
    pub fn sent(&mut self, kind: Kind) -> Result<(), WireError> {
        self.stage = self.stage.after(self.from.other(), kind).ok_or(WireError::Order(kind))?;
        Ok(())
    }

    /// The next frame. `input` is what was read after what was given before; what is taken of it is taken away from its
    /// front. `None`: no frame is whole; `input` is empty then.
    ///
    /// # Errors
    /// What came is not understood. So it is with each further call.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Frame<'a>>, WireError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.in_head == 0 {
            self.forget();
        }
        let (kind, length) = match self.begun {
            Some(begun) => begun,
            None => {
                if !self.fill_head(input) {
                    return Ok(None);
                }
                match self.judge_head() {
                    Ok((Kind::Version, _)) => {
                        self.in_head = 0;
                        return Ok(Some(Frame::Version(self.version())));
                    }
                    Ok(begun) => *self.begun.insert(begun),
                    Err(error) => {
                        self.failed = Some(error);
                        return Err(error);
                    }
                }
            }
        };
        // What is there in one piece is not copied.
        let payload = if self.payload.is_empty() && input.len() >= length {
            let (payload, rest) = input.split_at(length);
            *input = rest;
            payload
        } else {
            let taken = input.len().min(length - self.payload.len());
            let (piece, rest) = input.split_at(taken);
            self.payload.extend_from_slice(piece);
            *input = rest;
            if self.payload.len() < length {
                return Ok(None);
            }
            &self.payload
        };
        (self.in_head, self.begun) = (0, None);
        match (Frame::from_bytes(kind, self.from, payload), self.stage.after(self.from, kind)) {
            (Ok(frame), Some(stage)) => {
                self.stage = stage;
                Ok(Some(frame))
            }
            (frame, _) => {
                let error = frame.err().unwrap_or(WireError::Order(kind));
                self.failed = Some(error);
                Err(error)
            }
        }
    }

    /// The input has ended.
    ///
    /// # Errors
    /// [`WireError::CutShort`]: in the middle of something.
    pub fn finish(&self) -> Result<(), WireError> {
        if self.is_midway() { Err(WireError::CutShort) } else { Ok(()) }
    }

    /// How much memory it holds for payloads.
    #[must_use]
    pub fn held(&self) -> usize {
        self.payload.capacity()
    }

    fn head_size(&self) -> usize {
        if self.awaits_version() { OPENING } else { HEAD }
    }

    fn awaits_version(&self) -> bool {
        matches!(
            (self.stage, self.from),
            (Stage::Opening, Side::Client) | (Stage::Opening | Stage::Answering, Side::Server)
        )
    }

    /// Takes what is missing of the head. `false`: it is not complete.
    fn fill_head(&mut self, input: &mut &[u8]) -> bool {
        let size = self.head_size();
        let taken = input.len().min(size - self.in_head);
        let (piece, rest) = input.split_at(taken);
        self.head[self.in_head..self.in_head + taken].copy_from_slice(piece);
        (self.in_head, *input) = (self.in_head + taken, rest);
        self.in_head == size
    }

    fn version(&self) -> u16 {
        u16::from_be_bytes([self.head[MAGIC.len()], self.head[MAGIC.len() + 1]])
    }

    /// What the head says, if that may be.
    fn judge_head(&mut self) -> Result<(Kind, usize), WireError> {
        if self.awaits_version() {
            if self.head[..MAGIC.len()] != MAGIC {
                return Err(WireError::Magic);
            }
            let version = self.version();
            // A client may speak newer ones too; what a server says is what is spoken.
            if version == 0 || self.from == Side::Server && version > VERSION {
                return Err(WireError::Version(version));
            }
            let stage = self.stage.after(self.from, Kind::Version).ok_or(WireError::Order(Kind::Version))?;
            self.stage = stage;
            return Ok((Kind::Version, 0));
        }
        let [kind, length @ ..] = *self.head.first_chunk::<HEAD>().ok_or(WireError::CutShort)?;
        let kind = Kind::from_byte(kind)?;
        if self.stage.after(self.from, kind).is_none() {
            return Err(WireError::Order(kind));
        }
        let (length, max) = (u32::from_be_bytes(length), kind.max(self.from, self.cap));
        match usize::try_from(length) {
            Ok(bytes) if bytes <= max => Ok((kind, bytes)),
            _ => Err(WireError::TooLong { kind, length, max }),
        }
    }

    /// The payload that was handed out.
    fn forget(&mut self) {
        self.payload.clear();
        if self.payload.capacity() > KEPT {
            self.payload = Vec::new();
        }
    }
}
