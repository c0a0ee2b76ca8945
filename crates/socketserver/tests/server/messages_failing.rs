//! What a message handler's hooks do that fail: what was sent leaves, outboxes close, each failure is told.

use crate::messages::{connect, on_each_model, serve};
use socketserver::{
    AsyncMessageHandler, Channel, Failure, MessageHandler, Model, Outbox, Peer, Result, Serial, Server, Tasks, Threads,
};
use socketserver_testkit::{Caller, Client, PATIENCE};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Gives its outbox away, and fails to open.
struct Unopened(Mutex<Sender<Outbox>>, bool);

impl MessageHandler for Unopened {
    type State = ();
    fn open(&self, c: &mut Channel) -> Result {
        self.0.lock().unwrap().send(c.outbox())?;
        assert!(!self.1, "it panics");
        Err("it fails".into())
    }
    fn message(&self, (): &mut (), _: &[u8], _: &mut Channel) -> Result {
        unreachable!("it was not opened")
    }
}

fn unopened(model: impl Model + Send + 'static, panics: bool) {
    let (tell, told) = channel();
    let server = serve(model, Unopened(Mutex::new(tell), panics));
    let mut c = connect(&server);
    let outbox = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(c.read_line(100).unwrap(), None);
    server.stop().unwrap();
    assert!(outbox.is_closed());
    assert_eq!(outbox.blocking_send(*b"late"), Err(socketserver::PushError::Closed));
}

#[test]
fn an_outbox_closes_where_open_failed() {
    for panics in [false, true] {
        on_each_model!(unopened, panics);
    }
}

/// Says something and fails to open, or panics.
struct Refuses {
    panics: bool,
}

impl MessageHandler for Refuses {
    type State = ();
    fn open(&self, c: &mut Channel) -> Result {
        c.send(b"go away")?;
        assert!(!self.panics, "it panics");
        Err("nobody is let in".into())
    }
    fn message(&self, (): &mut (), _: &[u8], _: &mut Channel) -> Result {
        unreachable!("it was not opened")
    }
}

fn refuses(model: impl Model + Send + 'static, panics: bool) {
    let server = serve(model, Refuses { panics });
    let mut c = connect(&server);
    assert_eq!(c.read_to_end(100).unwrap(), b"go away\n");
    assert_eq!(server.stop().unwrap().totals.failed, 1);
}

#[test]
fn what_was_sent_where_open_failed_leaves() {
    for panics in [false, true] {
        on_each_model!(refuses, panics);
    }
}

/// Fails, and panics when it is closed after that; keeps what it is told of.
#[derive(Default)]
struct Twice(Mutex<Vec<String>>);

impl MessageHandler for Twice {
    type State = ();
    fn open(&self, _: &mut Channel) -> Result {
        Ok(())
    }
    fn message(&self, (): &mut (), _: &[u8], _: &mut Channel) -> Result {
        Err("it fails".into())
    }
    fn close(&self, (): (), _: &mut Channel) {
        panic!("and fails again");
    }
    fn on_error(&self, error: &Failure, _: &Peer) {
        self.0.lock().unwrap().push(error.to_string());
    }
}

fn fails_twice(model: impl Model + Send + 'static) {
    let handler = Arc::new(Twice::default());
    let server = serve(model, handler.clone());
    let mut client = Client::connect(&server.handle().endpoints()[0]).unwrap();
    client.say("hello\n");
    client.expect_end();
    assert_eq!(server.stop().unwrap().totals.failed, 1);
    assert_eq!(*handler.0.lock().unwrap(), ["panicked: and fails again", "it fails"]);
}

#[test]
fn a_panic_of_close_after_a_failure_is_told_too() {
    on_each_model!(fails_twice);
}

/// Waits for ever, and panics when it is closed.
struct StuckAndCareless(Sender<String>);

impl AsyncMessageHandler for StuckAndCareless {
    type State = ();
    async fn open(&self, _: &mut Channel) -> Result {
        Ok(())
    }
    async fn message(&self, (): &mut (), _: &[u8], _: &mut Channel) -> Result {
        self.0.send("waits".into())?;
        std::future::pending().await
    }
    fn close(&self, (): (), _: &mut Channel) {
        panic!("nobody thought of this");
    }
    fn on_error(&self, error: &Failure, _: &Peer) {
        let _ = self.0.send(error.to_string());
    }
}

#[test]
fn a_panic_of_close_is_told_where_the_conversation_is_cut() {
    let (tell, told) = channel();
    let server = Server::bind("udp://127.0.0.1:0").unwrap().drain_deadline(Duration::from_millis(50));
    let server = server.spawn(Tasks::new(1), StuckAndCareless(tell).unframed()).unwrap();
    Caller::of(&server.handle().endpoints()[0]).unwrap().send("hello");
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "waits");
    assert_eq!(server.stop().unwrap().cut.len(), 1);
    assert_eq!(told.iter().collect::<Vec<_>>(), ["panicked: nobody thought of this"]);
}
