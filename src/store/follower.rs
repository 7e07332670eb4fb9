//! Followers: they read on behind the head of the log, each from its own checkpoint, and do what
//! need not be done before an answer. An event may be seen twice, never missed.

use std::{future::Future, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Append, CommitListener, Store, StoreError,
    append::{Advance, Committed},
};
use crate::domain::{
    AgentFact, ClientFact, CutOff, Decision, DerivationKeyFact, Fact, Metadata, OwnerFact,
    RequestFact, RequestId, StreamId,
    auth_request::{RevokedReason, deny, revoke_grant},
};

/// Events read at a time.
const PAGE: u32 = 500;
/// How often to look although nobody called: another node may have appended.
const SLOW_PACE: Duration = Duration::from_secs(5);

/// How often to look for what other nodes appended.
const LISTENING_PACE: Duration = Duration::from_secs(1);

/// What a follower does with the events it reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Follower {
    /// Counts sign-ins.
    Statistics,
    /// Writes the `Revoked` of each grant that a suspension or revocation cut off, and of each page
    /// that waits for a revoked client, which wakes it.
    Revocations,
    /// The same for each sign-in under a derivation key that was compromised: as many as there are, so
    /// that nobody else's `Revoked` waits for them.
    Compromises,
}

impl Follower {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Statistics, Self::Revocations, Self::Compromises];

    /// The name of its checkpoint.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Statistics => "statistics",
            Self::Revocations => "revocations",
            Self::Compromises => "compromises",
        }
    }
}

/// Runs every follower until `stop`.
pub async fn follow(store: Arc<Store>, stop: CancellationToken) {
    tokio::join!(
        run(&store, Follower::Statistics, &stop),
        run(&store, Follower::Revocations, &stop),
        run(&store, Follower::Compromises, &stop),
    );
}

/// Rings for what other nodes append, at a slow pace; what this node appends rings at once. It ends
/// at once where no other node can be.
///
/// It hears from where the log ends when this is called, so that whoever subscribes after that
/// misses nothing.
pub fn hear_others(
    store: Arc<Store>,
    listener: Arc<dyn CommitListener>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send {
    let mut heard = *store.head().borrow();
    async move {
        while store.is_shared() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LISTENING_PACE) => {}
            }
            // Page after page at once: however much is appended, nobody falls behind.
            loop {
                match hear(&store, &mut heard, &*listener).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        if error.is_news("others") {
                            tracing::warn!(%error, "what other nodes appended could not be read");
                        }
                        break;
                    }
                }
            }
        }
    }
}

/// Hears what was appended behind a position, a page at most; whether there may be more.
async fn hear(
    store: &Store,
    heard: &mut u64,
    listener: &dyn CommitListener,
) -> Result<bool, StoreError> {
    if let Some((last, streams)) = store.streams_after(*heard, PAGE).await? {
        *heard = last;
        listener.appended_elsewhere(&streams);
        return Ok(true);
    }
    let last = store.last_position().await?;
    if last < *heard {
        tracing::warn!(
            before = *heard,
            now = last,
            "the log ends earlier than it did: its database was put back"
        );
        *heard = last;
        listener.put_back();
    }
    Ok(false)
}

async fn run(store: &Store, follower: Follower, stop: &CancellationToken) {
    let mut head = store.head();
    loop {
        head.mark_unchanged();
        let read = read_on(store, follower, stop).await;
        let is_held_up = read.is_err();
        match read {
            Ok(()) => {}
            Err(StoreError::Stopped) => return,
            Err(error) if !error.is_news(follower.name()) => {
                tracing::debug!(%error, follower = follower.name(), "a follower is held up");
            }
            Err(error) => {
                tracing::error!(%error, follower = follower.name(), "a follower is held up");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            // A closed channel means that the writer has ended: the slow pace remains until `stop`.
            // Whoever is held up does not try again at each commit.
            Ok(()) = head.changed(), if !is_held_up => {}
            () = tokio::time::sleep(SLOW_PACE) => {}
        }
    }
}

async fn read_on(
    store: &Store,
    follower: Follower,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let mut from = store.checkpoint(follower.name()).await?;
    store.measures.has_read(follower, from);
    while !stop.is_cancelled() {
        let events = store.events_after(from, PAGE).await?;
        let Some(last) = events.last() else {
            return Ok(());
        };
        let to = last.recorded.position;
        let statistic = match follower {
            Follower::Statistics => {
                let sign_ins = events
                    .iter()
                    .filter(|e| is_sign_in(&e.recorded.fact))
                    .count();
                Some(("sign_ins", i64::try_from(sign_ins).unwrap_or(i64::MAX)))
            }
            Follower::Revocations => {
                for event in &events {
                    revoke_what_was_cut_off(store, event).await?;
                }
                None
            }
            Follower::Compromises => {
                revoke_under(store, &compromised(&events), stop).await?;
                if stop.is_cancelled() {
                    // The rest is for the next start.
                    return Ok(());
                }
                None
            }
        };
        let advance = Advance {
            follower: follower.name(),
            from,
            to,
            statistic,
        };
        store
            .writer
            .append(Append {
                advance: Some(advance),
                ..Append::default()
            })
            .await?;
        from = to;
        store.measures.has_read(follower, from);
    }
    Ok(())
}

/// The type of event that the statistics count.
pub(crate) const SIGN_IN: &str = "AgentAuthenticated";

/// What the statistics count.
pub(crate) const fn is_sign_in(fact: &Fact) -> bool {
    matches!(fact, Fact::Request(RequestFact::AgentAuthenticated(_)))
}

async fn revoke_what_was_cut_off(store: &Store, event: &Committed) -> Result<(), StoreError> {
    let position = event.recorded.position;
    if let (StreamId::Owner(owner), Fact::Owner(OwnerFact::Erased(_))) =
        (&event.stream, &event.recorded.fact)
    {
        // Should whoever erased have been cut off on the way.
        store.end_agents_of(owner, &Metadata::system()).await?;
    }
    let mut after = String::new();
    loop {
        let (requests, reason) = match (&event.stream, &event.recorded.fact) {
            (StreamId::Agent(agent), Fact::Agent(AgentFact::Suspended(_))) => (
                store.requests_of_agent(agent, &after).await?,
                RevokedReason::AgentSuspended,
            ),
            (StreamId::Agent(agent), Fact::Agent(AgentFact::Revoked(_))) => (
                store.requests_of_agent(agent, &after).await?,
                RevokedReason::AgentRevoked,
            ),
            (StreamId::Client(client), Fact::Client(ClientFact::Revoked(_))) => (
                store.requests_of_client(client, &after).await?,
                RevokedReason::ClientRevoked,
            ),
            (StreamId::Owner(owner), Fact::Owner(OwnerFact::Suspended(_))) => (
                store.requests_of_owner(owner, &after).await?,
                RevokedReason::OwnerSuspended,
            ),
            (StreamId::Owner(owner), Fact::Owner(OwnerFact::Erased(_))) => (
                store.requests_of_owner(owner, &after).await?,
                RevokedReason::OwnerErased,
            ),
            _ => return Ok(()),
        };
        let Some(last) = requests.last() else {
            return Ok(());
        };
        after = last.to_string();
        for request in &requests {
            revoke(store, request, position, reason).await?;
        }
    }
}

/// Derivation keys that were compromised, and the last of those events' places.
fn compromised(events: &[Committed]) -> (Vec<&str>, u64) {
    let mut position = 0;
    let ids = events
        .iter()
        .filter_map(|event| match (&event.stream, &event.recorded.fact) {
            (
                StreamId::DerivationKey(id),
                Fact::DerivationKey(DerivationKeyFact::Compromised(_)),
            ) => {
                position = event.recorded.position;
                Some(id.as_str())
            }
            _ => None,
        });
    (ids.collect(), position)
}

/// Ends all sign-ins under the keys, in one pass. Those that have ended are passed over where they are
/// stored, so that one that was interrupted goes on where it was.
async fn revoke_under(
    store: &Store,
    (keys, position): &(Vec<&str>, u64),
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let mut after = String::new();
    while !keys.is_empty() && !stop.is_cancelled() {
        let requests = store.sign_ins_under(keys, &after).await?;
        let Some(last) = requests.last() else { break };
        after = last.to_string();
        for request in &requests {
            revoke(store, request, *position, RevokedReason::KeyCompromised).await?;
        }
    }
    Ok(())
}

async fn revoke(
    store: &Store,
    request: &RequestId,
    position: u64,
    reason: RevokedReason,
) -> Result<(), StoreError> {
    store
        .on_request(request, None, &Metadata::system(), |seen| {
            let Some(request) = &seen.request else {
                return Decision::unchanged(());
            };
            match request.state.sign_in() {
                // Of all sign-ins, those under the key.
                Some(by)
                    if reason == RevokedReason::KeyCompromised
                        && seen.standing.cut_off(by) != Some(CutOff::DerivationKeyEnded) =>
                {
                    Decision::unchanged(())
                }
                Some(by) if by.position < position => revoke_grant(&request.state, reason),
                Some(_) => Decision::unchanged(()),
                // A page that waits is nobody's but the website's.
                None if seen.standing.is_client_revoked() => deny(&request.state, reason, seen.now),
                None => Decision::unchanged(()),
            }
        })
        .await
        .map(drop)
}
