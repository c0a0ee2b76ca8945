use super::load::useless;
use super::server::Pair;
use crate::Error;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate for these names that its own key has signed (ECDSA on P-256).
pub(super) fn make(names: Vec<String>) -> Result<Pair, Error> {
    let failed = |error: rcgen::Error| useless(format!("cannot make a certificate for {names:?}: {error}"));
    let first = names.first().cloned();
    let first = first.ok_or_else(|| useless("a certificate is for one name at least, `localhost` say".to_owned()))?;
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::new(names.clone()).map_err(failed)?;
    // Clocks differ.
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + 365 * DAY).into();
    params.distinguished_name.push(DnType::CommonName, first);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(Pair::Made { certificate: certificate.der().clone(), key: key.serialized_der().into() })
}
