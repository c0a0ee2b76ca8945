use super::Channel;
use super::carrier::{Carries, Event};
use crate::Result;
use crate::connection::Slot;
use crate::connection::pipeline::{Panic, catch, guard};
use std::collections::VecDeque;
use std::sync::Arc;

/// Beyond so many bytes of replies they leave before the next message is handled.
const HIGH_WATER: usize = 64 * 1024;

/// A message handler of either colour.
pub(crate) trait Hear {
    type State;
    fn open(&self, channel: &mut Channel) -> impl Future<Output = Result<Self::State>>;
    fn message(&self, state: &mut Self::State, message: &[u8], channel: &mut Channel) -> impl Future<Output = Result>;
    fn close(&self, state: Self::State, channel: &mut Channel);
}

/// Runs a message handler to its end, or until the connection is `cut`: one loop for both engines, both colours and all
/// carriers.
pub(crate) async fn converse<C: Carries, H: Hear>(
    carrier: &mut C,
    hear: &H,
    channel: &mut Channel,
    cut: Option<&Slot>,
) -> Result<(), Option<crate::Failure>> {
    let state = hear.open(channel).await?;
    let mut open = Open { hear, state: Some(state), channel };
    let outcome = guard!(talk(carrier, &mut open), cut);
    let closed = open.close();
    let channel = &mut *open.channel;
    // What was said before an end, of whatever kind, is still said; if nobody hears it, that is no news any more.
    let said = if channel.out.is_empty() { Ok(()) } else { carrier.send(&mut channel.out).await };
    outcome?;
    closed.map_err(|panic| Some(panic.into()))?;
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
        // Nobody is left to be told of a panic.
        let _ = self.close();
    }
}

async fn talk<C: Carries, H: Hear>(carrier: &mut C, open: &mut Open<'_, H>) -> Result {
    let Open { hear, state: Some(state), channel } = open else { return Ok(()) };
    let mut pushed = VecDeque::new();
    let mut ended = false;
    loop {
        while let Some(message) = carrier.next()? {
            hear.message(state, message, channel).await?;
            if channel.ends {
                break;
            }
            if channel.out.bytes().len() >= HIGH_WATER {
                carrier.send(&mut channel.out).await?;
            }
        }
        if ended && !channel.ends {
            if let Some(message) = carrier.last()? {
                hear.message(state, message, channel).await?;
            }
            channel.ends = true;
        }
        // No more than so much at a time: what comes in has its turn as well.
        send_pushed(carrier, channel, &mut pushed).await?;
        if channel.ends {
            if let Some(outbox) = &channel.outbox {
                outbox.end();
            }
            while send_pushed(carrier, channel, &mut pushed).await? {}
            break;
        }
        let event = carrier.wait(channel.outbox.as_ref().map(|outbox| |waker: &_| outbox.poll_pushed(waker))).await?;
        ended = event == Event::Ended;
    }
    Ok(())
}

/// Sends what has gathered, and of what was pushed so much that it is worth a write. `false`: there was nothing.
async fn send_pushed<C: Carries>(
    carrier: &mut C,
    channel: &mut Channel,
    pushed: &mut VecDeque<Arc<[u8]>>,
) -> Result<bool> {
    if let Some(outbox) = &channel.outbox {
        channel.ends |= outbox.take(HIGH_WATER, pushed);
        for message in pushed.drain(..) {
            if channel.out.push(&message).is_err() {
                // Whoever pushed it to many cannot know what each carrier bears.
                outbox.count_dropped();
            }
        }
    }
    let is_empty = channel.out.is_empty();
    if !is_empty {
        carrier.send(&mut channel.out).await?;
    }
    Ok(!is_empty)
}
