//! Certificates that change while the server runs.

use super::{Office, connect};
use rustix::process::Signal;
use socketserver_testkit::Python;
use std::fs;

#[test]
fn hup_reads_the_files_again_and_what_came_of_it_is_a_line() {
    let Some(office) = Office::open() else { return };
    for model in crate::harness::MODELS {
        let live = ["live.pem", "live.key"].map(|name| office.path(name));
        let put = |name: &str| {
            fs::copy(office.path(&format!("{name}.pem")), &live[0]).unwrap();
            fs::copy(office.path(&format!("{name}.key")), &live[1]).unwrap();
        };
        put("server");
        let args = ["upper", "tls://127.0.0.1:0", "--model", model, "--tls-cert", &live[0], "--tls-key", &live[1]];
        let served = crate::harness::Served::start(&args);
        let [first, second] = ["server.pem", "other.pem"].map(|file| office.openssl.fingerprint(file));
        connect(served.address(), &first, "one\n").is("ONE\n");

        put("other");
        served.signal(Signal::HUP);
        assert_eq!(served.line("tls-reload"), format!("tls-reloaded fingerprints={second}"), "{model}");
        connect(served.address(), &second, "two\n").is("TWO\n");

        // What is of no use changes nothing.
        fs::write(&live[1], "no key").unwrap();
        served.signal(Signal::HUP);
        let failed = served.line("tls-reload-failed ");
        assert!(failed.contains("live.key") && failed.contains("there is no private key in it"), "{model} {failed}");
        connect(served.address(), &second, "three\n").is("THREE\n");
        let ended = served.stop();
        assert_eq!(ended.status, Some(0), "{model} {:#?}", ended.lines);
        assert_eq!(ended.lines("hook-failed"), [""; 0]);
    }
}

/// With nothing to read it is what it is to every program.
#[test]
fn hup_ends_a_server_that_has_no_files() {
    let (served, _) = super::made(&["echo", "tls://127.0.0.1:0"]);
    served.signal(Signal::HUP);
    assert_eq!(served.wait().status, None);
}

/// Who closes the terminal has no other way to end it.
#[test]
fn hup_ends_a_server_whose_terminal_is_gone() {
    let (Some(office), Some(python)) = (Office::open(), Python::find()) else { return };
    let program = "
import fcntl, os, pty, subprocess, sys, termios
keys, window = pty.openpty()
server = subprocess.Popen(
    [sys.argv[1], 'serve', 'echo', 'tls://127.0.0.1:0', '--tls-cert', sys.argv[2], '--tls-key', sys.argv[3]],
    stdin=window, stderr=subprocess.PIPE, start_new_session=True, text=True,
    preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
os.close(window)
assert server.stderr.readline().startswith('listening on ')
os.close(keys)
print(server.wait(60), server.stderr.read().splitlines()[-1])
";
    let args = [env!("CARGO_BIN_EXE_socketserver"), &office.path("server.pem"), &office.path("server.key")];
    assert_eq!(python.program(program, &args), "0 stopped served=0 cut=0\n");
}
