use super::Outbox;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// So many members lie together: what is copied when one joins or leaves while somebody publishes, beside a pointer to
/// each other chunk.
const CHUNK: usize = 64;

/// Who is in a room.
#[derive(Default)]
pub(super) struct Room {
    members: Members,
    /// By the numbers of their outboxes.
    places: HashMap<u64, Place>,
}

/// The members as they were at one time: who has this holds up nobody, for those who join and leave meanwhile change a copy.
#[derive(Clone, Default)]
pub(super) struct Members(Arc<Chunks>);

/// All are full but the last one.
type Chunks = Vec<Arc<Vec<Outbox>>>;

/// Where a member is.
struct Place {
    index: usize,
    /// How many times it has joined.
    joined: usize,
}

impl Room {
    /// One more is in, or once more.
    pub(super) fn join(&mut self, outbox: &Outbox) {
        let index = self.places.len();
        let place = self.places.entry(outbox.number()).or_insert(Place { index, joined: 0 });
        place.joined += 1;
        if place.joined > 1 {
            return;
        }
        let chunks = Arc::make_mut(&mut self.members.0);
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => Arc::make_mut(chunk).push(outbox.clone()),
            _ => chunks.push(Arc::new(vec![outbox.clone()])),
        }
    }

    /// It has left once. Tells whether it is gone.
    pub(super) fn leave(&mut self, number: u64) -> bool {
        let Entry::Occupied(mut place) = self.places.entry(number) else { return true };
        place.get_mut().joined -= 1;
        if place.get().joined > 0 {
            return false;
        }
        let index = place.remove().index;
        let chunks = Arc::make_mut(&mut self.members.0);
        // The last one takes its place.
        let last = chunks.last_mut().and_then(|chunk| Arc::make_mut(chunk).pop());
        chunks.pop_if(|chunk| chunk.is_empty());
        if let Some(last) = last.filter(|last| last.number() != number) {
            if let Some(place) = self.places.get_mut(&last.number()) {
                place.index = index;
            }
            Arc::make_mut(&mut chunks[index / CHUNK])[index % CHUNK] = last;
        }
        true
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.places.contains_key(&number)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn members(&self) -> Members {
        self.members.clone()
    }
}

impl Members {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Outbox> {
        self.0.iter().flat_map(|chunk| chunk.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(members: &Members) -> Vec<u64> {
        let mut numbers: Vec<_> = members.iter().map(Outbox::number).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn whoever_joined_is_there_until_it_has_left_as_often() {
        let mut room = Room::default();
        let mut outboxes: Vec<Outbox> = (0..5 * CHUNK / 2).map(|_| Outbox::nobodys(1)).collect();
        let all: Vec<u64> = outboxes.iter().map(Outbox::number).collect();
        for outbox in &outboxes {
            room.join(outbox);
        }
        room.join(&outboxes[7]);
        assert_eq!((room.len(), numbers(&room.members())), (all.len(), all.clone()));
        assert!(!room.leave(all[7]) && room.has(all[7]));
        // In an order of its own: first, last, in the middle.
        while !outboxes.is_empty() {
            let leaving = outboxes.swap_remove(outboxes.len() * 3 / 7);
            assert!(room.leave(leaving.number()) && !room.has(leaving.number()));
            let mut left: Vec<u64> = outboxes.iter().map(Outbox::number).collect();
            left.sort_unstable();
            assert_eq!((room.len(), numbers(&room.members())), (left.len(), left));
            assert!(room.members.0.iter().rev().skip(1).all(|chunk| chunk.len() == CHUNK));
        }
        assert!(room.members.0.is_empty());
    }

    #[test]
    fn who_has_the_members_sees_no_change() {
        let mut room = Room::default();
        let outboxes: Vec<Outbox> = (0..CHUNK + 1).map(|_| Outbox::nobodys(1)).collect();
        outboxes.iter().for_each(|outbox| room.join(outbox));
        let before = room.members();
        room.leave(outboxes[0].number());
        room.join(&Outbox::nobodys(1));
        assert_eq!(numbers(&before), outboxes.iter().map(Outbox::number).collect::<Vec<_>>());
        assert_eq!(room.len(), outboxes.len());
    }
}
