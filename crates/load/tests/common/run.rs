use socketserver_load::{Load, Outcome};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Runs a load that must be over soon, whatever the server does.
pub(crate) fn run(load: Load) -> Outcome {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || drop(sender.send(load.run())));
    receiver.recv_timeout(Duration::from_secs(30)).expect("the load is over in time").unwrap()
}
