//! Streams of messages: each framing, with parameters and limits of all kinds.

use crate::stream;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use socketserver_proto::framing::{AnyFraming, Fixed, Framing, Line, Netstring, Varint};
use std::fmt::Write as _;

/// A length before each message.
pub fn length_prefix(data: &[u8]) {
    with(data, |input| {
        let name = *input.choose(&[
            "u8", "u16be", "u16le", "u24be", "u24le", "u32be", "u32le", "u64be", "u64le", "i32be", "i32le",
        ])?;
        let mut text = format!("{name},max={}", max(input)?);
        if input.arbitrary()? {
            text += &format!(",offset={}", input.int_in_range(0..=20)?);
        } else if input.arbitrary()? {
            text += r",header=\xca\xfe";
        }
        if input.arbitrary()? {
            text += &format!(",adjustment={}", input.int_in_range(-30..=30)?);
        }
        if input.arbitrary()? {
            text += &format!(",strip={}", input.int_in_range(0..=30)?);
        }
        if input.arbitrary()? {
            text += ",inclusive";
        }
        if input.arbitrary()? {
            text += ",skip-oversized";
        }
        // As text, since parameters that let nothing through are an error there and a panic in the methods.
        match text.parse::<AnyFraming>() {
            Ok(framing) => check(&framing, input, true),
            Err(error) => {
                assert!(error.to_string().contains("no message"), "{text}: {error}");
                Ok(())
            }
        }
    });
}

/// One or several delimiters behind each message.
pub fn delimiter(data: &[u8]) {
    with(data, |input| {
        let mut text = String::new();
        for i in 0..input.int_in_range(1..=5)? {
            text += if i == 0 { "delimiter=" } else { ",or=" };
            for _ in 0..input.int_in_range(1..=4)? {
                let byte = if input.arbitrary()? { input.arbitrary()? } else { *input.choose(b"ab\r\n")? };
                let _ = write!(text, r"\x{byte:02x}");
            }
        }
        let _ = write!(text, ",max={}", max(input)?);
        if input.arbitrary()? {
            text += ",skip-oversized";
        }
        // As text, since delimiters that cannot be told apart are an error there and a panic in the methods.
        match text.parse::<AnyFraming>() {
            Ok(framing) => check(&framing, input, false),
            Err(error) => {
                assert!(error.to_string().contains("the "), "{text}: {error}");
                Ok(())
            }
        }
    });
}

/// Lines.
pub fn line(data: &[u8]) {
    with(data, |input| {
        let mut line = Line::new().max(max(input)?);
        if input.arbitrary()? {
            line = line.crlf();
        }
        if input.arbitrary()? {
            line = line.skip_oversized();
        }
        check(&line, input, false)
    });
}

/// Messages of one length.
pub fn fixed(data: &[u8]) {
    with(data, |input| {
        let framing = Fixed::new(input.int_in_range(1..=100)?);
        check(&framing, input, true)
    });
}

/// Netstrings.
pub fn netstring(data: &[u8]) {
    with(data, |input| {
        let framing = Netstring::new().max(max(input)?);
        let framing = if input.arbitrary()? { framing.skip_oversized() } else { framing };
        check(&framing, input, true)
    });
}

/// A varint before each message.
pub fn varint(data: &[u8]) {
    with(data, |input| {
        let framing = Varint::new().max(max(input)?);
        let framing = if input.arbitrary()? { framing.skip_oversized() } else { framing };
        check(&framing, input, true)
    });
}

/// What is typed for a framing, in a line, and a stream behind it.
pub fn any_framing(data: &[u8]) {
    with(data, |input| {
        let all = input.peek_bytes(input.len()).unwrap_or_default();
        let end = all.iter().position(|byte| *byte == b'\n').unwrap_or(all.len());
        let Ok(text) = std::str::from_utf8(input.bytes(end)?) else { return Ok(()) };
        let _: Option<&[u8]> = input.bytes(1).ok();
        match text.parse::<AnyFraming>() {
            Ok(framing) => {
                assert_eq!(framing.to_string().parse(), Ok(framing.clone()), "{text}");
                check(&framing, input, false)
            }
            Err(error) => {
                crate::typed::refused::<AnyFraming>(text, &error);
                Ok(())
            }
        }
    });
}

/// What is too short to say what it is about is of no interest.
fn with(data: &[u8], run: impl FnOnce(&mut Unstructured<'_>) -> Result<()>) {
    let _ = run(&mut Unstructured::new(data));
}

/// The rest of the input is a stream, and how it comes in pieces. What holds of any framing holds of this one.
fn check(framing: &impl Framing, input: &mut Unstructured<'_>, all_can_be_sent: bool) -> Result<()> {
    let mut pieces = Vec::new();
    for _ in 0..input.int_in_range(0..=20)? {
        pieces.push(input.int_in_range(1..=40)?);
    }
    let stream = input.peek_bytes(input.len()).unwrap_or_default();
    stream::holds(framing, stream, &pieces, all_can_be_sent);
    // The same bytes as messages.
    let messages: Vec<_> =
        stream.split(|byte| *byte == b'|').map(|message| stream::with_its_length(framing, message)).collect();
    stream::sent_comes_back(framing, &messages, &pieces, false);
    Ok(())
}

/// A limit: small ones, that are met with, and large ones.
fn max(input: &mut Unstructured<'_>) -> Result<usize> {
    Ok(match input.int_in_range(0..=3)? {
        0 => input.int_in_range(0..=9)?,
        1 => input.int_in_range(0..=300)?,
        2 => 1 << 20,
        _ => usize::MAX,
    })
}
