//! `serve` over TLS: what it shows of itself, and whom it lets in.

use crate::args::{Log, first_given};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socketserver::{Endpoint, Failure, Host, Server, ServerTls, Signal, TlsVersion};
use std::collections::BTreeSet;
use std::io::{IsTerminal, stderr, stdin};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

const TLS: &str = "TLS (tls://, wss://)";

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Tls {
    /// A certificate with the chain above it, PEM; of several each client is shown the one for the name that it asks for (SNI)
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    tls_cert: Vec<PathBuf>,

    /// The key of each certificate, in their order; not needed where they stand in one file
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    tls_key: Vec<PathBuf>,

    /// Make a certificate, in memory, and print its fingerprint: to try things out
    ///
    /// It is for the hosts of the addresses, for `localhost` and the loopback, and for the name of this machine; of `chat` for
    /// every --host too. `connect --insecure-fingerprint` takes the fingerprint.
    #[arg(long, help_heading = TLS)]
    tls_self_signed: bool,

    /// Clients have to show a certificate that an authority in this file issued; may be given several times
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    tls_client_ca: Vec<PathBuf>,

    /// Clients may show a certificate that an authority in this file issued, or none; may be given several times
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    tls_optional_client_ca: Vec<PathBuf>,

    /// The oldest version that is spoken, `1.2` or `1.3` [default: 1.2]
    #[arg(long, value_name = "VERSION", value_parser = version, help_heading = TLS)]
    tls_min_version: Option<TlsVersion>,

    /// What is spoken over it, the best first (ALPN): clients that ask for something else alone are turned away
    #[arg(long, value_name = "PROTO", value_delimiter = ',', help_heading = TLS)]
    tls_alpn: Vec<String>,
}

impl Tls {
    /// What a server shows at these addresses; `None` where it speaks no TLS. `names`: by which else it goes.
    ///
    /// # Errors
    /// Arguments that do not go together, or have nothing to be for. Files are not looked at.
    pub(crate) fn of_server(&self, addresses: &[Endpoint], names: &[String]) -> Result<Option<ServerTls>, Failure> {
        let Some(first) = addresses.iter().find(|address| address.is_tls()) else {
            return match self.given() {
                Some(flag) => Err(format!("`{flag}` is for `tls://…` and `wss://…`, and no address is one").into()),
                None => Ok(None),
            };
        };
        self.check(first)?;
        if let Some(page) = addresses.iter().find(|address| address.is_tls() && address.path().is_some()) {
            self.check_page(page)?;
        }
        let mut tls = ServerTls::new().alpn(&self.tls_alpn);
        if self.tls_self_signed {
            tls = tls.self_signed(all_names(addresses, names))?;
        }
        for (at, certificate) in self.tls_cert.iter().enumerate() {
            tls = tls.certificate(certificate, self.tls_key.get(at).unwrap_or(certificate));
        }
        tls = self.tls_client_ca.iter().fold(tls, ServerTls::client_ca);
        tls = self.tls_optional_client_ca.iter().fold(tls, ServerTls::optional_client_ca);
        Ok(Some(match self.tls_min_version {
            Some(version) => tls.min_version(version),
            None => tls,
        }))
    }

    /// Whether clients are asked for certificates.
    pub(crate) fn asks_clients(&self) -> bool {
        !self.tls_client_ca.is_empty() || !self.tls_optional_client_ca.is_empty()
    }

    /// Whether what was given goes together, for an address with TLS.
    fn check(&self, address: &Endpoint) -> Result<(), Failure> {
        let (certificates, keys) = (self.tls_cert.len(), self.tls_key.len());
        if self.tls_self_signed && certificates + keys > 0 {
            Err(
                "`--tls-self-signed` makes a certificate and a key, so there are none to read: leave out `--tls-cert` and `--tls-key`, \
                 or `--tls-self-signed`",
            )?;
        }
        if certificates == 0 && keys > 0 {
            Err("`--tls-key` wants the certificate that the key is of: `--tls-cert FILE`")?;
        }
        if certificates == 0 && !self.tls_self_signed {
            Err(format!(
                "`{address}` wants a certificate: `--tls-cert FILE --tls-key FILE` name one and its key; \
                 `--tls-self-signed` makes one, to try things out"
            ))?;
        }
        if keys > 0 && keys != certificates {
            Err(format!(
                "`--tls-cert` is given {certificates} times and `--tls-key` {keys}: each certificate has its key, in the \
                 same order, or all have theirs in their own file"
            ))?;
        }
        if !self.tls_client_ca.is_empty() && !self.tls_optional_client_ca.is_empty() {
            Err(
                "`--tls-client-ca` wants a certificate of each client, and `--tls-optional-client-ca` does not: give one \
                 of them, several times if need be",
            )?;
        }
        Ok(())
    }

    /// Whether browsers are let in at an address that is for them.
    fn check_page(&self, address: &Endpoint) -> Result<(), Failure> {
        if !self.tls_alpn.is_empty() && !self.tls_alpn.iter().any(|name| name == "http/1.1") {
            Err(format!("browsers ask `{address}` for `http/1.1`: `--tls-alpn` must have that among its protocols"))?;
        }
        Ok(())
    }

    /// The first flag of these that was given.
    fn given(&self) -> Option<&'static str> {
        first_given([
            ("--tls-cert", !self.tls_cert.is_empty()),
            ("--tls-key", !self.tls_key.is_empty()),
            ("--tls-self-signed", self.tls_self_signed),
            ("--tls-client-ca", !self.tls_client_ca.is_empty()),
            ("--tls-optional-client-ca", !self.tls_optional_client_ca.is_empty()),
            ("--tls-min-version", self.tls_min_version.is_some()),
            ("--tls-alpn", !self.tls_alpn.is_empty()),
        ])
    }

    /// Has the server shake hands so, and HUP read the files again. A certificate that was made is told.
    ///
    /// # Errors
    /// A file that cannot be read or is of no use.
    pub(crate) fn arm(&self, server: Server, tls: ServerTls, log: Log) -> Result<Server, Failure> {
        let made = if self.tls_self_signed { Some(tls.fingerprint()?) } else { None };
        let mut server = server.tls(tls)?;
        let files = [&self.tls_cert, &self.tls_client_ca, &self.tls_optional_client_ca];
        // With nothing to read HUP ends the server, as ever.
        if files.iter().any(|files| !files.is_empty()) {
            let terminals = Terminals::here();
            server = server.on_signal(Signal::Hangup, move |handle| {
                if terminals.are_gone() {
                    handle.shutdown();
                } else {
                    // What came of it is an event of its own.
                    let _ = handle.reload_tls();
                }
                Ok(())
            })?;
        }
        if let Some(fingerprint) = made {
            log.made(fingerprint);
        }
        Ok(server)
    }
}

/// `1.2`, `1.3`.
fn version(text: &str) -> Result<TlsVersion, String> {
    match text {
        "1.2" => Ok(TlsVersion::Tls12),
        "1.3" => Ok(TlsVersion::Tls13),
        _ => Err(format!("`{text}` is no version of TLS that is spoken; one of `1.2`, `1.3`")),
    }
}

/// Every name by which a client may come to these addresses, as far as it can be known.
fn all_names(addresses: &[Endpoint], names: &[String]) -> BTreeSet<String> {
    let hosts = addresses.iter().filter(|address| address.is_tls()).filter_map(Endpoint::tcp);
    let hosts = hosts.filter_map(|(host, _)| match host {
        Host::Ip(ip) => Some(ip.to_canonical().to_string()),
        Host::Scoped(ip, _) => Some(ip.to_string()),
        Host::Name(name) => Some(name.trim_end_matches('.').to_owned()),
        // All that this machine has, which nobody knows.
        _ => None,
    });
    let others = names.iter().map(|name| without_port(name).to_owned());
    let machine = rustix::system::uname().nodename().to_str().ok().filter(|name| is_name(name)).map(str::to_owned);
    let local = ["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string(), Ipv6Addr::LOCALHOST.to_string()];
    hosts.chain(others).chain(machine).chain(local).collect()
}

/// `chat.example` of `chat.example:8443`, `::1` of `[::1]:8443`.
fn without_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    }
}

/// Whether a machine's name can stand in a certificate. Some have none: `(none)`.
fn is_name(name: &str) -> bool {
    (1..=253).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

/// The terminals that a server was started at.
struct Terminals {
    stdin: bool,
    stderr: bool,
}

impl Terminals {
    fn here() -> Self {
        Self { stdin: stdin().is_terminal(), stderr: stderr().is_terminal() }
    }

    /// Whether one was taken away, which HUP tells too: nobody would end the server then.
    fn are_gone(&self) -> bool {
        let is_gone = |fd| {
            // That it is gone is told unasked.
            let mut ready = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut ready, Some(&now)).is_ok() && ready[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
        };
        (self.stdin && is_gone(rustix::stdio::stdin())) || (self.stderr && is_gone(rustix::stdio::stderr()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_certificate_is_for_every_name_that_is_known() {
        let addresses = ["tls://*:1", "wss://[::ffff:10.0.0.1]:1/", "tls://chat.example:1", "tcp://plain.example:1"];
        let addresses = addresses.map(|address| address.parse().unwrap());
        let names = all_names(&addresses, &["www.example:8443".to_owned(), "[2001:db8::1]:1".to_owned()]);
        for name in ["localhost", "127.0.0.1", "::1", "10.0.0.1", "chat.example", "www.example", "2001:db8::1"] {
            assert!(names.contains(name), "{name} is not in {names:?}");
        }
        assert!(!names.contains("plain.example"));
        assert!(ServerTls::new().self_signed(names).is_ok());
    }

    #[test]
    fn machines_may_have_odd_names() {
        assert!(is_name("box-1.example"));
        for odd in ["", "(none)", "a_b", "büro", &"x".repeat(254)] {
            assert!(!is_name(odd), "{odd}");
        }
    }
}
