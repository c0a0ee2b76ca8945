use super::shard::Burden;
use super::spinner::Spinner;
use crate::Error;
use crate::admission::Admitted;
use crate::connection::pipeline::{Ending, Site};
use crate::connection::task_stream::Stream;
use crate::connection::{Connection, Core, Reason, TaskIo, pipeline};
use crate::engine::{Async, Conn};
use crate::handler::Service;
use crate::lifecycle::{Pulse, Run};
use crate::model::Work;
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::task::spawn_local;

/// Where the connections of one runtime are served.
pub(super) struct Station<S> {
    pub(super) work: Work<Async, S>,
    pulse: Option<Arc<Pulse>>,
    spinner: Option<Rc<Spinner>>,
    /// Why it came to an early end.
    failure: Cell<Option<Error>>,
}

impl<S: Service<Async> + Send + Sync> Station<S> {
    pub(super) fn new(work: Work<Async, S>, pulse: Option<Arc<Pulse>>, spinner: Option<Rc<Spinner>>) -> Self {
        Self { work, pulse, spinner, failure: Cell::default() }
    }

    /// It cannot go on: the server stops.
    pub(super) fn fail(&self, error: Error) {
        self.failure.set(Some(error));
        self.work.handle().shutdown();
    }

    /// Why it could not go on, if so.
    pub(super) fn failure(&self) -> Result<(), Error> {
        self.failure.take().map_or(Ok(()), Err)
    }

    pub(super) fn serve(self: &Rc<Self>, mut admitted: Admitted, burden: Option<Burden>) {
        let mut stream = match self.stream(&mut admitted) {
            Ok(stream) => stream,
            Err(error) => {
                let failure = Some(format!("the runtime cannot watch its socket: {error}"));
                admitted.ending = Some(Ending::with(Reason::Failed, failure));
                return;
            }
        };
        // What is dropped with its runtime was given its time.
        admitted.ending = Some(Ending::of(Reason::Aborted));
        let mut guest = Box::new(Guest { admitted, _burden: burden, station: self.clone() });
        // What is moved into this block lies in it once; what it moved on would lie in it twice.
        drop(spawn_local(async move {
            // Once: a task has one waker all its life. Each turn that looks at the connection's record would fetch it into
            // the cache, and of many connections each is far away.
            poll_fn(|cx| {
                guest.admitted.connection().serve_in(cx.waker());
                Poll::Ready(())
            })
            .await;
            let ending = {
                let mut serving = pin!(pipeline::connection::<Async, S>(&mut stream, &*guest));
                poll_fn(|cx| guest.poll(cx, serving.as_mut())).await
            };
            guest.admitted.ending = Some(ending);
            // In this order: nothing is left of it when the event tells that it has ended.
            drop((stream, guest));
        }));
    }

    fn stream(&self, admitted: &mut Admitted) -> io::Result<Stream> {
        let connection = admitted.connection().clone();
        let io = match admitted.transport.take() {
            Some(transport) => TaskIo::own(transport),
            None => TaskIo::socket(&connection)?,
        };
        let run = &self.work.run;
        Ok(Stream::new(Core::new(io, connection, run.terms.clone())))
    }
}

impl<S> Station<S> {
    /// There is something to do: the shard does not go to sleep at once, if it is to spin.
    #[inline]
    pub(super) fn go_on(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.go_on();
        }
    }
}

/// What a connection holds of the server while it is served, beside its stream. In a box of its own, for a task has room
/// for all that it ever holds.
struct Guest<S> {
    admitted: Admitted,
    /// Leaves last: the shard has the connection until all is gone.
    _burden: Option<Burden>,
    station: Rc<Station<S>>,
}

impl<S> Site<S> for Guest<S> {
    fn service(&self) -> &S {
        &self.station.work.service
    }

    fn run(&self) -> &Run {
        &self.station.work.run
    }

    fn connection(&self) -> &Connection {
        self.admitted.connection()
    }
}

impl<S> Guest<S> {
    /// A turn of its task.
    #[inline]
    fn poll(&self, cx: &mut Context<'_>, serving: Pin<&mut impl Future<Output = Ending>>) -> Poll<Ending> {
        self.station.go_on();
        let Some(pulse) = &self.station.pulse else { return serving.poll(cx) };
        pulse.begin(self.admitted.at);
        let polled = serving.poll(cx);
        pulse.end();
        polled
    }
}
