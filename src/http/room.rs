//! Room for connections: how many a listener holds, and which of them make way for a new one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use super::connection::Shared;

/// Descriptors left for everything that is not a connection: the database, files, administration's own.
const SPARE: u64 = 256;
/// Connections to an address that administration has of its own: nobody else can take them.
pub(super) const OF_ADMINISTRATION: usize = 64;
/// Of so many connections one makes way at once, so that not every newcomer looks at all of them.
const SHARE: usize = 64;

/// As many connections as there are descriptors, less what everything else needs.
pub(super) fn connections(descriptors: u64) -> usize {
    let spare = SPARE.min(descriptors / 2);
    usize::try_from(descriptors - spare).unwrap_or(usize::MAX)
}

/// The connections that a listener holds, up to a number.
pub(super) struct Room {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    next: u64,
    connections: HashMap<u64, Shared>,
}

/// A place that is taken until this is dropped.
pub(super) struct Place {
    room: Arc<Room>,
    number: u64,
}

impl Room {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            held: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // A map with one entry more or less is whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a new connection. When there is none, those make way that have had nothing in
    /// flight for longest; `None` when each of them is being served.
    pub(super) fn take(self: &Arc<Self>, connection: &Shared) -> Option<Place> {
        let mut held = self.lock();
        if held.connections.len() >= self.most && !make_way(&held, (self.most / SHARE).max(1)) {
            return None;
        }
        let number = held.next;
        held.next += 1;
        held.connections.insert(number, connection.clone());
        drop(held);
        Some(Place {
            room: Arc::clone(self),
            number,
        })
    }
}

/// Whether any makes way.
fn make_way(held: &Held, number: usize) -> bool {
    let mut idle: Vec<(Instant, u64)> = held
        .connections
        .iter()
        .filter_map(|(number, connection)| Some((connection.idle_since()?, *number)))
        .collect();
    if idle.len() > number {
        idle.select_nth_unstable(number);
        idle.truncate(number);
    }
    for (_, number) in &idle {
        if let Some(connection) = held.connections.get(number) {
            connection.make_way();
        }
    }
    !idle.is_empty()
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.lock().connections.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_descriptors_is_left_for_the_rest_however_few_there_are() {
        for (descriptors, most) in [(0, 0), (100, 50), (512, 256), (1_024, 768)] {
            assert_eq!(connections(descriptors), most);
        }
    }

    #[test]
    fn the_longest_idle_makes_way_and_whoever_is_served_stays() {
        let room = Room::new(2);
        let (first, second, third) = (Shared::new(), Shared::new(), Shared::new());
        let one = room.take(&first).expect("a place");
        let _two = room.take(&second).expect("a place");
        assert!(first.idle_since().is_some());
        let three = room.take(&third).expect("the first makes way");
        assert!(first.idle_since().is_none() && second.idle_since().is_some());
        drop(one);
        second.asked();
        third.asked();
        let fourth = Shared::new();
        assert!(room.take(&fourth).is_none(), "both are being served");
        drop(three);
        assert!(room.take(&fourth).is_some());
    }
}
