#![no_main]

use libfuzzer_sys::fuzz_target;
use socketserver_fuzz::{Result, Unstructured, check_conversation};
use socketserver_proto::exec::Side;

fuzz_target!(|data: &[u8]| {
    // What is too short to say what it is about is of no interest.
    let _ = run(&mut Unstructured::new(data));
});

fn run(input: &mut Unstructured<'_>) -> Result<()> {
    let side = if input.ratio(1, 2)? { Side::Server } else { Side::Client };
    let mut pieces = Vec::new();
    for _ in 0..input.int_in_range(0..=20)? {
        pieces.push(input.int_in_range(1..=100)?);
    }
    let rest = input.peek_bytes(input.len()).unwrap_or_default();
    check_conversation(side, rest, &pieces);
    // Behind an opening that is right, where most of it is.
    let mut opened = b"SSEXEC\0\x01".to_vec();
    opened.extend_from_slice(rest);
    check_conversation(side, &opened, &pieces);
    Ok(())
}
