#![no_main]

use libfuzzer_sys::fuzz_target;
use socketserver_fuzz::{Result, Unstructured, check, max};
use socketserver_proto::framing::Netstring;

fuzz_target!(|data: &[u8]| {
    // What is too short to say what it is about is of no interest.
    let _ = run(&mut Unstructured::new(data));
});

fn run(input: &mut Unstructured<'_>) -> Result<()> {
    let framing = Netstring::new().max(max(input)?);
    let framing = if input.arbitrary()? { framing.skip_oversized() } else { framing };
    check(&framing, input, true)
}
