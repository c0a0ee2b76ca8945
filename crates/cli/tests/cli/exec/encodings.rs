use super::stage::{Desk, ask, result_bytes};
use crate::harness::run;
use socketserver_testkit::Python;

#[test]
fn python_asks_in_gbk() {
    let Some(python) = Python::find() else { return };
    let desk = Desk::new("[\"问候\"]\nargv = ['/bin/echo', '你好，世界']\n");
    let served = desk.serve(&["--encoding", "gbk"]);
    let program = "
import struct
s = connect()
def cmd(text):
    s.send(text.encode('gbk'))
    length = struct.unpack('i', exactly(s, 4))[0]
    return exactly(s, length)
assert cmd('问候') == '你好，世界\\n'.encode('gbk')
# A backslash is the second byte of some characters, and no backslash then.
assert cmd('sh \"printf 乗\"') == '乗'.encode('gbk'), cmd('sh \"printf 乗\"')
assert cmd(\"sh 'printf a🦀b'\".encode('gbk', 'replace').decode('gbk')) == b'a?b'
print(cmd('没有').decode('gbk'), end='')
";
    assert_eq!(python.client(served.address(), program), "unknown command `没有`; known: sh, 问候\n");
}

#[test]
fn what_an_encoding_lacks_is_a_question_mark_and_what_is_none_is_not_run() {
    let desk = Desk::new("");
    let served = desk.serve(&["--encoding", "GBK"]);
    let mut client = served.client();
    client.say(r#"sh "printf 'a\360\237\246\200b\377c'""#);
    assert_eq!(result_bytes(&mut client), b"a?b?c");
    client.say(b"sh \xff\xff");
    assert_eq!(result_bytes(&mut client), b"the request is not GBK\n");
    assert!(served.line("exec id=1 peer=").contains("exited"));
    assert!(served.line("exec id=1 peer=").contains("status=refused"));
}

#[test]
fn without_an_encoding_results_are_the_bytes_of_the_command() {
    let desk = Desk::new("");
    let served = desk.serve(&[]);
    let mut client = served.client();
    client.say(r#"sh "printf '\377\0\r\n'""#);
    assert_eq!(result_bytes(&mut client), b"\xff\0\r\n");
    client.say(b"sh \xff");
    assert_eq!(result_bytes(&mut client), b"the request is not UTF-8\n");
    assert_eq!(ask(&mut client, "sh 'printf 你好'"), "你好");
}

#[test]
fn what_is_no_encoding_is_refused() {
    for wrong in ["klingon", "utf-16", ""] {
        run(&["serve", "exec", ":0", "--encoding", wrong], b"").failed(2, &[&format!("`{wrong}`"), "`gbk`"]);
    }
}
