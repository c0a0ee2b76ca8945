use super::Channel;
use super::carrier::{Carries, Event};
use crate::Result;
use crate::connection::Slot;
use crate::connection::pipeline::{catch, guard};
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
    let mut state = hear.open(channel).await?;
    let outcome = guard!(talk(carrier, hear, channel, &mut state), cut);
    let closed = catch(|| hear.close(state, channel));
    if let Some(outbox) = &channel.outbox {
        outbox.close();
    }
    // What was said before an end, of whatever kind, is still said; if nobody hears it, that is no news any more.
    let said = if channel.out.is_empty() { Ok(()) } else { carrier.send(&mut channel.out).await };
    outcome?;
    closed.map_err(|panic| Some(panic.into()))?;
    said.map_err(|error| Some(error.into()))
}

async fn talk<C: Carries, H: Hear>(carrier: &mut C, hear: &H, channel: &mut Channel, state: &mut H::State) -> Result {
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
