//! A listening socket that was made elsewhere is handed in as it is, alone or beside addresses.
//!
//! The handler asks which of the endpoints its connection came in by.

use socketserver::{Serial, Server, Where, blocking, client};
use std::net::TcpListener;

fn main() -> socketserver::Result {
    let elsewhere = TcpListener::bind("127.0.0.1:0")?;
    let port = elsewhere.local_addr()?.port();

    let server = Server::bind(vec![Where::parse("tcp://127.0.0.1:0")?, Where::from(elsewhere)])?;
    let endpoints = server.endpoints();
    assert_eq!(endpoints[1].to_string(), format!("tcp://127.0.0.1:{port}"));

    let server = server.spawn(Serial::default(), |c: &mut blocking::Stream| {
        let which = c.endpoint().ok_or("a server's connection came in somewhere")?;
        c.write_all(format!("endpoint {which}: {}", c.server().endpoints()[which]).as_bytes())?;
        Ok(())
    })?;
    for (which, endpoint) in endpoints.iter().enumerate() {
        let answer = String::from_utf8(client::connect(endpoint)?.read_to_end(100)?)?;
        println!("{answer}");
        assert_eq!(answer, format!("endpoint {which}: {endpoint}"));
    }
    server.handle().shutdown();
    server.join()?;
    Ok(())
}
