use super::Channel;
use super::carrier::{Carries, Event};
use super::outbox;
use crate::connection::Slot;
use crate::connection::pipeline::{Panic, catch, guard};
use crate::{Failure, Peer, Result};

/// Beyond so many bytes of replies they leave before the next message is handled.
const HIGH_WATER: usize = 64 * 1024;

/// A message handler of either colour.
pub(crate) trait Hear {
    type State;
    fn open(&self, channel: &mut Channel) -> impl Future<Output = Result<Self::State>>;
    fn message(&self, state: &mut Self::State, message: &[u8], channel: &mut Channel) -> impl Future<Output = Result>;
    fn close(&self, state: Self::State, channel: &mut Channel);
    fn on_error(&self, error: &Failure, peer: &Peer);
}

/// Runs a message handler to its end, or until the connection is `cut`: one loop for both engines, both colours and all
/// carriers.
pub(crate) async fn converse<C: Carries, H: Hear>(
    carrier: &mut C,
    hear: &H,
    channel: &mut Channel,
    cut: Option<&Slot>,
) -> Result<(), Option<Failure>> {
    // What makes the future may panic too, so it is made when it is polled.
    let opened = guard!(async { hear.open(channel).await }, cut);
    let outcome = match opened {
        Ok(state) => {
            let mut open = Open { hear, state: Some(state), channel: &mut *channel };
            let talked = guard!(talk(carrier, &mut open), cut);
            let closed = open.close().map_err(Failure::from);
            match (talked, closed) {
                // It ended for the first failure; of the second its handler is told, and nobody else.
                (Err(first), Err(second)) => {
                    tell(hear, &second, open.channel);
                    Err(first)
                }
                (talked, closed) => talked.and(closed.map_err(Some)),
            }
        }
        Err(failure) => Err(failure),
    };
    // One that was cut while its handler was at work may have found nothing but its outbox closed.
    let outcome = if cut.is_some_and(Slot::is_cut) { outcome.and(Err(None)) } else { outcome };
    // What was said before an end, of whatever kind, is still said; if nobody hears it, that is no news any more.
    let said = if channel.out.is_empty() { Ok(()) } else { carrier.send(&mut channel.out).await };
    outcome?;
    said.map_err(|error| Some(error.into()))
}

/// What the handler has opened for a peer: it closes it once, also when the conversation is dropped where it is, as at a
/// drain's deadline.
struct Open<'a, H: Hear> {
    hear: &'a H,
    state: Option<H::State>,
    channel: &'a mut Channel,
}

impl<H: Hear> Open<'_, H> {
    fn close(&mut self) -> Result<(), Panic> {
        let Some(state) = self.state.take() else { return Ok(()) };
        let closed = catch(|| self.hear.close(state, self.channel));
        self.channel.close_outbox();
        closed
    }
}

impl<H: Hear> Drop for Open<'_, H> {
    fn drop(&mut self) {
        if let Err(panic) = self.close() {
            tell(self.hear, &panic.into(), self.channel);
        }
    }
}

/// Tells the handler of a failure that is not what the conversation ends with.
fn tell<H: Hear>(hear: &H, failure: &Failure, channel: &Channel) {
    // A panic there is one too many.
    let _ = catch(|| hear.on_error(failure, channel.peer()));
}

async fn talk<C: Carries, H: Hear>(carrier: &mut C, open: &mut Open<'_, H>) -> Result {
    let Open { hear, state: Some(state), channel } = open else { return Ok(()) };
    let mut pushed = Vec::new();
    let mut event = Event::Input;
    loop {
        while !channel.ends
            && let Some(message) = carrier.next()?
        {
            hear.message(state, message, channel).await?;
            let crowds = outbox::take_crowded();
            if crowds {
                channel.forward(&mut pushed, HIGH_WATER);
            }
            if channel.out.bytes().len() >= HIGH_WATER || (crowds && !channel.out.is_empty()) {
                carrier.send(&mut channel.out).await?;
            }
            if crowds {
                // Those that it pushes to may be as fast as it is, and on its shard: they have to have a turn for that.
                carrier.give_way().await;
            }
        }
        if event == Event::Ended && !channel.ends {
            if let Some(message) = carrier.last()? {
                hear.message(state, message, channel).await?;
            }
            channel.ends = true;
        }
        // At the end all of it, and nothing after that; else no more than so much, for what comes in has its turn as well.
        if let (true, Some(outbox)) = (channel.ends, &channel.outbox) {
            outbox.end();
        }
        channel.forward(&mut pushed, if channel.ends { usize::MAX } else { HIGH_WATER });
        if !channel.out.is_empty() {
            carrier.send(&mut channel.out).await?;
        }
        if channel.ends {
            return Ok(());
        }
        let pushed = &mut pushed;
        let more = channel.outbox.as_ref().map(|outbox| |waker: &_| outbox.poll_take(HIGH_WATER, pushed, waker));
        event = carrier.wait(more).await?;
    }
}
