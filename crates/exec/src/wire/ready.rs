use crate::talk::Talk;
use socketserver::Result;

/// "Done."
pub(super) const NOTHING: &str = "执行成功";
/// What the client says when it knows the length.
const READY: &[u8; 5] = b"ready";

pub(super) async fn send(c: &mut impl Talk, result: &[u8]) -> Result {
    c.write_all(result.len().to_string().as_bytes()).await?;
    c.flush().await?;
    let mut answer = [0; READY.len()];
    // As long as the server waits for any peer. A drain lets the result leave.
    c.read_answer(&mut answer).await?;
    if answer != *READY {
        return Err("the client said something else than `ready` to the length of its result".into());
    }
    c.write_all(result).await?;
    Ok(c.flush().await?)
}
