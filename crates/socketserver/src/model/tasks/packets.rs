use super::accepting::accepting_failed;
use super::conversing::converse;
use super::station::Station;
use super::waiting::serve_waiting;
use crate::Error;
use crate::admission::Inlet;
use crate::datagram::DatagramSocket;
use crate::endpoint::Listeners;
use crate::engine::Async;
use crate::handler::Service;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::task::spawn_local;

/// Has packets that come to a socket handled, until the server stops. If that fails the server stops.
pub(super) async fn receive_packets<S: Service<Async> + Send + Sync>(
    station: Rc<Station<S>>,
    index: usize,
    socket: Arc<DatagramSocket>,
) {
    let receiving = {
        let station = station.clone();
        // In a task of its own, which may panic.
        spawn_local(async move {
            let work = &station.work;
            let mut receiving = pin!(async {
                match work.service.budget().cloned() {
                    Some(budget) => converse(station.clone(), index, socket, budget).await,
                    None if S::WAITS => serve_waiting(station.clone(), index, socket).await,
                    None => Inlet::new(&work.run, &work.gate, &socket, index)?.serve(&*work.service).await,
                }
            });
            poll_fn(|cx| {
                station.go_on();
                receiving.as_mut().poll(cx)
            })
            .await
        })
    };
    if let Err(error) = receiving.await.unwrap_or_else(|error| Err(accepting_failed(error))) {
        station.fail(error);
    }
}

/// The sockets where packets come to one shard, and of which endpoints.
pub(super) type Share = Vec<(usize, Arc<DatagramSocket>)>;

/// The sockets that packets come to, for each of so many shards. The first shard has those of the
/// server, the others more of the same.
pub(super) fn share_out(listeners: &Listeners, shards: usize) -> Result<Vec<Share>, Error> {
    let mut shares = vec![Share::new(); shards];
    for (index, listener) in listeners.all.iter().enumerate() {
        let Some(socket) = listener.packets() else { continue };
        shares[0].push((index, socket.clone()));
        for share in &mut shares[1..] {
            match socket.sibling() {
                Ok(Some(sibling)) => share.push((index, Arc::new(sibling))),
                // One shard serves it alone; also where whoever bound it was somebody else, as root is for port 53.
                Ok(None) => break,
                Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::AddrInUse) => break,
                Err(error) => {
                    let what = format!("cannot bind `{}` once more for a shard", listener.endpoint);
                    return Err(Error::io(what, error));
                }
            }
        }
    }
    Ok(shares)
}
