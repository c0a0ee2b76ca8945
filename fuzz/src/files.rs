//! Files of operators: what may be run, secrets, certificates and keys.

use socketserver::{AltName, Identity, ServerTls};
use socketserver_exec::{Commands, Limits, Token};

/// A file of commands, and behind a NUL a request for one of them.
pub fn commands(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (file, request) = text.split_once('\0').unwrap_or((text, "x"));
    match Commands::parse(file, "commands.toml") {
        Ok(commands) => match commands.find(request, Limits::default()) {
            // What is run was written down, and arguments stand behind it.
            Ok((job, _)) => {
                let program = job.argv().first().expect("there is a program");
                assert!(program.starts_with('/') && file.contains("argv"), "{program}");
                assert!(job.argv().iter().all(|word| !word.contains('\0')));
            }
            Err(why) => assert!(!why.is_empty() && why.len() < 4 * file.len() + 1_000, "{why}"),
        },
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains("`commands.toml`") && !said.contains('\n'), "{said:?}");
        }
    }
}

/// A secret: it is long enough, and never shown.
pub fn token(data: &[u8]) {
    let bare = data.trim_ascii();
    match Token::new(data) {
        Ok(token) => assert!(bare.len() >= 32 && format!("{token:?}") == "Token(…)"),
        Err(error) => {
            let said = error.to_string();
            assert!(bare.len() < 32 && said.contains("32 bytes"), "{said}");
        }
    }
}

/// Certificates and a key in PEM, in one text as some keep them.
pub fn certificates(data: &[u8]) {
    match ServerTls::new().certificate_pem(data, data).fingerprints() {
        Ok(fingerprints) => assert_eq!(fingerprints.len(), 1),
        Err(error) => {
            // Nothing of a key is said.
            let said = error.to_string();
            assert!(said.contains("PEM") && said.len() < 1_000, "{said:?}");
            assert!(!said.contains(char::is_control), "{said:?}");
        }
    }
}

/// Whom a certificate names.
pub fn identity(data: &[u8]) {
    let Ok(identity) = Identity::from_der(&data.into()) else { return };
    assert_eq!(identity.der(), data);
    // Nothing in it ends a line, or is longer than what was read.
    let is_line = |text: &str| !text.chars().any(char::is_control);
    assert!(is_line(identity.subject()) && identity.subject().len() <= 16 * data.len());
    for name in identity.sans() {
        let text = name.to_string();
        assert!(is_line(&text) && (matches!(name, AltName::Ip(_)) || text.len() <= data.len() + "email:".len()));
    }
}
