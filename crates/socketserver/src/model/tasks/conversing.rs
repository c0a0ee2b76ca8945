use super::station::Station;
use crate::admission::{Inlet, Tried};
use crate::connection::pipeline::catch;
use crate::datagram::DatagramSocket;
use crate::datagram::session::{Budget, Host, Mailbox, Post, Ready, Router, TaskSession, conversation};
use crate::engine::Async;
use crate::handler::Service;
use crate::{Error, Reason, clock};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};
use tokio::time::{Sleep, sleep_until};

/// Sorts the packets of a socket into sessions, and serves these, until the server stops and they have had their time.
pub(super) async fn converse<S: Service<Async> + Send + Sync>(
    station: Rc<Station<S>>,
    index: usize,
    socket: Arc<DatagramSocket>,
    budget: Arc<Budget>,
) -> Result<(), Error> {
    let work = &station.work;
    let run = &work.run;
    let inlet = Inlet::new(run, &work.gate, &socket, index)?;
    let mut router = Router::new(run, index, &socket, &budget);
    let post = Rc::new(Post::new(run.handle()));
    let make = |mailbox: &Arc<Mailbox>| {
        let mut session = TaskSession::new(mailbox.clone(), post.clone());
        let service = work.service.clone();
        async move { conversation::<Async, S>(&*service, &mut session).await }
    };
    let mut hall = Hall { futures: Vec::new(), make };
    let mut alarm = pin!(Alarm::default());
    let mut draining = Some(run.handle().draining());
    let (mut due, mut stuck, mut rests) = (Vec::new(), None, None);
    let mut failed = Ok(());
    loop {
        let expires = router.expire(&mut hall);
        // Those that were silent for too long are told with the others.
        hall.go_on(&mut router, &mut due);
        inlet.dispatch(&mut post.outbox.borrow_mut(), &mut stuck);
        post.tell_room();
        let is_stuck = !post.outbox.borrow().is_empty();
        if draining.is_none() && router.is_empty() && !is_stuck {
            return failed;
        }
        alarm.as_mut().set([expires, stuck, rests].into_iter().flatten().min());
        let woken = poll_fn(|cx| {
            // Before those who have something to do: they may always have.
            if is_stuck && inlet.poll_room(cx).is_ready() {
                return Poll::Ready(Woken::Others);
            }
            if let Some(drain) = &mut draining {
                if Pin::new(drain).poll(cx).is_ready() {
                    return Poll::Ready(Woken::Drain);
                }
                if rests.is_none() && inlet.poll_packets(cx).is_ready() {
                    return Poll::Ready(Woken::Packets);
                }
            }
            if alarm.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Woken::Others);
            }
            router.ready().poll(cx).map(|()| Woken::Ready)
        });
        match woken.await {
            woken @ (Woken::Others | Woken::Ready) => {
                rests = rests.filter(|until| *until > clock::now());
                if router.cut_if_late() {
                    hall.drop_all();
                } else if matches!(woken, Woken::Ready) {
                    // Whoever wakes himself all the time gives way to others: to timers and sockets, and other tasks.
                    tokio::task::yield_now().await;
                }
            }
            Woken::Drain => {
                draining = None;
                router.close_all(Reason::Drained);
            }
            Woken::Packets => match inlet.try_once() {
                Ok(Some(Tried::Packets(mut batch))) => {
                    router.sort::<Async, S>(&mut batch, &*work.service, &mut hall);
                    if batch.is_full() {
                        drop(batch);
                        hall.go_on(&mut router, &mut due);
                        inlet.dispatch(&mut post.outbox.borrow_mut(), &mut stuck);
                        // A flood gives way to others.
                        tokio::task::yield_now().await;
                    }
                }
                Ok(Some(Tried::Rest(_, until))) => rests = Some(until),
                Ok(Some(Tried::Full(_))) => rests = Some(clock::now() + SUSPENDED),
                Ok(_) => {}
                Err(error) => {
                    // The sessions are given their time.
                    failed = Err(error);
                    draining = None;
                    run.handle().shutdown();
                    router.close_all(Reason::Drained);
                }
            },
        }
    }
}

/// While accepting is suspended it is looked so often whether it still is.
const SUSPENDED: Duration = Duration::from_millis(100);

/// By what the task was woken.
enum Woken {
    Packets,
    Drain,
    /// A handler has something to do, or all are to be cut.
    Ready,
    /// Replies that waited may leave, or the time has come.
    Others,
}

/// A timer that goes off at its time or earlier: so it need not be set anew with each packet, which moves the time on.
#[derive(Default)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    is_set: bool,
}

impl Alarm {
    fn set(mut self: Pin<&mut Self>, until: Option<Instant>) {
        let Some(until) = until.map(tokio::time::Instant::from_std) else {
            self.is_set = false;
            return;
        };
        let is_set = std::mem::replace(&mut self.is_set, true);
        match &mut self.sleep {
            Some(sleep) if is_set && sleep.deadline() <= until => {}
            Some(sleep) => sleep.as_mut().reset(until),
            none => *none = Some(Box::pin(sleep_until(until))),
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        if std::mem::take(&mut self.is_set) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// The handlers of the sessions of one socket, each at the index of its session. They are polled in place, by the task that
/// sorts the packets: that costs less memory and time than a task each.
struct Hall<F, M> {
    futures: Vec<Option<Pin<Box<F>>>>,
    make: M,
}

impl<F: Future<Output = ()>, M: Fn(&Arc<Mailbox>) -> F> Hall<F, M> {
    /// Has those go on that have something to do, and clears away those that are through.
    fn go_on(&mut self, router: &mut Router, ready: &mut Vec<u32>) {
        Ready::take(router.ready(), ready);
        for index in ready.drain(..) {
            if let Some(mailbox) = router.mailbox(index) {
                self.poll(&mailbox.clone());
            }
            router.clear(index);
        }
        if router.is_empty() {
            // A crowd that has left leaves no empty house behind.
            self.futures = Vec::new();
        }
    }

    /// They have no time left.
    fn drop_all(&mut self) {
        for future in std::mem::take(&mut self.futures) {
            // Its drop is the user's code too.
            let _ = catch(|| drop(future));
        }
    }

    fn poll(&mut self, mailbox: &Arc<Mailbox>) {
        mailbox.unlist();
        let Some(place) = self.futures.get_mut(mailbox.index as usize) else { return };
        let Some(future) = place else { return };
        let waker = Waker::from(mailbox.clone());
        // What it calls of the user's is caught where that is told from the rest, but for what is dropped in the end.
        let polled = catch(|| future.as_mut().poll(&mut Context::from_waker(&waker)));
        if polled.is_err() || polled.is_ok_and(|poll| poll.is_ready()) {
            let future = place.take();
            let _ = catch(|| drop(future));
        }
    }
}

impl<F: Future<Output = ()>, M: Fn(&Arc<Mailbox>) -> F> Host for Hall<F, M> {
    fn begin(&mut self, mailbox: &Arc<Mailbox>) {
        let index = mailbox.index as usize;
        if self.futures.len() <= index {
            self.futures.resize_with(index + 1, || None);
        }
        self.futures[index] = Some(Box::pin((self.make)(mailbox)));
        self.poll(mailbox);
    }

    fn can_settle(&self, mailbox: &Arc<Mailbox>) -> bool {
        mailbox.is_idle()
    }

    fn settle(&mut self, mailbox: &Arc<Mailbox>) -> bool {
        self.poll(mailbox);
        mailbox.is_over()
    }
}
