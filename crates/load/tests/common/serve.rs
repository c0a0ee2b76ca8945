use socketserver_load::Target;
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Serves each connection on a thread of its own; the threads end with the test process.
pub(crate) fn serve(handler: impl Fn(TcpStream) + Clone + Send + 'static) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let handler = handler.clone();
            thread::spawn(move || handler(stream));
        }
    });
    Target::Tcp(address)
}
