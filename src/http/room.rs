//! Room for connections: how many a listener holds, and which of them make way for a new one.

use std::{
    collections::{HashMap, HashSet},
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
    less(descriptors, SPARE)
}

/// What is left of the descriptors; half of them at least.
pub(super) fn less(descriptors: u64, spare: u64) -> usize {
    let spare = spare.min(descriptors / 2);
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
    /// Those that were told to make way.
    leaving: HashSet<u64>,
}

impl Held {
    /// How many there will be once those that make way have ended; looked at closely when they are `most`.
    fn staying(&mut self, most: usize) -> usize {
        if self.connections.len() >= most {
            let connections = &self.connections;
            // One that was asked for something before it heard of it stays.
            self.leaving
                .retain(|number| connections.get(number).is_some_and(Shared::makes_way));
        }
        self.connections.len() - self.leaving.len()
    }
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
        if held.staying(self.most) >= self.most && !make_way(&mut held, (self.most / SHARE).max(1))
        {
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
fn make_way(held: &mut Held, number: usize) -> bool {
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
            held.leaving.insert(*number);
        }
    }
    !idle.is_empty()
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.room.lock();
        held.connections.remove(&self.number);
        held.leaving.remove(&self.number);
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
        assert!(first.makes_way() && !second.makes_way());
        second.asked();
        third.asked();
        let fourth = Shared::new();
        assert!(room.take(&fourth).is_none(), "both are being served");
        drop(three);
        assert!(room.take(&fourth).is_some());
    }

    #[test]
    fn newcomers_take_the_places_of_those_that_make_way_before_others_have_to() {
        let room = Room::new(2 * SHARE);
        let held: Vec<Shared> = (0..2 * SHARE).map(|_| Shared::new()).collect();
        let places: Vec<_> = held.iter().map(|one| room.take(one)).collect();
        assert!(places.iter().all(Option::is_some));
        let newcomers: Vec<Shared> = (0..3).map(|_| Shared::new()).collect();
        let mut taken = Vec::new();
        for (newcomer, leaving) in newcomers.iter().zip([2, 2, 4]) {
            // They have not heard of it yet.
            newcomer.asked();
            taken.push(room.take(newcomer).expect("a place"));
            assert_eq!(held.iter().filter(|one| one.makes_way()).count(), leaving);
        }
    }
}
