#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::is_installed;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// OpenSSL's command, and a directory for the certificates and keys that it makes.
///
/// ```
/// use socketserver_testkit::OpenSsl;
/// if let Some(openssl) = OpenSsl::find() {
///     openssl.self_signed("server", "DNS:localhost");
///     assert!(openssl.path("server.pem").exists() && openssl.path("server.key").exists());
/// }
/// ```
#[derive(Debug)]
pub struct OpenSsl(TempDir);

impl OpenSsl {
    /// `None` where there is none: then it says so, and the test is skipped. With `CI=true` in the environment it panics.
    ///
    /// # Panics
    /// When no directory can be made.
    #[must_use]
    pub fn find() -> Option<Self> {
        is_installed("openssl", "version").then(|| Self(tempfile::tempdir().unwrap()))
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    /// A file in the directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Runs it in the directory and gives what it prints.
    ///
    /// # Panics
    /// When it fails, with what it says.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> String {
        let output = Command::new("openssl").args(args).current_dir(self.dir()).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Makes `NAME.pem` and `NAME.key`: an authority.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    pub fn authority(&self, name: &str) {
        let extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"];
        self.make(name, &format!("/CN={name}"), &[], &extensions);
    }

    /// Makes `NAME.pem` and `NAME.key`: a certificate that this authority issues, for these names as `subjectAltName` has
    /// them (`DNS:localhost,IP:127.0.0.1`).
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    pub fn issue(&self, authority: &str, name: &str, names: &str) {
        let issuer = [format!("{authority}.pem"), format!("{authority}.key")];
        let names = format!("subjectAltName={names}");
        self.make(
            name,
            &format!("/CN={name}"),
            &["-CA", &issuer[0], "-CAkey", &issuer[1]],
            &[&names, "basicConstraints=CA:FALSE"],
        );
    }

    /// Makes `NAME.pem` and `NAME.key`: a certificate that its own key signs.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    pub fn self_signed(&self, name: &str, names: &str) {
        self.make(
            name,
            &format!("/CN={name}"),
            &[],
            &[&format!("subjectAltName={names}"), "basicConstraints=CA:FALSE"],
        );
    }

    fn make(&self, name: &str, subject: &str, more: &[&str], extensions: &[&str]) {
        let files = [format!("{name}.pem"), format!("{name}.key")];
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", &files[1]];
        let request = ["req", "-x509", "-days", "30", "-subj", subject, "-out", &files[0]];
        let extensions: Vec<_> = extensions.iter().flat_map(|extension| ["-addext", *extension]).collect();
        self.run(&[&request[..], &key, more, &extensions].concat());
    }

    /// The SHA-256 fingerprint of a certificate, `AA:BB:…`.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    #[must_use]
    pub fn fingerprint(&self, file: &str) -> String {
        let printed = self.run(&["x509", "-in", file, "-noout", "-fingerprint", "-sha256"]);
        printed.trim().split_once('=').unwrap().1.to_owned()
    }
}
