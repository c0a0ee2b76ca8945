use crate::Error;
use crate::engine::Async;
use crate::handler::Service;
use crate::model::Work;
use tokio::task::{JoinError, spawn_local};

/// Lets connections in until the server stops. If that fails the server stops, and those who are in are given their time.
pub(super) async fn until_stop<S: Service<Async>>(
    work: &Work<Async, S>,
    accept: impl Future<Output = Result<(), Error>> + 'static,
) -> Result<(), Error> {
    // In a task of its own, which may panic.
    let accepted = spawn_local(accept).await.unwrap_or_else(|error| Err(accepting_failed(error)));
    if accepted.is_err() {
        work.handle().shutdown();
    }
    accepted
}

pub(super) fn accepting_failed(error: JoinError) -> Error {
    Error::io("the task that accepts failed", error.into())
}
