//! The keys that network addresses are hashed under, as far as they are held in memory. An agent's is
//! erased with its owner, by whichever node: every node forgets it when it hears of that.

use std::sync::Arc;

use dashmap::DashMap;

use crate::{
    crypto::MacKey,
    domain::{Fact, OwnerFact, StreamId},
    push::Doorbells,
    store::{CommitListener, Committed},
};

/// Keys beyond that many are looked up again.
const KEPT: usize = 10_000;
const OF_AGENTS: &str = "agent/";

/// Keys by their scopes: a day, or an agent.
#[derive(Default)]
pub(crate) struct AddressKeys(DashMap<String, Arc<MacKey>>);

impl AddressKeys {
    pub(crate) fn get(&self, scope: &str) -> Option<Arc<MacKey>> {
        self.0.get(scope).map(|key| Arc::clone(&key))
    }

    pub(crate) fn keep(&self, scope: &str, key: Arc<MacKey>) {
        if self.0.len() >= KEPT {
            self.0.clear();
        }
        self.0.insert(scope.to_owned(), key);
    }

    /// Forgets what may have been erased by an event of that stream.
    fn forget(&self, stream: &StreamId) {
        match stream {
            StreamId::Agent(agent) => drop(self.0.remove(&format!("{OF_AGENTS}{agent}"))),
            // Which agents are theirs is not known here, and a key is soon read again.
            StreamId::Owner(_) => self.0.retain(|scope, _| !scope.starts_with(OF_AGENTS)),
            _ => {}
        }
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
            keys.keep(scope, Arc::new(MacKey::from_bytes([7; 32])));
        }
        let kept = |scope: &str| keys.get(scope).is_some();
        // When another node ends one of them, then its key is forgotten.
        listeners.appended_elsewhere(&[StreamId::Agent(one)]);
        assert!(!kept(&of_one) && kept(&of_two));
        // When another node writes about an owner, then no agent's key stays, and the day's does.
        listeners.appended_elsewhere(&[StreamId::Owner(edge::new_owner_id())]);
        assert!(!kept(&of_two) && kept("day/2026-01-01"));
    }
}
