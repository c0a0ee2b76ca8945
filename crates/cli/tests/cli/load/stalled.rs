//! A server that stands still for a second, written by somebody else: each model tells the truth that it can see.

use super::objects;
use serde_json::Value;
use socketserver_testkit::Python;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// An echo in one thread, as event loops are; after so many messages it does something else for a second.
const STALLING: &str = "
import selectors, socket, sys, time
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
ready, heard, before = selectors.DefaultSelector(), 0, int(sys.argv[1])
ready.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in ready.select():
        if key.fileobj is listener:
            ready.register(listener.accept()[0], selectors.EVENT_READ)
        elif data := key.fileobj.recv(65536):
            heard += len(data) // 64
            if before and heard >= before:
                before = 0
                time.sleep(1)
            key.fileobj.sendall(data)
        else:
            ready.unregister(key.fileobj)
            key.fileobj.close()
";

struct Stalling(Child, String);

impl Stalling {
    fn after(messages: u32) -> Self {
        let mut python = Command::new("python3");
        let mut child = python.args(["-c", STALLING, &messages.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
        Self(child, format!("127.0.0.1:{}", port.trim()))
    }
}

impl Drop for Stalling {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn millis(found: &Value, percentile: &str) -> f64 {
    found["latency_ms"][percentile].as_f64().unwrap_or_else(|| panic!("{found}"))
}

#[test]
fn a_stall_of_a_second_is_in_the_p99_of_the_open_loop_and_in_the_maximum_of_the_closed_one() {
    if Python::find().is_none() {
        return;
    }
    let server = Stalling::after(1000);
    let open = &objects(0, &[&server.1, "-c", "10", "-n", "2k", "--rate", "500/s"])[0];
    assert_eq!((&open["model"], &open["errors"]["total"]), (&"open".into(), &0.into()));
    // 500 of the 2000 were due while it stood still.
    assert!(millis(open, "p99") > 500.0 && millis(open, "max") > 900.0, "{open}");
    assert!(open["open_loop"]["held"].as_u64() > Some(300), "{open}");

    let server = Stalling::after(1000);
    let closed = &objects(0, &[&server.1, "-c", "10", "-n", "5k"])[0];
    assert_eq!((&closed["model"], &closed["open_loop"]), (&"closed".into(), &Value::Null));
    // Ten messages of 5000 have met it.
    assert!(millis(closed, "p99") < 500.0 && millis(closed, "max") > 900.0, "{closed}");
}
