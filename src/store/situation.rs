//! Reading for a decision, deciding, and appending what was decided.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row;

use super::{
    Append, MAX_RETRIES, Person, Store, StoreError, append::Removal, as_u64, on,
    projection::Projected, sql, timestamp,
};
use crate::{
    domain::{
        AgentId, AuthRequest, Decision, Fact, KeyGroup, LivingKey, Metadata, RequestFact,
        RequestId, Standing, StreamId, Versioned,
    },
    edge,
};

/// What the vault keeps of a request until it ends. No `Debug`: it holds `state` and `nonce`.
#[derive(Clone)]
pub struct RequestDetails {
    /// The website's `state`, returned unchanged.
    pub state: Option<String>,
    /// The website's `nonce`, for the ID token.
    pub nonce: Option<String>,
    /// Keyed hash of the browser's network address.
    pub address_hash: String,
    /// Which key it was hashed under.
    pub address_key: String,
    /// Keyed hash of all parameters: the same parameters from the same browser are a reload.
    pub parameters_mac: String,
}

/// Everything that a decision about a request may look at, of one moment.
#[derive(Clone)]
pub struct Situation {
    /// The moment, by the clock that judges lifetimes.
    pub now: Timestamp,
    /// The request, if there is one.
    pub request: Option<Versioned<AuthRequest>>,
    /// What the vault keeps of it, until it ends.
    pub details: Option<RequestDetails>,
    /// Those it depends on.
    pub standing: Standing,
    /// The person behind the agent that signed in, as the vault knows them.
    pub person: Option<Person>,
    /// The signing keys that have not ended, by `kid`.
    pub signing_keys: Vec<String>,
}

impl Situation {
    /// The request, for whoever presents what is said to be derived under that key: `None` when the key
    /// has ended, so that nobody who holds a compromised key gets anywhere, at a node that has not heard
    /// of it either.
    #[must_use]
    pub fn request_under(&self, derivation_key: &str) -> Option<&Versioned<AuthRequest>> {
        let request = self.request.as_ref()?;
        self.standing
            .derives_under(derivation_key)
            .then_some(request)
    }

    /// Takes in the keys that have not ended, as [`sql::SITUATION`] writes them.
    fn keys(&mut self, text: &str) -> Option<()> {
        for key in text.split(',').filter(|key| !key.is_empty()) {
            let mut words = key.split(' ');
            let (purpose, id) = (words.next()?, words.next()?.to_owned());
            let (version, activated) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            if purpose == KeyGroup::Derivation.purpose() {
                self.standing.derivation_keys.push(LivingKey {
                    id,
                    version,
                    activated,
                });
            } else {
                self.signing_keys.push(id);
            }
        }
        Some(())
    }
}

pub(super) fn read<S: DeserializeOwned>(
    version: i64,
    body: &str,
) -> Result<Versioned<S>, StoreError> {
    Ok(Versioned {
        version: as_u64(version),
        state: serde_json::from_str(body)?,
    })
}

impl Store {
    /// Reads a request with its client, and the agent given or else the one that signed in, with
    /// that agent's owner; and the person who signed in by it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn situation(
        &self,
        request: &RequestId,
        agent: Option<&AgentId>,
    ) -> Result<Situation, StoreError> {
        let mut situation = Situation {
            now: self.clock.now(),
            request: None,
            details: None,
            standing: Standing::default(),
            person: None,
            signing_keys: Vec::new(),
        };
        let (request, agent) = (request.to_string(), agent.map(ToString::to_string));
        on!(Pool, &self.pool, sql::SITUATION, |c, sql| {
            let rows = sqlx::query(sql)
                .bind(&request)
                .bind(&agent)
                .fetch_all(c)
                .await?;
            // After the rows: what they tell of has happened by then. PostgreSQL sends its own.
            situation.now = self.clock.now();
            for row in rows {
                let kind: String = row.try_get("kind")?;
                let version: i64 = row.try_get("version")?;
                if kind == "clock" {
                    situation.now = timestamp(version)?;
                    continue;
                }
                if kind == "person" {
                    situation.person = Some(Person {
                        email: row.try_get("email")?,
                        name: row.try_get("name")?,
                    });
                    continue;
                }
                let body: String = row.try_get("body")?;
                if kind == "keys" {
                    situation
                        .keys(&body)
                        .ok_or_else(|| StoreError::Corrupt("the keys".to_owned()))?;
                    continue;
                }
                match kind.as_str() {
                    "request" => {
                        situation.request = Some(read(version, &body)?);
                        if let Some(address_hash) = row.try_get("address_hash")? {
                            situation.details = Some(RequestDetails {
                                state: row.try_get("state")?,
                                nonce: row.try_get("nonce")?,
                                address_hash,
                                address_key: row.try_get("address_key")?,
                                parameters_mac: row.try_get("parameters_mac")?,
                            });
                        }
                    }
                    "client" => situation.standing.client = Some(read(version, &body)?),
                    "agent" => situation.standing.agent = Some(read(version, &body)?),
                    _ => situation.standing.owner = Some(read(version, &body)?),
                }
            }
        });
        Ok(situation)
    }

    /// Takes a decision about a request and appends its facts, checked against every version that
    /// the decision saw; takes it again when somebody else was first. `decide` must be pure.
    ///
    /// The situation returned is the one that the decision looked at, with the request as it stands
    /// after the facts.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing could be committed; then nothing was.
    pub async fn on_request<T>(
        &self,
        request: &RequestId,
        agent: Option<&AgentId>,
        metadata: &Metadata,
        mut decide: impl FnMut(&Situation) -> Decision<T, RequestFact>,
    ) -> Result<(T, Situation), StoreError> {
        for _ in 0..MAX_RETRIES {
            let mut situation = self.situation(request, agent).await?;
            let Decision { facts, outcome } = decide(&situation);
            let Some(before) = &situation.request else {
                return Ok((outcome, situation));
            };
            if facts.is_empty() {
                return Ok((outcome, situation));
            }
            let redeemed = facts
                .iter()
                .any(|fact| matches!(fact, RequestFact::CodeRedeemed(_)));
            let mut append = Append::by(metadata)?;
            let standing = &situation.standing;
            if let Some(client) = &standing.client {
                let stream = StreamId::Client(before.state.asked().client_id);
                append.expected.push((stream.to_string(), client.version));
            }
            let agent_id = agent
                .copied()
                .or_else(|| before.state.sign_in().map(|by| by.agent_id));
            if let (Some(seen), Some(id)) = (&standing.agent, agent_id) {
                append
                    .expected
                    .push((StreamId::Agent(id).to_string(), seen.version));
                if let Some(owner) = &standing.owner {
                    let stream = StreamId::Owner(seen.state.registered.owner_id);
                    append.expected.push((stream.to_string(), owner.version));
                }
            }
            if !standing.derivation_keys.is_empty() {
                // What is issued depends on the key that it is derived under, and on those that it was
                // derived under so far: none of them may be compromised meanwhile.
                let under = before
                    .state
                    .sign_in()
                    .map(|by| by.derivation_keys.as_slice());
                for key in &standing.derivation_keys {
                    let of_it = under.is_some_and(|under| under.contains(&key.id));
                    if of_it || key.id == standing.derivation_key() {
                        let stream = StreamId::DerivationKey(key.id.clone());
                        append.expected.push((stream.to_string(), key.version));
                    }
                }
            } else if facts.iter().any(RequestFact::issues) {
                return Err(StoreError::Corrupt("no derivation key".to_owned()));
            }
            if redeemed {
                // What the vault kept for the browser's way home is of no more use.
                append
                    .remove
                    .push((Removal::RequestDetails, request.to_string()));
            }
            append.facts(
                StreamId::AuthRequest(*request),
                before.version,
                Some(Projected::Request(Box::new(before.state.clone()))),
                facts
                    .into_iter()
                    .map(|fact| (edge::new_event_id(), Fact::Request(fact))),
            )?;
            match self.writer.append(append).await {
                Ok(committed) => {
                    let version = committed
                        .last()
                        .map_or(before.version, |e| e.recorded.version);
                    let state = Projected::Request(Box::new(before.state.clone()));
                    let Some(Projected::Request(state)) =
                        Projected::after(Some(state), &committed)?
                    else {
                        return Err(StoreError::Corrupt("not a request".to_owned()));
                    };
                    situation.request = Some(Versioned {
                        version,
                        state: *state,
                    });
                    return Ok((outcome, situation));
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }
}
