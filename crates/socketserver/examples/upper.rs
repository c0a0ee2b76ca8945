//! A whole server in ten lines: where to listen, how to run connections, what to do with each.
//!
//! `serve` would keep this thread until the server is told to stop; `spawn` gives it one of its own, so that the program
//! can be its own client.

use socketserver::{Server, Threads, blocking, client};

fn main() -> socketserver::Result {
    let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::default(), |c: &mut blocking::Stream| {
        let mut buf = [0; 4096];
        loop {
            let n = c.read(&mut buf)?;
            if n == 0 {
                return Ok(());
            }
            buf[..n].make_ascii_uppercase();
            c.write_all(&buf[..n])?;
        }
    })?;

    let mut c = client::connect(&server.handle().endpoints()[0])?;
    c.write_all("你好abc".as_bytes())?;
    c.close_write()?;
    let answer = String::from_utf8(c.read_to_end(100)?)?;
    println!("你好abc -> {answer}");
    assert_eq!(answer, "你好ABC");

    server.handle().shutdown();
    let report = server.join()?;
    assert_eq!(report.served, 1);
    Ok(())
}
