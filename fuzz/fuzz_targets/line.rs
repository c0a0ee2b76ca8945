#![no_main]

use libfuzzer_sys::fuzz_target;
use socketserver_fuzz::{Result, Unstructured, check, max};
use socketserver_proto::framing::Line;

fuzz_target!(|data: &[u8]| {
    // What is too short to say what it is about is of no interest.
    let _ = run(&mut Unstructured::new(data));
});

fn run(input: &mut Unstructured<'_>) -> Result<()> {
    let mut line = Line::new().max(max(input)?);
    if input.arbitrary()? {
        line = line.crlf();
    }
    if input.arbitrary()? {
        line = line.skip_oversized();
    }
    check(&line, input, false)
}
