#![no_main]

use libfuzzer_sys::fuzz_target;
use socketserver_fuzz::{Result, Unstructured, check, max};
use socketserver_proto::framing::AnyFraming;

fuzz_target!(|data: &[u8]| {
    // What is too short to say what it is about is of no interest.
    let _ = run(&mut Unstructured::new(data));
});

fn run(input: &mut Unstructured<'_>) -> Result<()> {
    let name = *input
        .choose(&["u8", "u16be", "u16le", "u24be", "u24le", "u32be", "u32le", "u64be", "u64le", "i32be", "i32le"])?;
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
}
