//! The keys that network addresses are hashed under, as far as they are held in memory. An agent's is
//! erased with its owner, by whichever node: every node forgets it when it hears of that.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use dashmap::DashMap;

use crate::{
    crypto::MacKey,
    domain::{Fact, OwnerFact, StreamId},
    push::Doorbells,
    store::{CommitListener, Committed},
};

/// Keys beyond that many are looked up again.
const KEPT: usize = 10_000;
pub(super) const OF_AGENTS: &str = "agent/";

/// Keys by their scopes: a day, or an agent.
#[derive(Default)]
pub(crate) struct AddressKeys {
    keys: DashMap<String, Arc<MacKey>>,
    /// How often some were forgotten.
    forgotten: AtomicU64,
}

/// A moment before a key was read.
pub(crate) struct Before(u64);

impl AddressKeys {
    pub(crate) fn get(&self, scope: &str) -> Option<Arc<MacKey>> {
        self.keys.get(scope).map(|key| Arc::clone(&key))
    }

    /// To be asked for before a key is read that is to be kept.
    pub(crate) fn now(&self) -> Before {
        Before(self.forgotten.load(Ordering::SeqCst))
    }

    /// Keeps a key, unless some were forgotten since it was read: it may be one of them.
    pub(crate) fn keep(&self, scope: &str, key: Arc<MacKey>, read: &Before) {
        if self.keys.len() >= KEPT {
            self.keys.clear();
        }
        self.keys.insert(scope.to_owned(), key);
        if self.now().0 != read.0 {
            self.keys.remove(scope);
        }
    }

    /// Forgets what may have been erased by an event of that stream.
    fn forget(&self, stream: &StreamId) {
        let is_erased = |scope: &str| match stream {
            StreamId::Agent(agent) => scope == format!("{OF_AGENTS}{agent}"),
            // Which agents are theirs is not known here, and a key is soon read again.
            StreamId::Owner(_) => scope.starts_with(OF_AGENTS),
            _ => false,
        };
        if matches!(stream, StreamId::Agent(_) | StreamId::Owner(_)) {
            self.forget_those(is_erased);
        }
    }

    fn forget_those(&self, is_erased: impl Fn(&str) -> bool) {
        // First, so that whoever has read one by now does not keep it.
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.keys.retain(|scope, _| !is_erased(scope));
    }
}

/// Whoever hears of commits.
pub(crate) struct Listeners {
    pub(crate) doorbells: Arc<Doorbells>,
    pub(crate) address_keys: Arc<AddressKeys>,
}

impl CommitListener for Listeners {
    fn committed(&self, events: &[Committed]) {
        self.doorbells.committed(events);
        for event in events {
            let fact = &event.recorded.fact;
            if matches!(fact, Fact::Agent(_) | Fact::Owner(OwnerFact::Erased(_))) {
                self.address_keys.forget(&event.stream);
            }
        }
    }

    fn appended_elsewhere(&self, streams: &[StreamId]) {
        self.doorbells.appended_elsewhere(streams);
        for stream in streams {
            self.address_keys.forget(stream);
        }
    }

    fn put_back(&self) {
        self.doorbells.put_back();
        self.address_keys.forget_those(|_| true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge;

    #[test]
    fn a_node_forgets_the_keys_of_agents_when_another_erases_their_owner() {
        // Given the keys of two agents and of a day.
        let (one, two) = (edge::new_agent_id(), edge::new_agent_id());
        let (of_one, of_two) = (format!("agent/{one}"), format!("agent/{two}"));
        let listeners = Listeners {
            doorbells: Arc::new(Doorbells::new(10)),
            address_keys: Arc::default(),
        };
        let keys = &listeners.address_keys;
        for scope in [&of_one, &of_two, "day/2026-01-01"] {
            keys.keep(scope, Arc::new(MacKey::from_bytes([7; 32])), &keys.now());
        }
        let kept = |scope: &str| keys.get(scope).is_some();
        // When another node ends one of them, then its key is forgotten.
        listeners.appended_elsewhere(&[StreamId::Agent(one)]);
        assert!(!kept(&of_one) && kept(&of_two));
        // When another node writes about an owner, then no agent's key stays, and the day's does.
        listeners.appended_elsewhere(&[StreamId::Owner(edge::new_owner_id())]);
        assert!(!kept(&of_two) && kept("day/2026-01-01"));
        // When a key was read before that, and comes to be kept after it, then it is not.
        let read = keys.now();
        listeners.appended_elsewhere(&[StreamId::Agent(one)]);
        keys.keep(&of_one, Arc::new(MacKey::from_bytes([7; 32])), &read);
        assert!(!kept(&of_one));
    }
}
