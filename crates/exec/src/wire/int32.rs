use crate::talk::Talk;
use socketserver::Result;

pub(super) async fn send(c: &mut impl Talk, result: &[u8]) -> Result {
    // What may be said is a small part of that.
    let length = i32::try_from(result.len())?;
    c.write_all(&length.to_ne_bytes()).await?;
    c.write_all(result).await?;
    Ok(c.flush().await?)
}
