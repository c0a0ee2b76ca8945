//! Clients that know nothing of this project: OpenSSL's, Python's, curl.

use super::Office;
use crate::harness::{MODELS, Served};
use socketserver_testkit::Python;

/// A socket as Python has it for TLS, that trusts an authority and wants a name; `more` is done to its context.
const SECURE: &str = "
import re, ssl
def secure(ca, name='localhost', **more):
    context = ssl.create_default_context(cafile=ca)
    for key, value in more.items():
        if key == 'alpn':
            context.set_alpn_protocols(value)
        elif key == 'certificate':
            context.load_cert_chain(value + '.pem', value + '.key')
        else:
            setattr(context, key, value)
    return context.wrap_socket(connect(), server_hostname=name)
def upper(s, text):
    s.sendall(text)
    assert exactly(s, len(text)) == text.upper()
";

/// Runs it as a client of that server, with `folder`, where certificates are, and `ca`.
#[track_caller]
fn python(python: &Python, served: &Served, office: &Office, program: &str) -> String {
    let folder = office.openssl.dir().display();
    python.client(served.address(), &format!("folder = '{folder}'\nca = folder + '/ca.pem'\n{SECURE}{program}"))
}

#[test]
fn python_speaks_each_version_and_both_say_goodbye() {
    let (Some(office), Some(py)) = (Office::open(), Python::find()) else { return };
    for model in MODELS {
        let served = office.serve(&["upper", "tls://127.0.0.1:0", "--model", model]);
        let program = "
for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
    s = secure(ca, maximum_version=version)
    print(s.version())
    for text in b'hello', b'x' * 100_000:
        upper(s, text)
    # A close_notify each way.
    s.unwrap().close()
";
        assert_eq!(python(&py, &served, &office, program), "TLSv1.2\nTLSv1.3\n", "{model}");
        let ended = served.stop();
        assert_eq!((ended.status, ended.lines("close ").len()), (Some(0), 2));
        assert!(ended.lines("close ").iter().all(|line| line.ends_with(" reason=finished")), "{:#?}", ended.lines);
    }
}

#[test]
fn each_is_shown_the_certificate_for_the_name_it_asks_for() {
    let (Some(office), Some(py)) = (Office::open(), Python::find()) else { return };
    office.openssl.issue("ca", "one", "DNS:one.example");
    office.openssl.issue("ca", "two", "DNS:two.example,DNS:*.two.example");
    let files = ["one.pem", "one.key", "two.pem", "two.key"].map(|name| office.path(name));
    let pairs = [
        ["--tls-cert", &files[0], "--tls-key", &files[1], "--tls-cert", &files[2], "--tls-key", &files[3]].to_vec(),
        // Both in one file each.
        ["--tls-cert", &files[0], "--tls-cert", &files[2]].to_vec(),
    ];
    for pairs in pairs {
        if pairs.len() == 4 {
            for (certificate, key) in [(&files[0], &files[1]), (&files[2], &files[3])] {
                let both = [std::fs::read(certificate).unwrap(), std::fs::read(key).unwrap()].concat();
                std::fs::write(certificate, both).unwrap();
            }
        }
        let served = Served::start(&[&["upper", "tls://127.0.0.1:0"], &pairs[..]].concat());
        let program = "
for name in 'one.example', 'two.example', 'www.two.example':
    upper(secure(ca, name), b'hello')
try:
    secure(ca, 'three.example')
except ssl.SSLCertVerificationError as error:
    print(error.verify_message)
";
        let said = python(&py, &served, &office, program);
        assert!(said.contains("Hostname mismatch") && said.contains("three.example"), "{said}");
        served.stop();
    }
}

#[test]
fn clients_prove_who_they_are_where_that_is_wanted() {
    let (Some(office), Some(py)) = (Office::open(), Python::find()) else { return };
    let ca = office.path("ca.pem");
    let refused = "
try:
    s = secure(ca, **{'certificate': folder + '/' + which} if which else {})
    s.sendall(b'hello')
    print(s.recv(5))
except OSError as error:
    print(getattr(error, 'reason', error))
";
    for (flag, without) in [("--tls-client-ca", false), ("--tls-optional-client-ca", true)] {
        let served = office.serve(&["upper", "tls://127.0.0.1:0", flag, &ca]);
        let ask = |which: &str| python(&py, &served, &office, &format!("which = '{which}'\n{refused}"));
        assert_eq!(ask("client"), "b'HELLO'\n");
        assert_eq!(ask("") == "b'HELLO'\n", without, "{flag}");
        assert_ne!(ask("other"), "b'HELLO'\n");
        let ended = served.stop();
        let failed: Vec<_> = ended.lines("close ").into_iter().filter(|line| line.contains("handshake-")).collect();
        assert_eq!(failed.iter().any(|line| line.contains("reason=handshake-no-certificate")), !without, "{failed:#?}");
        assert!(failed.iter().any(|line| line.contains("reason=handshake-unknown-ca")), "{failed:#?}");
    }
}

#[test]
fn versions_and_protocols_are_chosen_as_told() {
    let (Some(office), Some(py)) = (Office::open(), Python::find()) else { return };
    let served =
        office.serve(&["upper", "tls://127.0.0.1:0", "--tls-min-version", "1.3", "--tls-alpn", "chat/2,chat/1"]);
    let program = "
s = secure(ca, alpn=['chat/1', 'chat/2'])
print(s.version(), s.selected_alpn_protocol())
upper(s, b'hello')
# Who does not ask is let in.
upper(secure(ca), b'hello')
for more in {'alpn': ['h2']}, {'maximum_version': ssl.TLSVersion.TLSv1_2}:
    try:
        secure(ca, **more)
    except ssl.SSLError as error:
        print(re.search('no application protocol|protocol version', str(error).lower())[0])
";
    let said = python(&py, &served, &office, program);
    assert_eq!(said, "TLSv1.3 chat/2\nno application protocol\nprotocol version\n");
    let ended = served.stop();
    let failed =
        ended.lines("close ").into_iter().filter(|line| line.contains(" reason=handshake-no-common-cipher ")).count();
    assert_eq!(failed, 2, "{:#?}", ended.lines);
}

#[test]
fn commands_are_run_and_end_with_their_client() {
    let (Some(office), Some(py)) = (Office::open(), Python::find()) else { return };
    for model in MODELS {
        let mut args = vec!["exec", "tls://127.0.0.1:0", "--shell", "--wire", "int32", "--model", model];
        if rustix::process::geteuid().is_root() {
            args.extend(["--user", "nobody"]);
        }
        let served = office.serve(&args);
        let program = "
import struct
s = secure(ca)
s.sendall(b'echo hello')
print(exactly(s, struct.unpack('i', exactly(s, 4))[0]).decode(), end='')
s.sendall(b'sleep 1000')
s.close()
";
        assert_eq!(python(&py, &served, &office, program), "hello\n", "{model}");
        assert!(served.line("exec ").contains(" status=exited detail=0 "), "{model}");
        let left = served.line("exec ");
        assert!(left.contains(" status=disconnected "), "{model} {left}");
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn openssl_is_content_with_it() {
    let Some(office) = Office::open() else { return };
    for model in MODELS {
        let served = office.serve(&["hello", "tls://127.0.0.1:0", "--model", model]);
        let at = served.address().parse().unwrap();
        for version in ["-tls1_2", "-tls1_3"] {
            let args =
                ["-quiet", "-CAfile", "ca.pem", "-verify_return_error", "-verify_hostname", "localhost", version];
            let told = office.openssl.ask(&at, &args, "hi");
            assert!(told.success, "{model}: {told:?}");
            // All else is what it says of certificates.
            assert!(told.said.iter().filter(|said| said.contains("hello")).eq(["hello world"]), "{model}: {told:?}");
        }
        served.stop();
    }
}
