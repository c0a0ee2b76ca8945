use super::DatagramSocket;
use crate::Peer;
use crate::events::Undelivered;
use crate::lifecycle::Run;
use socketserver_sys::Origin;

/// Of how many packets that did not arrive is told in one go.
const IN_A_ROW: usize = 64;

/// Tells of packets that a socket of that endpoint sent and that did not arrive. `false`: there may be more, but packets come
/// first.
///
/// Such a socket is readable for as long as there is one to be told of, and what it keeps for that takes the room of packets.
pub(crate) fn tell_bounces(run: &Run, socket: &DatagramSocket, index: usize) -> bool {
    // All at once, for each that is read brings up the next as the error of whatever call comes then.
    let bounces: Vec<_> = std::iter::from_fn(|| socket.next_bounce()).take(IN_A_ROW).collect();
    let all = bounces.len() < IN_A_ROW;
    for bounce in bounces {
        // What this machine finds out by itself the call has said that was to send it.
        if bounce.origin == Origin::Local {
            continue;
        }
        run.shared.control.count_undelivered();
        let peer = bounce.to.map_or_else(Peer::unnamed, Peer::from);
        let endpoint = &run.shared.endpoints[index];
        let event = Undelivered { peer: &peer, endpoint, by: bounce.by, error: &bounce.error, mtu: bounce.mtu };
        run.observe(|observer| observer.undelivered(&event));
    }
    all
}
