//! What has to hold of a conversation, however it comes in. The fuzz target uses it too.

use socketserver_proto::exec::{CAP, Frame, Kind, Receiver, Side, Stage, WireError};

/// All that came of a stream: its frames as they print, and why there are no more if it was not its end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) frames: Vec<String>,
    pub(crate) error: Option<WireError>,
    /// The memory that was held at most.
    pub(crate) held: usize,
    /// Whether it ended in the middle of something.
    pub(crate) midway: bool,
}

/// The answers of this side that bring the conversation on, so that the other may speak again.
fn answer(receiver: &mut Receiver, side: Side) {
    loop {
        let sent = match (receiver.stage(), side) {
            (Stage::Opening, Side::Client) | (Stage::Answering, Side::Server) => Kind::Version,
            (Stage::Greeting, Side::Server) => Kind::Hello,
            (Stage::Proving, Side::Client) | (Stage::Judging, Side::Server) => Kind::Auth,
            (Stage::Ready, Side::Client) => Kind::Run,
            (Stage::Running, Side::Server) => Kind::Exit,
            _ => return,
        };
        receiver.sent(sent).expect("it may be sent now");
    }
}

/// What this side hears of a stream that comes in pieces of such lengths, and what is left in one.
pub(crate) fn hear(side: Side, mut stream: &[u8], pieces: impl IntoIterator<Item = usize>) -> Outcome {
    let mut receiver = Receiver::new(side);
    answer(&mut receiver, side);
    let mut pieces = pieces.into_iter();
    let mut outcome = Outcome::default();
    let (mut read, all) = (0, stream.len());
    while !stream.is_empty() {
        let (piece, rest) = stream.split_at(pieces.next().unwrap_or(usize::MAX).clamp(1, stream.len()));
        stream = rest;
        read += piece.len();
        let mut input = piece;
        loop {
            let frame = receiver.next(&mut input).map(|frame| frame.map(|frame| format!("{frame:?}")));
            // No more than has come, but for how a vector grows; so nothing is held for what is announced.
            assert!(receiver.held() <= 2 * read.max(8) && receiver.held() <= 2 * CAP, "{} of {all}", receiver.held());
            outcome.held = outcome.held.max(receiver.held());
            match frame {
                Ok(Some(frame)) => {
                    outcome.frames.push(frame);
                    answer(&mut receiver, side);
                }
                Ok(None) => {
                    assert!(input.is_empty() && receiver.wants() > 0);
                    break;
                }
                Err(error) => {
                    let again = receiver.next(&mut input).err();
                    assert_eq!(again, Some(error), "an error stays");
                    assert!(error.to_string().len() < 200);
                    outcome.error = Some(error);
                    return outcome;
                }
            }
        }
    }
    outcome.midway = receiver.is_midway();
    assert_eq!(receiver.finish().is_err(), outcome.midway);
    outcome
}

/// Pieces change nothing of what is heard; who reads no more than is wanted has nothing over.
pub(crate) fn holds(side: Side, stream: &[u8], pieces: &[usize]) {
    let whole = hear(side, stream, []);
    let cut = hear(side, stream, pieces.iter().copied());
    let bytes = hear(side, stream, std::iter::repeat(1));
    for other in [&cut, &bytes] {
        assert_eq!((&whole.frames, whole.error, whole.midway), (&other.frames, other.error, other.midway));
    }
    let mut receiver = Receiver::new(side);
    answer(&mut receiver, side);
    let mut rest = stream;
    let mut frames = 0;
    while !rest.is_empty() {
        let (mut input, behind) = rest.split_at(receiver.wants().min(rest.len()));
        rest = behind;
        match receiver.next(&mut input) {
            Ok(Some(frame)) => {
                // A version is no frame.
                assert_eq!(matches!(frame, Frame::Version(_)), frame.kind() == Kind::Version);
                frames += 1;
                answer(&mut receiver, side);
            }
            Ok(None) => {}
            Err(error) => {
                assert_eq!(Some(error), whole.error);
                break;
            }
        }
        assert!(input.is_empty(), "it took less than it wanted");
    }
    assert_eq!(frames, whole.frames.len());
}
