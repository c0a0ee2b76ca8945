//! What a client of remote execution reads of a server that may be anybody.

use crate::servers::OPENING;
use socketserver::client;
use socketserver_exec::{CallError, Caller, Client, Exit};
use std::io::Write;
use std::net::{Shutdown, TcpListener};
use std::sync::LazyLock;

/// The native protocol, at the client's end.
pub fn call(data: &[u8]) {
    static LISTENER: LazyLock<TcpListener> =
        LazyLock::new(|| TcpListener::bind("127.0.0.1:0").expect("there is a port"));
    for said in [data, &[OPENING, data].concat()] {
        let addr = LISTENER.local_addr().expect("it is bound");
        let stream = client::connect(format!("tcp://{addr}").as_str()).expect("it listens");
        let (mut server, _) = LISTENER.accept().expect("somebody is there");
        let _ = server.write_all(said);
        let _ = server.shutdown(Shutdown::Write);
        let mut heard = 0;
        let outcome = Caller::new().begin(stream).and_then(|mut client| run(&mut client, &mut heard));
        assert!(heard <= said.len(), "{heard} of {} bytes", said.len());
        match outcome {
            Ok(exit) => assert!((0..=255).contains(&exit.status())),
            // What a server says is its own; what we say of it is a line.
            Err(CallError::NotLetIn { .. } | CallError::Refused { .. }) => {}
            Err(error) => assert!(!error.to_string().contains(char::is_control), "{error:?}"),
        }
    }
}

/// Until the server has nothing more to say.
fn run(client: &mut Client, heard: &mut usize) -> Result<Exit, CallError> {
    loop {
        let exit = client.run(&["x"], &mut |_, bytes| {
            *heard += bytes.len();
            Ok(())
        })?;
        assert!((0..=255).contains(&exit.status()));
    }
}
