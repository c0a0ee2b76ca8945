//! Whatever is sent in whatever pieces: of each framing, what holds for all of them.

#[path = "../../../testkit/src/conformance/stream.rs"]
mod stream;

use proptest::collection::vec;
use proptest::prelude::*;
use socketserver_proto::framing::{AnyFraming, Delimiter, Fixed, Framing, LengthPrefix, Line, Netstring, Varint};
use stream::{holds, sent_comes_back, with_its_length};

/// A framing, and whether everything that it gives can be sent in it.
fn checked(framing: &impl Framing, messages: &[Vec<u8>], garbage: &[u8], pieces: &[usize], all_can_be_sent: bool) {
    sent_comes_back(framing, messages, pieces, false);
    // Frames, and something wrong among them.
    let mut stream = Vec::new();
    for (i, message) in messages.iter().enumerate() {
        let _ = framing.encode(message, &mut stream);
        if i == messages.len() / 2 {
            stream.extend_from_slice(garbage);
        }
    }
    holds(framing, &stream, pieces, all_can_be_sent);
    holds(framing, garbage, pieces, all_can_be_sent);
}

/// Bytes of which many mean something to some framing.
fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        8 => proptest::sample::select(b"ab\r\n\0\x01\x02\x05\x10,:0123-\x7f\x80\xff".to_vec()),
        1 => any::<u8>(),
    ];
    vec(byte, 0..max)
}

fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(prop_oneof![9 => bytes(20), 1 => bytes(300)], 0..6)
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![3 => 1..8_usize, 1 => 1..100_usize], 0..60)
}

fn length_prefix() -> impl Strategy<Value = LengthPrefix> {
    let field = proptest::sample::select(vec![
        (LengthPrefix::u8(), 1),
        (LengthPrefix::u16_be(), 2),
        (LengthPrefix::u16_le(), 2),
        (LengthPrefix::u16_ne(), 2),
        (LengthPrefix::u24_be(), 3),
        (LengthPrefix::u24_le(), 3),
        (LengthPrefix::u24_ne(), 3),
        (LengthPrefix::u32_be(), 4),
        (LengthPrefix::u32_le(), 4),
        (LengthPrefix::u32_ne(), 4),
        (LengthPrefix::u64_be(), 8),
        (LengthPrefix::u64_le(), 8),
        (LengthPrefix::u64_ne(), 8),
        (LengthPrefix::i32_be(), 4),
        (LengthPrefix::i32_le(), 4),
        (LengthPrefix::i32_ne(), 4),
    ]);
    let header = prop_oneof![2 => Just(vec![]), 1 => bytes(17), 1 => (0..30_usize).prop_map(|len| vec![0; len])];
    let strip = proptest::option::of(0..40_usize);
    let adjustment = prop_oneof![1 => Just(0), 1 => -8..20_i32, 1 => -40..=-8_i32];
    let max = prop_oneof![64..100_usize, Just(1 << 20), Just(usize::MAX)];
    (field, header, strip, adjustment, any::<bool>(), max, any::<bool>()).prop_map(
        |((mut framing, width), header, strip, adjustment, inclusive, max, skip)| {
            framing = framing.max(max);
            framing = match header.iter().all(|byte| *byte == 0) {
                true => framing.offset(header.len()),
                false => framing.header(&header),
            };
            if let Some(strip) = strip {
                framing = framing.strip(strip);
            }
            if inclusive {
                framing = framing.inclusive();
            }
            if skip {
                framing = framing.skip_oversized();
            }
            // Less would leave no message that could come.
            framing.adjustment(adjustment.max(-width - header.len() as i32 - 60))
        },
    )
}

fn max() -> impl Strategy<Value = usize> {
    prop_oneof![0..5_usize, 5..40_usize, Just(1 << 16), Just(usize::MAX)]
}

fn line() -> impl Strategy<Value = Line> {
    (any::<bool>(), max(), any::<bool>()).prop_map(|(crlf, max, skip)| {
        let mut line = Line::new().max(max);
        if crlf {
            line = line.crlf();
        }
        if skip { line.skip_oversized() } else { line }
    })
}

fn delimiter() -> impl Strategy<Value = Delimiter> {
    let lists: [&[&str]; 13] = [
        &["\n"],
        &["a", "b", "0"],
        &["\r\n"],
        &["\r\n\r\n"],
        &["aab"],
        &["aaaa"],
        &["\r\n", "\n"],
        &["\r\n", "\n", "\r"],
        &["\n\n", "\n"],
        &["ab", "ba"],
        &["abc", "c", "ab"],
        &["aa0", "ab1", "a,,,"],
        &["a", "b", "0", "1", "--"],
    ];
    (proptest::sample::select(lists.to_vec()), max(), any::<bool>()).prop_map(|(list, max, skip)| {
        let framing = list[1..].iter().fold(Delimiter::new(list[0]), Delimiter::or).max(max);
        if skip { framing.skip_oversized() } else { framing }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn length_prefixes(framing in length_prefix(), mut messages in messages(), garbage in bytes(200), pieces in pieces()) {
        for message in &mut messages {
            *message = with_its_length(&framing, message);
        }
        checked(&framing, &messages, &garbage, &pieces, true);
    }

    #[test]
    fn lines(framing in line(), messages in messages(), garbage in bytes(200), pieces in pieces()) {
        checked(&framing, &messages, &garbage, &pieces, false);
    }

    #[test]
    fn fixed(len in 1..30_usize, messages in messages(), garbage in bytes(200), pieces in pieces()) {
        checked(&Fixed::new(len), &messages, &garbage, &pieces, true);
    }

    #[test]
    fn netstrings(max in max(), skip in any::<bool>(), messages in messages(), garbage in bytes(200), pieces in pieces()) {
        let framing = Netstring::new().max(max);
        let framing = if skip { framing.skip_oversized() } else { framing };
        checked(&framing, &messages, &garbage, &pieces, true);
        // What begins as one.
        let garbage = [b"7:", &garbage[..]].concat();
        checked(&framing, &messages, &garbage, &pieces, true);
    }

    #[test]
    fn varints(max in max(), skip in any::<bool>(), messages in messages(), garbage in bytes(200), pieces in pieces()) {
        let framing = Varint::new().max(max);
        checked(&if skip { framing.skip_oversized() } else { framing }, &messages, &garbage, &pieces, true);
    }

    #[test]
    fn delimiters(framing in delimiter(), messages in messages(), garbage in bytes(200), pieces in pieces()) {
        checked(&framing, &messages, &garbage, &pieces, false);
    }

    /// What was typed does what the framing itself does, and so does one that is lent.
    #[test]
    fn as_typed(max in 0..40_usize, messages in messages(), garbage in bytes(200), pieces in pieces()) {
        fn same(text: &str, framing: impl Framing, messages: &[Vec<u8>], garbage: &[u8], pieces: &[usize]) {
            let typed: AnyFraming = text.parse().unwrap();
            assert_eq!(typed.max_message(), framing.max_message());
            let mut streams = [garbage.to_vec(), Vec::new(), Vec::new()];
            for message in messages {
                let expected = framing.encode(message, &mut streams[1]);
                assert_eq!(typed.encode(message, &mut streams[2]), expected, "{text}");
            }
            assert_eq!(streams[1], streams[2], "{text}");
            for stream in &streams[..2] {
                let outcome = stream::read(&framing, stream, pieces.iter().copied());
                assert_eq!(stream::read(&&typed, stream, pieces.iter().copied()), outcome, "{text}");
            }
        }
        let all = (&messages[..], &garbage[..], &pieces[..]);
        same(&format!("line,max={max}"), Line::new().max(max), all.0, all.1, all.2);
        same(&format!("netstring,max={max}"), Netstring::new().max(max), all.0, all.1, all.2);
        same(&format!("varint,max={max}"), Varint::new().max(max), all.0, all.1, all.2);
        same(&format!("u16be,max={max}"), LengthPrefix::u16_be().max(max), all.0, all.1, all.2);
        same(&format!("fixed={}", max + 1), Fixed::new(max + 1), all.0, all.1, all.2);
        same(&format!("delimiter=ab,or=c,max={max}"), Delimiter::new("ab").or("c").max(max), all.0, all.1, all.2);
    }
}

#[test]
fn nothing_said_is_what_new_says() {
    assert_eq!(
        (Line::default(), Netstring::default(), Varint::default()),
        (Line::new(), Netstring::new(), Varint::new())
    );
}
