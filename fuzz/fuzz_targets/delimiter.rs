#![no_main]

use libfuzzer_sys::fuzz_target;
use socketserver_fuzz::{Result, Unstructured, check, max};
use socketserver_proto::framing::AnyFraming;
use std::fmt::Write as _;

fuzz_target!(|data: &[u8]| {
    // What is too short to say what it is about is of no interest.
    let _ = run(&mut Unstructured::new(data));
});

fn run(input: &mut Unstructured<'_>) -> Result<()> {
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
}
