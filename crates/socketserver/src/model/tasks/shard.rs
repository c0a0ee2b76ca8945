use super::accepting::until_stop;
use super::packets::{Share, receive_packets};
use super::spinner::{Spinner, spin};
use super::station::Station;
use crate::Error;
use crate::admission::{Admitted, Ears};
use crate::engine::Async;
use crate::handler::Service;
use crate::lifecycle::Pulse;
use crate::model::Work;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::LocalOptions;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_local;

/// How many turns tasks have between two looks for events, at most. A request takes two, and a look costs as much as a few;
/// this is four times what tokio has, and a millisecond or two of work.
const EVENT_INTERVAL: u32 = 244;

/// How connections come to a shard.
#[derive(Debug)]
pub(super) struct Post {
    letters: UnboundedSender<Admitted>,
    /// How many it has.
    load: Arc<Load>,
}

/// Alone on its cache line: others look at it while its shard changes it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Load(AtomicUsize);

/// A connection that a shard has.
pub(super) struct Burden(Arc<Load>);

impl Drop for Burden {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}

impl Post {
    pub(super) fn new() -> (Self, UnboundedReceiver<Admitted>) {
        // The limit on connections bounds it.
        let (letters, received) = unbounded_channel();
        (Self { letters, load: Arc::default() }, received)
    }
}

/// Nobody is let in before every shard has its runtime: connections could take the descriptors that it needs.
pub(super) struct Start {
    /// Dropped once this one has its runtime, or has failed to get it.
    pub(super) this: tokio::sync::mpsc::Sender<()>,
    /// Ends when all were dropped.
    pub(super) all: Option<tokio::sync::mpsc::Receiver<()>>,
}

/// One runtime on one thread.
pub(super) struct Shard<S> {
    pub(super) index: usize,
    pub(super) work: Work<Async, S>,
    pub(super) posts: Arc<[Post]>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) spin: Option<Duration>,
    /// Where packets come to it.
    pub(super) sockets: Share,
}

impl<S: Service<Async> + Send + Sync> Shard<S> {
    pub(super) fn run(self, letters: UnboundedReceiver<Admitted>, start: Start) -> Result<(), Error> {
        let (run, pulse) = (self.work.run.clone(), self.pulse.clone());
        let asleep = self.pulse.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .event_interval(EVENT_INTERVAL)
            .on_thread_park(move || asleep.fall_asleep())
            .on_thread_unpark(move || pulse.wake_up(&run))
            .build_local(LocalOptions::default())
            .map_err(|error| Error::io("cannot make a runtime for a shard", error))?;
        drop(start.this);
        let result = runtime.block_on(async {
            if let Some(mut all) = start.all {
                let _ = all.recv().await;
            }
            let spinner = self.spin.map(|time| {
                let spinner = Rc::new(Spinner::default());
                spawn_local(spin(spinner.clone(), time));
                spinner
            });
            let station = Rc::new(Station::new(self.work.clone(), Some(self.pulse), spinner));
            for (index, socket) in &self.sockets {
                spawn_local(receive_packets(station.clone(), *index, socket.clone()));
            }
            let load = self.posts[self.index].load.clone();
            spawn_local(receive(station.clone(), letters, load));
            let run = self.work.run.clone();
            let mut over = pin!(run.is_over());
            let mut accepted = Ok(());
            if self.index == 0 {
                let posts = self.posts;
                let station = station.clone();
                let mut accepting = pin!(until_stop(&self.work, async move { accept(station, posts).await }));
                // A shard whose handler kept it until the run was over need not hear of the stop any more.
                poll_fn(|cx| match accepting.as_mut().poll(cx) {
                    Poll::Ready(result) => {
                        accepted = result;
                        Poll::Ready(())
                    }
                    Poll::Pending => over.as_mut().poll(cx),
                })
                .await;
                // It may be ready already, and is not to be polled again then.
                run.is_over().await;
            } else {
                drop(self.posts);
                over.await;
            }
            accepted.and(station.failure())
        });
        // What handlers left to other threads is not waited for: the drain had its deadline.
        runtime.shutdown_background();
        result
    }
}

/// Lets connections in and gives each to the shard that has the fewest.
async fn accept<S: Service<Async> + Send + Sync>(station: Rc<Station<S>>, posts: Arc<[Post]>) -> Result<(), Error> {
    let work = &station.work;
    let Some(mut ears) = Ears::new(&work.run, &work.gate)? else { return Ok(()) };
    let mut after = 0;
    while let Some(admitted) = ears.next(&|peer| work.service.verify(peer)).await? {
        // Of several with as few, each in turn.
        let order = (0..posts.len()).map(|at| (after + at) % posts.len());
        let chosen = order.min_by_key(|at| posts[*at].load.0.load(Relaxed)).unwrap_or(0);
        after = chosen + 1;
        posts[chosen].load.0.fetch_add(1, SeqCst);
        if chosen == 0 {
            station.serve(admitted, Some(Burden(posts[0].load.clone())));
        } else {
            // A shard that failed has told why, and the server stops.
            let _ = posts[chosen].letters.send(admitted);
        }
    }
    Ok(())
}

/// Serves what other shards let in for this one.
async fn receive<S: Service<Async> + Send + Sync>(
    station: Rc<Station<S>>,
    mut letters: UnboundedReceiver<Admitted>,
    load: Arc<Load>,
) {
    while let Some(admitted) = letters.recv().await {
        station.serve(admitted, Some(Burden(load.clone())));
    }
}
