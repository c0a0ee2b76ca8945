#![no_main]

use libfuzzer_sys::fuzz_target;
use socketserver_fuzz::{Result, Unstructured, check};
use socketserver_proto::framing::Fixed;

fuzz_target!(|data: &[u8]| {
    // What is too short to say what it is about is of no interest.
    let _ = run(&mut Unstructured::new(data));
});

fn run(input: &mut Unstructured<'_>) -> Result<()> {
    let framing = Fixed::new(input.int_in_range(1..=100)?);
    check(&framing, input, true)
}
