//! A future that a closure returns cannot borrow the closure's argument: write `async |c|`.

use socketserver::{Server, Stream, Tasks};

fn main() -> socketserver::Result {
    Server::bind("tcp://127.0.0.1:0")?.serve(Tasks::default(), |c: &mut Stream| async move {
        c.write_all(b"hello").await?;
        Ok(())
    })?;
    Ok(())
}
