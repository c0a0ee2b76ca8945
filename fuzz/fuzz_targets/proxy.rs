#![no_main]

use libfuzzer_sys::fuzz_target;
use socketserver_fuzz::check_proxy;

/// What most headers of version 2 begin with. It is not left to chance: few inputs would get beyond it.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fuzz_target!(|data: &[u8]| {
    check_proxy(data);
    check_proxy(&[SIGNATURE, data].concat());
    check_proxy(&[b"PROXY ", data].concat());
});
