use super::{AltName, Identity};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::sync::Arc;

/// The certificates of a server, and which of them a client is shown: one that is for the name that it asks for (SNI, RFC
/// 6066), and the first of all where there is none, or no name.
#[derive(Debug)]
pub(super) struct Certificates {
    all: Vec<Arc<CertifiedKey>>,
    /// By whole name.
    names: HashMap<Box<str>, Vec<usize>>,
    /// By what follows the first label.
    wildcards: HashMap<Box<str>, Vec<usize>>,
}

impl Certificates {
    pub(super) fn new(all: Vec<(Arc<CertifiedKey>, Identity)>) -> Self {
        let (mut names, mut wildcards) = (HashMap::new(), HashMap::new());
        for (at, (_, identity)) in all.iter().enumerate() {
            for san in identity.sans() {
                let AltName::Dns(name) = san else { continue };
                let places: &mut Vec<usize> = match name.strip_prefix("*.") {
                    Some(parent) => wildcards.entry(Box::from(parent)).or_default(),
                    None => names.entry(Box::from(name.as_str())).or_default(),
                };
                places.push(at);
            }
        }
        Self { all: all.into_iter().map(|(key, _)| key).collect(), names, wildcards }
    }

    /// Those for this name, the best first.
    fn places(&self, name: &str) -> &[usize] {
        if let Some(places) = self.names.get(name) {
            return places;
        }
        // A wildcard stands for one whole label (RFC 6125, section 6.4.3).
        let parent = name.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, parent)| parent);
        parent.and_then(|parent| self.wildcards.get(parent)).map_or(&[], Vec::as_slice)
    }

    fn choose(&self, name: Option<&str>, usable: impl Fn(&CertifiedKey) -> bool) -> Option<Arc<CertifiedKey>> {
        let places = name.map_or(&[][..], |name| self.places(name));
        let places = if places.is_empty() { &[0][..] } else { places };
        // Two certificates for one name have keys of two kinds, for clients that do not know both.
        let best = places.iter().copied().find(|at| self.all.get(*at).is_some_and(|key| usable(key)));
        self.all.get(best.or(places.first().copied())?).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), |key| key.key.choose_scheme(hello.signature_schemes()).is_some())
    }
}
