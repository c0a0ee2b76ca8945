use super::{Binding, Channel, Token, Transcript, may_be_anybody};
use socketserver::Rate;
use socketserver_proto::exec::{MAC, Method, Methods, NONCE, Proof, Side};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// Who may ask for commands over the native protocol, and how that is proved. Any one proof will do.
///
/// | over | by default | what may be added |
/// |---|---|---|
/// | a Unix socket | the server's own user, and root | [other users](Self::allow_user), [a token](Self::token) |
/// | TCP on the loopback | anybody, unless something was added | a token |
/// | TLS | nobody; on the loopback anybody, unless something was added | a token, [names in certificates](Self::allow_san) |
/// | TCP beyond the loopback | nobody | nothing |
///
/// A peer may fail five times, and then once each 12 s (an IPv4 address, an IPv6 network of 64 bits, a user); else it is refused
/// at once.
///
/// ```
/// use socketserver_exec::{Auth, Token};
/// let token = Token::new(b"c4f0b1c5fd1c4c1e8d7a64a0f7bd3a52")?;
/// let auth = Auth::new().token(token).allow_san("client.example").max_failures("10/m".parse::<socketserver::Rate>()?);
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone)]
pub struct Auth {
    token: Option<Token>,
    users: BTreeSet<u32>,
    names: BTreeSet<String>,
    failures: Option<Rate>,
}

/// How often a peer may fail.
fn five_a_minute() -> Option<Rate> {
    Rate::per(5, Duration::from_secs(60)).ok()
}

impl Default for Auth {
    fn default() -> Self {
        Self { token: None, users: BTreeSet::new(), names: BTreeSet::new(), failures: five_a_minute() }
    }
}

impl Auth {
    /// As the table says, with nothing added.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whoever knows this token may ask.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// This user may ask over Unix sockets, beside the server's own and root.
    #[must_use]
    pub fn allow_user(mut self, uid: u32) -> Self {
        self.users.insert(uid);
        self
    }

    /// Whoever has shown a certificate for this name may ask (`subjectAltName`, RFC 5280, section 4.2.1.6): of a host
    /// (`client.example`), a URI (`spiffe://example/client`), a mailbox (`me@example.org`) or an address. What it is may stand in
    /// front, as in `DNS:client.example`. It has to be the whole name, and no pattern is looked for in either; capital letters
    /// count, but for those in names of hosts. That a certificate was verified is not enough: an authority may have issued any
    /// number of them.
    #[must_use]
    pub fn allow_san(mut self, name: &str) -> Self {
        self.names.insert(typed(name));
        self
    }

    /// How often a peer may fail to prove who it is, `5/m` unless said otherwise: so many at once, and then no more often
    /// than that. `None` is as often as it likes.
    #[must_use]
    pub fn max_failures(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.failures = rate.into();
        self
    }

    pub(crate) fn failures(&self) -> Option<Rate> {
        self.failures
    }

    /// Whether somebody may prove who he is where a secret can be heard by nobody else.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether certificates are looked at.
    pub(crate) fn has_names(&self) -> bool {
        !self.names.is_empty()
    }

    /// Whether anything was added: then nobody may ask without a proof.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.token.is_some() || !self.names.is_empty() || !self.users.is_empty()
    }

    /// What may be proved over this connection.
    pub(crate) fn methods(&self, channel: &Channel) -> Methods {
        let bound = match channel.binding {
            Binding::Plain => channel.is_near,
            Binding::Exporter(_) => true,
            Binding::Unbound => false,
        };
        let mut methods = Methods::default();
        let mut take = |when, method| methods = if when { methods.with(method) } else { methods };
        take(channel.credentials.is_some(), Method::Credentials);
        take(self.token.is_some() && bound, Method::Token);
        take(channel.is_near && channel.credentials.is_none() && !self.is_asked_for(), Method::None);
        // Who has shown none is sent on the way that is left; where there is no other it is told what was missing.
        let may_show = self.has_names() && channel.binding != Binding::Plain;
        if may_show && (channel.certificate.is_some() || methods.is_empty()) {
            methods = methods.with(Method::Certificate);
        }
        methods
    }

    /// Whether that will do. `Err`: what to say; nothing of it is a secret.
    pub(crate) fn judge(
        &self,
        channel: &Channel,
        methods: Methods,
        nonce: [u8; NONCE],
        proof: &Proof,
    ) -> Result<Granted, Denied> {
        let denied = |subject: Option<String>, text: &str| Err(Denied { subject, text: text.to_owned() });
        // As `denied`, where a token could have proved it.
        let denied_without_token = |subject: Option<String>, text: &str| {
            let other = match self.has_token() {
                true if methods.has(Method::Token) => "; a token would do too (`--token-file FILE`)",
                true if channel.binding == Binding::Unbound => "; a token would do too, over TLS 1.3",
                _ => "",
            };
            Err(Denied { subject, text: format!("{text}{other}") })
        };
        if !methods.has(proof.method()) {
            let offered = if methods.is_empty() { "nothing".to_owned() } else { methods.to_string() };
            return denied(None, &format!("{} proves nothing here; taken is: {offered}", proof.method()));
        }
        match proof {
            Proof::None => Ok(Granted { subject: None, mac: None }),
            Proof::Credentials => {
                let Some(uid) = channel.credentials.map(|credentials| credentials.uid) else {
                    return denied_without_token(None, "the kernel does not say who is there");
                };
                if may_be_anybody(uid) {
                    return denied_without_token(
                        None,
                        "the kernel does not say who is there: a user of another namespace",
                    );
                }
                let subject = Some(format!("uid={uid}"));
                if uid == 0 || uid == rustix::process::geteuid().as_raw() || self.users.contains(&uid) {
                    return Ok(Granted { subject, mac: None });
                }
                denied_without_token(subject, &format!("user {uid} may not ask here"))
            }
            Proof::Certificate => {
                let Some(certificate) = &channel.certificate else {
                    return denied_without_token(None, "no certificate was shown");
                };
                let is_allowed = |name: &&String| self.names.contains(&folded(name));
                match certificate.names.iter().find(is_allowed) {
                    Some(name) => Ok(Granted { subject: Some(format!("san={name}")), mac: None }),
                    None => {
                        let shown = certificate.names.first().map(|name| format!("san={name}"));
                        let text = "the certificate was verified, and it is for no name that may ask here";
                        denied_without_token(shown, text)
                    }
                }
            }
            Proof::Token { nonce: client, mac } => {
                let transcript = Transcript { methods, server: nonce, client: *client, binding: channel.binding };
                let right = self.token.as_ref().filter(|token| transcript.is_proved(Side::Client, token, mac));
                match right {
                    Some(token) => {
                        Ok(Granted { subject: Some("token".into()), mac: transcript.prove(Side::Server, token) })
                    }
                    None => denied(None, "the proof is not that of the server's token for this connection"),
                }
            }
            _ => denied(None, "it is not known how to look at that"),
        }
    }
}

/// A name as certificates have it, with what it is in front.
fn typed(name: &str) -> String {
    const KINDS: [&str; 4] = ["DNS:", "URI:", "email:", "IP:"];
    let name = match name.parse::<IpAddr>() {
        Ok(address) => format!("IP:{address}"),
        Err(_) if KINDS.iter().any(|kind| name.starts_with(kind)) => name.to_owned(),
        Err(_) if name.contains("://") => format!("URI:{name}"),
        Err(_) if name.contains('@') => format!("email:{name}"),
        Err(_) => format!("DNS:{name}"),
    };
    folded(&name)
}

/// As names are compared: those of hosts in small letters (RFC 4343).
fn folded(name: &str) -> String {
    match name.strip_prefix("DNS:") {
        Some(host) => format!("DNS:{}", host.to_ascii_lowercase()),
        None => name.to_owned(),
    }
}

/// Who asks.
#[derive(Debug)]
pub(crate) struct Granted {
    /// As the log has it; `None`: anybody may.
    pub(crate) subject: Option<String>,
    /// What the server proves in turn.
    pub(crate) mac: Option<[u8; MAC]>,
}

/// Who may not ask.
#[derive(Debug)]
pub(crate) struct Denied {
    /// As far as it is known.
    pub(crate) subject: Option<String>,
    pub(crate) text: String,
}

#[cfg(test)]
mod tests {
    use super::super::Certificate;
    use super::*;

    fn auth() -> Auth {
        Auth::new()
    }

    fn token() -> Token {
        Token::new(&[b'x'; 32]).unwrap()
    }

    fn near() -> Channel {
        Channel { is_near: true, ..Channel::default() }
    }

    fn tls(names: &[&str]) -> Channel {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Channel { certificate: Some(Certificate { names }), binding: Binding::Exporter([7; 32]), ..Channel::default() }
    }

    #[test]
    fn what_may_be_proved_depends_on_where() {
        let methods = |auth: &Auth, channel: &Channel| auth.methods(channel).to_string();
        assert_eq!(methods(&auth(), &near()), "none");
        assert_eq!(methods(&auth().token(token()), &near()), "token");
        assert_eq!(methods(&auth().allow_user(7), &near()), "");
        let far = Channel::default();
        for auth in [auth(), auth().token(token()), auth().allow_san("a")] {
            assert_eq!(methods(&auth, &far), "", "beyond the loopback without TLS");
        }
        assert_eq!(methods(&auth(), &tls(&[])), "");
        assert_eq!(methods(&auth().token(token()).allow_san("a"), &tls(&[])), "certificate, token");
        let unbound = Channel { binding: Binding::Unbound, ..tls(&[]) };
        assert_eq!(methods(&auth().token(token()).allow_san("a"), &unbound), "certificate");
        assert_eq!(methods(&auth(), &Channel { is_near: true, ..tls(&[]) }), "none");
        let unshown = Channel { certificate: None, ..tls(&[]) };
        assert_eq!(methods(&auth().token(token()).allow_san("a"), &unshown), "token");
        assert_eq!(methods(&auth().allow_san("a"), &unshown), "certificate");
        let unbound = Channel { certificate: None, ..unbound };
        assert_eq!(methods(&auth().token(token()).allow_san("a"), &unbound), "certificate");
    }

    #[test]
    fn a_certificate_is_good_for_a_name_that_may_ask() {
        let auth = auth().allow_san("Client.example").allow_san("spiffe://example/Client");
        let judge = |channel: &Channel| auth.judge(channel, auth.methods(channel), [0; 32], &Proof::Certificate);
        let granted = judge(&tls(&["DNS:other.example", "DNS:CLIENT.example"])).unwrap();
        assert_eq!(granted.subject.as_deref(), Some("san=DNS:CLIENT.example"));
        let denied = judge(&tls(&["DNS:other.example"])).unwrap_err();
        assert_eq!(denied.subject.as_deref(), Some("san=DNS:other.example"));
        assert!(denied.text.contains("no name that may ask"));
        assert!(judge(&tls(&["URI:spiffe://example/Client"])).is_ok());
        for names in [
            &[][..],
            &["URI:spiffe://example/client"],
            &["DNS:spiffe://example/Client"],
            &["DNS:*.example"],
            &["DNS:client.example.org"],
            &["email:client.example"],
        ] {
            assert!(judge(&tls(names)).is_err(), "{names:?}");
        }
        assert!(judge(&Channel { certificate: None, ..tls(&[]) }).is_err());
    }

    #[test]
    fn who_is_denied_is_told_of_the_token() {
        let said = |auth: &Auth, channel: &Channel, proof: &Proof| {
            auth.judge(channel, auth.methods(channel), [0; 32], proof).unwrap_err().text
        };
        let (names, both) = (auth().allow_san("a"), auth().allow_san("a").token(token()));
        let unbound = Channel { certificate: None, binding: Binding::Unbound, ..tls(&[]) };
        assert!(said(&both, &tls(&["DNS:b"]), &Proof::Certificate).contains("`--token-file FILE`"));
        assert!(said(&both, &unbound, &Proof::Certificate).contains("TLS 1.3"));
        assert!(!said(&names, &tls(&["DNS:b"]), &Proof::Certificate).contains("token"));
    }

    #[test]
    fn a_method_that_was_not_offered_proves_nothing() {
        let auth = auth().token(token());
        for proof in [Proof::None, Proof::Credentials, Proof::Certificate] {
            let denied = auth.judge(&near(), auth.methods(&near()), [0; 32], &proof).unwrap_err();
            assert!(denied.text.contains("token"), "{denied:?}");
        }
    }

    #[test]
    fn nobody_reads_the_token_out_of_it() {
        let secret = "0123456789abcdef0123456789abcdef";
        let auth = auth().token(Token::new(secret.as_bytes()).unwrap());
        assert!(!format!("{auth:?}").contains("0123"));
    }
}
