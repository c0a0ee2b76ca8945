use super::station::Station;
use crate::admission::{Inlet, Place};
use crate::connection::pipeline::{Panic, catch};
use crate::datagram::{Datagram, DatagramSocket, judge_outcome, verify};
use crate::engine::Async;
use crate::handler::Service;
use crate::{Error, clock};
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;

/// How many handlers of packets may wait at a time, on a shard.
const WAITING: usize = 1024;
/// How many of those that are through are kept for others.
const SPARE: usize = 64;

/// Has packets handled by handlers that may wait, until the server stops.
pub(super) async fn serve_waiting<S: Service<Async> + Send + Sync>(
    station: Rc<Station<S>>,
    index: usize,
    socket: Arc<DatagramSocket>,
) -> Result<(), Error> {
    let work = &station.work;
    let inlet = Rc::new(Inlet::new(&work.run, &work.gate, &socket, index)?);
    let room = Arc::new(Semaphore::new(WAITING));
    let make = |mut datagram: Box<Datagram>| {
        let service = work.service.clone();
        async move {
            let outcome = {
                let mut handling = pin!(service.wait_for_datagram(&mut datagram));
                poll_fn(|cx| match catch(|| handling.as_mut().poll(cx)) {
                    Ok(poll) => poll,
                    Err(panic) => Poll::Ready(Err(panic.into())),
                })
                .await
            };
            (datagram, outcome)
        }
    };
    let spare = Rc::new(RefCell::new(Spare { datagrams: Vec::new(), futures: Vec::new() }));
    let mut visits = Vec::new();
    while let Some(mut batch) = inlet.next().await? {
        let is_full = batch.is_full();
        batch.each(|packet| {
            if !verify::<Async, S>(&work.run, packet.peer(), &*work.service) {
                return work.run.shared.control.count_unwelcome();
            }
            let mut spare = spare.borrow_mut();
            let mut datagram = spare.datagrams.pop().unwrap_or_else(|| Box::new(Datagram::single(packet)));
            datagram.copy(packet);
            let mut future = spare.futures.pop().unwrap_or_else(|| Box::pin(None));
            future.set(Some(make(datagram)));
            visits.push((packet.peer().clone(), future));
        });
        for (peer, mut future) in visits.drain(..) {
            // Nearly all are through at once, and their replies leave together.
            if let Poll::Ready(through) = poll_fn(|cx| Poll::Ready(poll(&mut future, cx))).await {
                let (datagram, outcome) = apart(through);
                judge_outcome::<Async, S>(&work.run, &*work.service, &peer, outcome);
                if let Some(mut datagram) = datagram {
                    batch.gather(&mut datagram);
                    spare.borrow_mut().keep(datagram, future);
                }
                continue;
            }
            let permit = match room.clone().try_acquire_owned() {
                Ok(permit) => Ok(permit),
                Err(_) => {
                    // Replies do not wait for that.
                    inlet.send(&mut batch).await;
                    // It is never closed.
                    room.clone().acquire_owned().await
                }
            };
            let (station, inlet, spare) = (station.clone(), inlet.clone(), spare.clone());
            let place = Place::take(&work.run).for_packets(index);
            drop(spawn_local(async move {
                let run = &station.work.run;
                let since = clock::now();
                let mut cut = pin!(run.is_cut());
                let through = poll_fn(|cx| match poll(&mut future, cx) {
                    Poll::Ready(through) => Poll::Ready(Some(through)),
                    Poll::Pending => cut.as_mut().poll(cx).map(|()| None),
                });
                if let Some(through) = through.await {
                    let (datagram, outcome) = apart(through);
                    judge_outcome::<Async, S>(run, &*station.work.service, &peer, outcome);
                    if let Some(mut datagram) = datagram {
                        inlet.send_alone(&mut datagram).await;
                        spare.borrow_mut().keep(datagram, future);
                    }
                } else {
                    run.cut_packet(inlet.index(), &peer, clock::now().saturating_duration_since(since));
                    // Its drop is the user's code too.
                    let _ = catch(|| drop(future));
                }
                drop((permit, place));
            }));
        }
        inlet.send(&mut batch).await;
        drop(batch);
        if is_full {
            // A flood gives way to others.
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// What makes the user's future may panic, and so may what drops it.
fn poll<F: Future>(future: &mut Pin<Box<Option<F>>>, cx: &mut Context<'_>) -> Poll<Result<F::Output, Panic>> {
    match catch(|| future.as_mut().as_pin_mut().map_or(Poll::Pending, |future| future.poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => {
            let _ = catch(|| future.set(None));
            Poll::Ready(Err(panic))
        }
    }
}

fn apart(through: Result<(Box<Datagram>, crate::Result), Panic>) -> (Option<Box<Datagram>>, crate::Result) {
    match through {
        Ok((datagram, outcome)) => (Some(datagram), outcome),
        Err(panic) => (None, Err(panic.into())),
    }
}

/// Memory for packets and futures: in the steady state none is taken anew.
struct Spare<F> {
    #[expect(clippy::vec_box, reason = "each is handed about, and large")]
    datagrams: Vec<Box<Datagram>>,
    futures: Vec<Pin<Box<Option<F>>>>,
}

impl<F> Spare<F> {
    fn keep(&mut self, datagram: Box<Datagram>, mut future: Pin<Box<Option<F>>>) {
        // The future of one that is through holds nothing that panics when it is dropped.
        future.set(None);
        if self.futures.len() < SPARE {
            self.datagrams.push(datagram);
            self.futures.push(future);
        }
    }
}
