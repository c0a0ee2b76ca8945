//! Clients as people write them, who know nothing of this project.

use crate::{MODELS, Suite};
use socketserver_testkit::{How, Python, Stage};

pub(crate) fn add(suite: &mut Suite) {
    suite.packets("python_asks_and_is_answered", &MODELS, asks);
}

fn asks(how: How, endpoint: &str) {
    let Some(python) = Python::find() else { return };
    let stage = Stage::open("script", how, endpoint);
    python.client(
        &stage.endpoint().to_string(),
        "
sockets = [connect() for _ in range(3)]
for s in sockets:
    assert s.type == socket.SOCK_DGRAM
    assert ask(s, 'echo 你好'.encode()).decode() == '你好'
    s.send(b'three times')
    assert [s.recv(100) for _ in range(3)] == [b'1 times', b'2 times', b'3 times']
for at, s in enumerate(sockets):
    s.send(f'echo {at}'.encode())
for at, s in enumerate(sockets):
    assert s.recv(100) == str(at).encode()
# Without an answer of the handler there is none.
sockets[0].send(b'')
assert ask(sockets[0], b'nothing') == b''
assert ask(sockets[0], b'echo ' + b'x' * 8000) == b'x' * 8000
",
    );
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.line("packets").starts_with("packets received=12 replies=17 failed=0"), "{ended:?}");
}
