#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| socketserver_fuzz::load_packets(data));
