#![no_main]

use libfuzzer_sys::fuzz_target;
use socketserver_fuzz::{Result, Unstructured, check};
use socketserver_proto::framing::AnyFraming;

fuzz_target!(|data: &[u8]| {
    // What is too short to say what it is about is of no interest.
    let _ = run(&mut Unstructured::new(data));
});

fn run(input: &mut Unstructured<'_>) -> Result<()> {
    // A line of text, then whatever.
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
            let message = error.to_string();
            let example = message.rsplit('`').nth(1).unwrap_or_default();
            assert!(example.parse::<AnyFraming>().is_ok(), "{message}");
            assert!(message.len() < 2_000 && !message.contains(char::is_control), "{message:?}");
            Ok(())
        }
    }
}
