//! Who does the cryptography: AWS-LC with the feature `aws-lc-rs`, else ring.
//!
//! It is always passed on by name. A process may have both in its build, through other crates, and the one default that
//! rustls has for a process then panics.

use super::Fingerprint;
use rustls::crypto::CryptoProvider;
#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as chosen;
use rustls::crypto::hash::{Hash, HashAlgorithm};
#[cfg(not(feature = "aws-lc-rs"))]
use rustls::crypto::ring as chosen;
use rustls::server::ProducesTickets;
use std::sync::{Arc, OnceLock};

/// The provider of every configuration.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(chosen::default_provider())).clone()
}

/// What makes and reads session tickets, with keys that change every six hours and are good for twelve.
pub(super) fn ticketer() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    chosen::Ticketer::new()
}

/// The SHA-256 digest of it.
pub(super) fn sha256(bytes: &[u8]) -> Fingerprint {
    let mut digest = [0; 32];
    digest.copy_from_slice(hash().hash(bytes).as_ref());
    digest.into()
}

/// SHA-256, as the suites of TLS 1.3 bring it along.
fn hash() -> &'static dyn Hash {
    let suites = chosen::DEFAULT_CIPHER_SUITES.iter();
    let mut hashes = suites.filter_map(|suite| suite.tls13()).map(|suite| suite.common.hash_provider);
    let sha256 = hashes.find(|hash| hash.algorithm() == HashAlgorithm::SHA256);
    sha256.unwrap_or_else(|| unreachable!("TLS_AES_128_GCM_SHA256 is mandatory (RFC 8446, section 9.1)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), expected.parse().unwrap());
    }
}
