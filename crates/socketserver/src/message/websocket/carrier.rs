use super::close::{self, Goodbye};
use super::speech::{Speech, control};
use crate::connection::{Core, PollIo, Reason, Wait};
use crate::framing::Framing as _;
use crate::message::carrier::{Carries, Event, either, give_way};
use crate::message::out::Out;
use crate::{Failure, clock};
use std::io::{self, Cursor, Read, Write};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, OpCode};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Bytes, Error, Message};

/// Messages of WebSocket.
pub(super) struct Web<'a, T> {
    core: &'a mut Core<T>,
    speech: &'a Speech,
    /// What reads frames. It holds memory, so it is there only while a message comes in.
    reader: Option<Box<WebSocketContext>>,
    message: Bytes,
    /// How much of a message has come, in frames before its last.
    begun: Option<usize>,
    /// With less input than that there is no frame.
    needed: usize,
    /// What the newest ping said, until it is answered (RFC 6455, section 5.5.3).
    ping: Option<Bytes>,
    alive: KeepAlive,
    /// The peer has said goodbye, and this is the answer.
    left: Option<Goodbye>,
    /// What came is no WebSocket, and the peer is told so.
    fault: Option<CloseCode>,
}

/// The longest body of a control frame (RFC 6455, section 5.5).
const MAX_CONTROL: usize = 125;

/// A frame that is whole.
struct Frame {
    /// Header and all.
    len: usize,
    body: usize,
    is_control: bool,
}

/// Whether the peer is still there.
struct KeepAlive {
    period: Option<Duration>,
    /// The end of the period, where the waits in it are many.
    until: Option<Instant>,
    /// It was asked, and has not answered yet.
    asked: bool,
}

/// What ended a wait.
#[derive(Clone, Copy)]
enum Came {
    Event(Event),
    /// Nothing, for a whole period.
    Nothing,
}

impl<'a, T: PollIo> Web<'a, T> {
    pub(super) fn new(core: &'a mut Core<T>, speech: &'a Speech, ping: Option<Duration>) -> Self {
        Self {
            core,
            speech,
            reader: None,
            message: Bytes::new(),
            begun: None,
            needed: 1,
            ping: None,
            alive: KeepAlive { period: ping, until: None, asked: false },
            left: None,
            fault: None,
        }
    }

    /// The frame at the front of the input, once it is whole. What its header is enough to refuse it for is not waited for.
    fn frame(&mut self) -> Result<Option<Frame>, Error> {
        let input = self.core.buffered();
        if input.len() < self.needed {
            return Ok(None);
        }
        let mut head = Cursor::new(input);
        let Some((header, body)) = FrameHeader::parse(&mut head)? else {
            self.needed = input.len() + 1;
            return Ok(None);
        };
        if header.mask.is_none() {
            return Err(ProtocolError::UnmaskedFrameFromClient.into());
        }
        let is_control = matches!(header.opcode, OpCode::Control(_));
        let body = usize::try_from(body).unwrap_or(usize::MAX);
        let (size, max_size) = (self.begun.unwrap_or(0).saturating_add(body), self.speech.max_message());
        if is_control && body > MAX_CONTROL {
            return Err(ProtocolError::ControlFrameTooBig.into());
        }
        if !is_control && size > max_size {
            return Err(CapacityError::MessageTooLong { size, max_size }.into());
        }
        let len = usize::try_from(head.position()).unwrap_or(0).saturating_add(body);
        let is_whole = input.len() >= len;
        self.needed = if is_whole { 1 } else { len };
        Ok(is_whole.then_some(Frame { len, body, is_control }))
    }

    /// What the frame in the first `len` bytes of the input completes, if anything.
    fn read(&mut self, len: usize) -> Result<Option<Message>, Error> {
        let max = self.speech.max_message();
        let reader = self.reader.get_or_insert_with(|| {
            let config = WebSocketConfig::default()
                .read_buffer_size(len.clamp(1 << 10, 1 << 16))
                .max_message_size(Some(max))
                // A control frame may be longer.
                .max_frame_size(Some(max.max(MAX_CONTROL)));
            Box::new(WebSocketContext::new(Role::Server, Some(config)))
        });
        let read = reader.read(&mut Wire(&self.core.buffered()[..len]));
        self.core.consume(len);
        match read {
            Ok(message) => Ok(Some(message)),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes frames until a message is whole; `false` when there are no more.
    fn advance(&mut self) -> Result<bool, Error> {
        while self.left.is_none()
            && let Some(frame) = self.frame()?
        {
            match self.read(frame.len)? {
                Some(message @ (Message::Text(_) | Message::Binary(_))) => {
                    self.begun = None;
                    self.speech.heard(message.is_text());
                    self.message = message.into_data();
                    return Ok(true);
                }
                Some(Message::Ping(said)) => self.ping = Some(said),
                Some(Message::Close(frame)) => self.left = Some(close::answer_to(frame.as_ref())),
                None if !frame.is_control => self.begun = Some(self.begun.unwrap_or(0) + frame.body),
                // A pong has come, which is all that there is to it.
                _ => {}
            }
        }
        Ok(false)
    }

    async fn say(&mut self, kind: Control, body: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(2 + body.len());
        control(kind, body, &mut frame);
        super::send(self.core, &frame).await
    }

    /// Tells the peer how it ended, if it is still there. It answers while the connection is read out.
    pub(super) async fn say_goodbye(&mut self, outcome: &Result<(), Option<Failure>>) {
        let goodbye = match (self.left, self.fault) {
            (Some(answer), _) => answer,
            (None, Some(fault)) => Some(fault),
            (None, None) => match close::of_outcome(outcome, &self.core.fate) {
                Some(code) => Some(code),
                None => return,
            },
        };
        let body = goodbye.map_or([0; 2], |code| u16::from(code).to_be_bytes());
        // If nobody hears it, that is no news any more.
        let _ = self.say(Control::Close, if goodbye.is_some() { &body } else { &[] }).await;
    }
}

impl<T: PollIo> Carries for Web<'_, T> {
    fn next(&mut self) -> crate::Result<Option<&[u8]>> {
        self.message = Bytes::new();
        match self.advance() {
            Ok(true) => Ok(Some(&self.message)),
            Ok(false) => Ok(None),
            Err(error) => {
                let (code, text) = close::of_fault(&error);
                self.fault = Some(code);
                Err(self.core.fate.bad_message(text).into())
            }
        }
    }

    fn last(&mut self) -> crate::Result<Option<&[u8]>> {
        // A goodbye and a drain between messages are an orderly end.
        let between = self.begun.is_none() && self.core.buffered().is_empty();
        if self.left.is_some() || (between && self.core.fate.reason() == Some(Reason::Drained)) {
            return Ok(None);
        }
        Err(self.core.fate.cut_short("the peer left without saying goodbye".into()).into())
    }

    async fn wait(&mut self, mut pushed: Option<impl FnMut(&Waker) -> Poll<()>>) -> io::Result<Event> {
        if self.left.is_some() {
            return Ok(Event::Ended);
        }
        if self.begun.is_none() {
            self.reader = None;
        }
        if let Some(said) = self.ping.take() {
            self.say(Control::Pong, &said).await?;
        }
        loop {
            let (core, begun) = (&mut *self.core, self.begun.is_some());
            let wait = self.alive.wait(pushed.is_some());
            let came = either(core, pushed.as_mut(), Came::Event(Event::Pushed), |core, cx| {
                core.poll_fill_within(cx, wait, begun).map_ok(|filled| match filled {
                    None => Came::Nothing,
                    Some(0) => Came::Event(Event::Ended),
                    Some(_) => Came::Event(Event::Input),
                })
            })
            .await?;
            match came {
                Came::Event(event) => {
                    if event == Event::Input {
                        self.alive.is_there();
                    }
                    return Ok(event);
                }
                Came::Nothing if self.alive.asked => return Err(self.core.fate.unanswered()),
                Came::Nothing => {
                    self.alive.ask();
                    self.say(Control::Ping, &[]).await?;
                    // What was pushed at that very moment was taken by the wait that is over.
                    if pushed.is_some() {
                        return Ok(Event::Pushed);
                    }
                }
            }
        }
    }

    async fn send(&mut self, out: &mut Out) -> io::Result<()> {
        let sent = super::send(self.core, out.bytes()).await;
        out.clear();
        sent
    }

    async fn give_way(&mut self) {
        give_way(T::WAITS_INSIDE).await;
    }
}

impl KeepAlive {
    /// How long the next wait may last. Of those that may be `interrupted` there are many in a period.
    fn wait(&mut self, interrupted: bool) -> Wait {
        match self.period {
            Some(period) if interrupted => {
                let until = self.until.or_else(|| clock::now().checked_add(period));
                self.until = until;
                until.map_or(Wait::For(None), Wait::Until)
            }
            // It costs the blocking engine no call a wait.
            period => Wait::For(period),
        }
    }

    fn is_there(&mut self) {
        (self.until, self.asked) = (None, false);
    }

    fn ask(&mut self) {
        (self.until, self.asked) = (None, true);
    }
}

/// A frame in memory. What the reader would write by itself goes nowhere: its answers are given elsewhere.
struct Wire<'a>(&'a [u8]);

impl Read for Wire<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.read(buf) }
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
