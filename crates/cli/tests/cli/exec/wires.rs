//! Clients as the tutorials have them: sockets, `struct`, loops around `recv`.

use super::stage::{Desk, result, shell};
use crate::harness::MODELS;
use socketserver_testkit::{Process, Python};

/// A client of `int32`.
const INT32: &str = "
import struct

def cmd(s, text):
    s.send(text.encode('utf-8'))
    head = s.recv(4)
    length = struct.unpack('i', head)[0]
    received, data = 0, b''
    while received < length:
        piece = s.recv(1024)
        received += len(piece)
        data += piece
    return data.decode('utf-8')
";

/// A client of `ready`.
const READY: &str = "
def cmd(s, text):
    s.send(text.encode('utf-8'))
    length = int(s.recv(1024).decode())
    s.send('ready'.encode('utf-8'))
    received, data = 0, b''
    while received != length:
        piece = s.recv(1024)
        received += len(piece)
        data += piece
    return data.decode('utf-8')
";

/// What both are to be told.
const ASKS: &str = "
s = connect()
lines = cmd(s, 'seq 20000')
assert lines == ''.join(f'{n}\\n' for n in range(1, 20001)), len(lines)
error = cmd(s, 'ls /no-such-place')
assert 'no-such-place' in error and 'No such file' in error, error
assert cmd(s, 'echo out; echo err >&2') == 'err\\n'
assert cmd(s, 'echo 你好') == '你好\\n'
print(repr(cmd(s, 'true')), repr(cmd(s, 'cd /; pwd')))
s.close()
";

#[test]
fn python_asks_by_int32() {
    let Some(python) = Python::find() else { return };
    for model in MODELS {
        let served = shell(&["--model", model]);
        assert_eq!(python.client(served.address(), &format!("{INT32}{ASKS}")), "'' '/\\n'\n");
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn python_asks_by_ready() {
    let Some(python) = Python::find() else { return };
    for model in MODELS {
        let served = shell(&["--wire", "ready", "--model", model]);
        assert_eq!(python.client(served.address(), &format!("{READY}{ASKS}")), "'执行成功' '/\\n'\n");
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn the_length_is_four_bytes_in_the_order_of_this_machine() {
    let desk = Desk::new("");
    let served = desk.serve(&[]);
    let mut client = served.client();
    client.say("sh 'printf hello'");
    client.expect([&5_i32.to_ne_bytes()[..], b"hello"].concat());
    client.say("sh true");
    client.expect(0_i32.to_ne_bytes());
    // What is sent while a command runs is the next request.
    client.say("sh 'touch runs; while [ ! -e go ]; do sleep 0.01; done; echo one'");
    Process::me().settles("it runs", |_| desk.path("runs").exists());
    client.say("sh 'echo two'");
    desk.write("go", "", 0o600);
    assert_eq!(result(&mut client), "one\n");
    assert_eq!(result(&mut client), "two\n");
}

#[test]
fn the_length_in_digits_is_waited_upon() {
    let desk = Desk::new("");
    let served = desk.serve(&["--wire", "ready", "--idle", "300ms"]);
    let mut client = served.client();
    client.say("sh 'printf hello'");
    client.expect("5");
    // In pieces too.
    client.say("rea");
    client.say("dy");
    client.expect("hello");
    client.say("sh true");
    client.expect("12");
    client.say("ready");
    client.expect("执行成功");
    // Whoever says something else is not understood, and whoever says nothing is not waited for.
    client.say("sh 'printf hello'");
    client.expect("5");
    client.say("steady");
    client.expect_gone();
    let mut silent = served.client();
    silent.say("sh 'printf hello'");
    silent.expect("5");
    silent.expect_gone();
    assert!(served.line("close id=2").contains("reason=idle"));
}
