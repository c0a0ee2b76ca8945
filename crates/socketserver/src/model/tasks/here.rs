use super::accepting::{accepting_failed, until_stop};
use super::packets::{receive_packets, share_out};
use super::station::Station;
use crate::admission::Ears;
use crate::engine::Async;
use crate::handler::Service;
use crate::lifecycle::{Keeper, keeper_task};
use crate::model::Work;
use crate::{Error, Peer};
use std::rc::Rc;
use tokio::task::spawn_local;

/// Serves inside the runtime that polls it: lets connections in until the server stops, then keeps until the run is over.
pub(crate) async fn serve_here<S: Service<Async> + Send + Sync>(work: Work<Async, S>) -> Result<(), Error> {
    let keeper = Keeper::new(work.run.clone());
    let station = Rc::new(Station::new(work.clone(), None, None));
    let mut left = None;
    if let Some(listeners) = work.run.listeners() {
        for (index, socket) in share_out(&listeners, 1)?.into_iter().flatten() {
            spawn_local(receive_packets(station.clone(), index, socket));
        }
        left = Some(listeners.leave_packets().map_err(|error| Error::io("cannot wait for packets", error))?);
    }
    let serving = station.clone();
    let accepting = spawn_local(async move {
        let station = serving;
        let accept = async move {
            let Some(mut ears) = Ears::new(&station.work.run, &station.work.gate)? else { return Ok(()) };
            let verify = |peer: &Peer| station.work.service.verify(peer);
            while let Some(admitted) = ears.next(&verify).await? {
                station.serve(admitted, None);
            }
            Ok(())
        };
        until_stop(&work, accept).await
    });
    keeper_task::keep(keeper).await?;
    let accepted = accepting.await.unwrap_or_else(|error| Err(accepting_failed(error))).and(station.failure());
    drop(left);
    accepted
}
