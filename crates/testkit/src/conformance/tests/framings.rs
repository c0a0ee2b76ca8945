use super::is_refused;
use crate::conformance::{framed_stream, framing};
use socketserver::framing::{AnyFraming, FrameError, Framing, LengthPrefix, Line, Scan, Step};

#[test]
fn our_framings_pass() {
    for text in [
        "line",
        "crlf",
        "line,max=100,skip-oversized",
        "u8",
        "u16be",
        "u24le",
        "u32be",
        "u64le,max=1k",
        "i32be,inclusive",
        "u32be,header=\\xca\\xfe,max=300",
        "u16le,skip-oversized,max=100",
        "delimiter=\\r\\n\\r\\n",
        "delimiter=aab,or=b,max=99",
        "fixed=1",
        "fixed=16",
        "netstring",
        "netstring,max=64,skip-oversized",
        "varint",
        "varint,max=1k",
    ] {
        framing(&text.parse::<AnyFraming>().unwrap());
    }
}

/// A framing that is right but for what this says.
struct Broken<D, E>(D, E);

impl<D, E> Framing for Broken<D, E>
where
    D: Fn(&[u8], &mut Scan) -> Result<Step, FrameError>,
    E: Fn(&[u8], &mut Vec<u8>) -> Result<(), FrameError>,
{
    fn decode(&self, input: &[u8], scan: &mut Scan) -> Result<Step, FrameError> {
        self.0(input, scan)
    }
    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        self.1(message, out)
    }
    fn max_message(&self) -> usize {
        1000
    }
}

#[test]
fn broken_framings_are_found_out() {
    fn prefix() -> LengthPrefix {
        LengthPrefix::u16_be().max(1000)
    }
    let decode = |input: &[u8], scan: &mut Scan| prefix().decode(input, scan);
    let encode = |message: &[u8], out: &mut Vec<u8>| prefix().encode(message, out);
    framing(&Broken(decode, encode));

    is_refused("no message can be sent", || {
        let encode = |message: &[u8], _: &mut Vec<u8>| Err(FrameError::too_long(message.len() as u64, 0));
        framing(&Broken(decode, encode));
    });
    is_refused("a frame is appended", || {
        framing(&Broken(decode, |message: &[u8], out: &mut Vec<u8>| {
            out.clear();
            encode(message, out)
        }));
    });
    // What was refused is in the output all the same.
    is_refused("some of it is in the output", || {
        framing(&Broken(decode, |message: &[u8], out: &mut Vec<u8>| encode(message, out).inspect_err(|_| out.push(0))));
    });
    is_refused("no message is longer than 1000", || {
        let endless = |input: &[u8], scan: &mut Scan| LengthPrefix::u32_be().max(1 << 30).decode(input, scan);
        framing(&Broken(endless, |message: &[u8], out: &mut Vec<u8>| match message.len() {
            0..=1000 => LengthPrefix::u32_be().encode(message, out),
            len => Err(FrameError::too_long(len as u64, 1000)),
        }));
    });
    // It sees a message only if that comes at once.
    is_refused("what was sent comes back", || {
        let line = Line::new().max(1000);
        let at_once = move |input: &[u8], scan: &mut Scan| {
            if scan.searched() > 0 && input.ends_with(b"\n") {
                return Err(FrameError::malformed("it took two looks"));
            }
            scan.set_searched(input.len());
            line.decode(input, &mut Scan::default())
        };
        framing(&Broken(at_once, move |message: &[u8], out: &mut Vec<u8>| line.encode(message, out)));
    });
    // A byte too many.
    is_refused("what was sent comes back", || {
        let greedy = |input: &[u8], scan: &mut Scan| match prefix().decode(input, scan)? {
            Step::Message { body, len } if len < input.len() => Ok(Step::Message { body, len: len + 1 }),
            step => Ok(step),
        };
        framing(&Broken(greedy, encode));
    });
    // More than it says.
    is_refused("bytes", || {
        let step = |input: &[u8], scan: &mut Scan| LengthPrefix::u16_be().max(65535).decode(input, scan);
        framed_stream(&Broken(step, encode), &[&[0x10, 0][..], &[0; 5000]].concat(), &[]);
    });
}
