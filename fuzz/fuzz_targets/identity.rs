#![no_main]

use libfuzzer_sys::fuzz_target;
use socketserver::{AltName, Identity};

fuzz_target!(|data: &[u8]| {
    let Ok(identity) = Identity::from_der(&data.into()) else { return };
    assert_eq!(identity.der(), data);
    // Nothing in it ends a line, or is longer than what was read.
    let is_line = |text: &str| !text.chars().any(char::is_control);
    assert!(is_line(identity.subject()) && identity.subject().len() <= 16 * data.len());
    for name in identity.sans() {
        let text = name.to_string();
        assert!(is_line(&text) && (matches!(name, AltName::Ip(_)) || text.len() <= data.len() + "email:".len()));
    }
});
