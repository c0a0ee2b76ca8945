//! Sessions that go on.

use super::*;
use crate::TlsInfo;
use std::fs;

/// Whether a session goes on.
fn resumed(server: &Acceptor, client: &ClientTls) -> bool {
    let ends = shake(server, client, "a");
    assert_eq!(ends.failed, [None, None]);
    TlsInfo::of_server(&ends.server).unwrap().is_resumed()
}

/// The certificate in these files is another one from now on.
fn replace(ca: &Authority, files: &[PathBuf; 2]) {
    let (certificate, key) = ca.issue(&["a"]);
    fs::write(&files[0], certificate).unwrap();
    fs::write(&files[1], key).unwrap();
}

#[test]
fn they_go_on_over_a_reload_and_over_the_next_keys() {
    let ca = Authority::new("ca");
    let files = ca.issue_files("a");
    let server = acceptor(ServerTls::new().certificate(&files[0], &files[1]));
    let client = ca.client();
    assert!(!resumed(&server, &client));
    assert!(resumed(&server, &client));
    let generation = server.generation();
    assert!(!server.reload().unwrap(), "nothing has changed");
    assert_eq!(server.generation(), generation);
    replace(&ca, &files);
    assert!(server.reload().unwrap());
    assert_ne!(server.generation(), generation);
    assert!(resumed(&server, &client));
    let generation = server.generation();
    server.turn_tickets();
    assert_ne!(server.generation(), generation);
    assert!(resumed(&server, &client));
    // A clone is the same client, and one that trusts others is not.
    assert!(resumed(&server, &client.clone()));
    assert!(!resumed(&server, &client.ca(ca.file())));
}

#[test]
fn who_was_let_in_by_other_authorities_shows_itself_again() {
    let [ca, staff, other] = ["ca", "staff", "other"].map(Authority::new);
    let files = ca.issue_files("a");
    let [certificate, key] = staff.issue_files("me");
    let client = ca.client().certificate(certificate, key);
    let authorities = ca.dir.path().join("staff.pem");
    fs::copy(staff.file(), &authorities).unwrap();
    let server = acceptor(ServerTls::new().certificate(&files[0], &files[1]).client_ca(&authorities));
    assert!(!resumed(&server, &client));
    assert!(resumed(&server, &client));
    replace(&ca, &files);
    assert!(server.reload().unwrap());
    assert!(resumed(&server, &client), "the authorities are the same");
    fs::copy(other.file(), &authorities).unwrap();
    assert!(server.reload().unwrap());
    let ends = shake(&server, &client, "a");
    assert_eq!(ends.failed, [Some(HandshakeFailure::UnknownCa); 2]);
}

#[test]
fn what_fails_changes_nothing() {
    let ca = Authority::new("ca");
    let files = ca.issue_files("a");
    let server = acceptor(ServerTls::new().certificate(&files[0], &files[1]));
    let client = ca.client();
    assert!(!resumed(&server, &client));
    let generation = server.generation();
    fs::write(&files[0], "nonsense").unwrap();
    let error = server.reload().unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Tls);
    assert_eq!(server.generation(), generation);
    assert!(resumed(&server, &client));
}
