//! What proves that somebody knows a token: HMAC-SHA-256 (RFC 2104) with the token as its key, over
//!
//! ```text
//! "socketserver-exec 1 " ("client" | "server") " " ("plain" | "tls") NUL
//! methods (1)  nonce of the server (32)  nonce of the client (32)  exporter (32, or none when plain)
//! ```
//!
//! All parts have a fixed length, so no two different things are the same bytes. Each side has words of its own, so neither
//! proof can be sent back for the other; methods are what the client was told, so nobody on the way can take better ones
//! off.

use super::{Binding, Token};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use socketserver_proto::exec::{MAC, Methods, NONCE, Side};

/// What a proof is about: this conversation, over this connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transcript {
    pub(crate) methods: Methods,
    pub(crate) server: [u8; NONCE],
    pub(crate) client: [u8; NONCE],
    pub(crate) binding: Binding,
}

impl Transcript {
    /// What this side says. `None`: nothing could tie it to the connection.
    pub(crate) fn prove(&self, side: Side, token: &Token) -> Option<[u8; MAC]> {
        Some(self.mac(side, token)?.finalize().into_bytes().into())
    }

    /// Whether that is what this side says. It takes the same time whatever it is.
    pub(crate) fn is_proved(&self, side: Side, token: &Token, mac: &[u8; MAC]) -> bool {
        self.mac(side, token).is_some_and(|right| right.verify_slice(mac).is_ok())
    }

    fn mac(&self, side: Side, token: &Token) -> Option<Hmac<Sha256>> {
        let (words, exporter) = match (side, &self.binding) {
            (Side::Client, Binding::Plain) => (&b"socketserver-exec 1 client plain\0"[..], &[][..]),
            (Side::Server, Binding::Plain) => (&b"socketserver-exec 1 server plain\0"[..], &[][..]),
            (Side::Client, Binding::Exporter(exporter)) => (&b"socketserver-exec 1 client tls\0"[..], &exporter[..]),
            (Side::Server, Binding::Exporter(exporter)) => (&b"socketserver-exec 1 server tls\0"[..], &exporter[..]),
            (_, Binding::Unbound) => return None,
        };
        // Keys may have any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(token.bytes()).ok()?;
        for part in [words, &[self.methods.0], &self.server, &self.client, exporter] {
            mac.update(part);
        }
        Some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn transcript(binding: Binding) -> Transcript {
        Transcript { methods: Methods(8), server: [1; 32], client: [2; 32], binding }
    }

    fn hex(mac: [u8; 32]) -> String {
        mac.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// As Python has it: `hmac.new(token, b'socketserver-exec 1 client plain\0\x08' + b'\1' * 32 + b'\2' * 32, 'sha256')`.
    #[test]
    fn proofs_are_as_others_compute_them() {
        let token = Token::new(TOKEN).unwrap();
        let plain = transcript(Binding::Plain);
        let tls = transcript(Binding::Exporter([3; 32]));
        for (transcript, side, expected) in [
            (plain, Side::Client, "cf78d1551d2f45a20ca5ca40b33bbc74e43d5deff6a11db2da316cde0564887b"),
            (plain, Side::Server, "aba71aa56ba9415fe24113981aafd2454d7b4f53b3b8cdc30d95cc2717880b79"),
            (tls, Side::Client, "4926d028e1abde5cf6ae70014b51d1ae2a993e49d59da5e0c200df8a4d00f81a"),
        ] {
            assert_eq!(hex(transcript.prove(side, &token).unwrap()), expected);
        }
    }

    #[test]
    fn a_proof_is_for_one_side_one_conversation_and_one_connection() {
        let token = Token::new(TOKEN).unwrap();
        let here = transcript(Binding::Exporter([3; 32]));
        let mac = here.prove(Side::Client, &token).unwrap();
        assert!(here.is_proved(Side::Client, &token, &mac));
        assert!(!here.is_proved(Side::Server, &token, &mac));
        assert!(!here.is_proved(Side::Client, &Token::new(&[b'x'; 32]).unwrap(), &mac));
        for other in [
            Transcript { methods: Methods(9), ..here },
            Transcript { server: [9; 32], ..here },
            Transcript { client: [9; 32], ..here },
            Transcript { binding: Binding::Exporter([9; 32]), ..here },
            Transcript { binding: Binding::Plain, ..here },
            Transcript { binding: Binding::Unbound, ..here },
        ] {
            assert!(!other.is_proved(Side::Client, &token, &mac), "{other:?}");
        }
        for at in 0..32 {
            let mut changed = mac;
            changed[at] ^= 1;
            assert!(!here.is_proved(Side::Client, &token, &changed));
        }
        assert_eq!(transcript(Binding::Unbound).prove(Side::Client, &token), None);
    }
}
