//! The server's own keys: which there are, new ones, and those that somebody else may have.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, Request, State},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Administrator;
use crate::{
    domain::{
        DueStep, KeyEnd, KeyGroup, KeySchedule, Keys, KnownKey, RotationPending, TokenAlgorithm,
    },
    http::{
        ApiError,
        app::App,
        extract::{Caller, MAX_BODY_BYTES, json_within},
        keys::ALGORITHMS,
    },
    oauth::ErrorCode,
};

fn shown(keys: &Keys, known: &KnownKey, schedule: &KeySchedule) -> Value {
    let key = &known.key;
    let mut shown = json!({
        "key_id": known.id,
        "use": key.group.purpose(),
        "status": keys.status(known),
        "created_at": key.created_at,
    });
    if let Some(algorithm) = key.group.algorithm() {
        shown["alg"] = json!(algorithm);
    }
    if let Some(activated) = key.activated {
        shown["activated_at"] = json!(activated.at);
    }
    match key.end {
        Some(KeyEnd::Retired(at)) => shown["retired_at"] = json!(at),
        Some(KeyEnd::Compromised(at)) => shown["compromised_at"] = json!(at),
        None => {}
    }
    match keys.due(known, schedule) {
        Some((DueStep::Activate, at)) => shown["activates_at"] = json!(at),
        Some((DueStep::Retire, at)) => shown["retires_at"] = json!(at),
        None => {}
    }
    shown
}

async fn all(app: &App) -> Result<Json<Value>, ApiError> {
    let keys = app.store.keys().await?;
    let shown = |known| shown(&keys, known, &app.keys.schedule);
    let items: Vec<Value> = keys.0.iter().map(shown).collect();
    Ok(Json(json!({ "items": items })))
}

/// GET /api/admin/keys: every key there has been, in the order in which they were made.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    // They are few: a list without pages or filters.
    if query.is_some_and(|query| !query.is_empty()) {
        return Err(ApiError::invalid_request(
            "the list of keys takes no parameters",
        ));
    }
    all(&app).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Use {
    Signing,
    Derivation,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    #[serde(rename = "use")]
    purpose: Use,
    alg: Option<TokenAlgorithm>,
    #[serde(default)]
    compromised: bool,
}

impl RotateBody {
    fn groups(&self) -> Result<Vec<KeyGroup>, ApiError> {
        match (self.purpose, self.alg) {
            (Use::Signing, Some(algorithm)) => Ok(vec![KeyGroup::Signing(algorithm)]),
            (Use::Signing, None) => Ok(ALGORITHMS.map(KeyGroup::Signing).to_vec()),
            (Use::Derivation, None) => Ok(vec![KeyGroup::Derivation]),
            (Use::Derivation, Some(_)) => Err(ApiError::invalid_request(
                "alg is for signing keys: leave it out with use derivation",
            )),
        }
    }
}

fn refused(pending: RotationPending, schedule: &KeySchedule) -> ApiError {
    let what = pending
        .group
        .algorithm()
        .map_or("derivation", TokenAlgorithm::as_str);
    let at = pending.activates_at(schedule);
    ApiError::new(
        ErrorCode::Conflict,
        format!(
            "a new {what} key is already there and will be used from {at} on: nothing was made, wait until then"
        ),
    )
}

/// POST /api/admin/keys/rotate: new keys, which work once they have been published for long enough; or
/// at once, when the former ones are compromised.
pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let body: RotateBody = json_within(request, MAX_BODY_BYTES).await?;
    let groups = body.groups()?;
    let refused = |pending| refused(pending, &app.keys.schedule);
    if !body.compromised {
        // Before keys are made, which takes a while.
        let keys = app.store.keys().await?;
        for group in &groups {
            keys.rotate(*group).map_err(refused)?;
        }
    }
    let mut new = Vec::new();
    for group in groups {
        new.push(app.keys.new_key(group).await?);
    }
    let metadata = administrator.acts(&app, &caller).await?;
    if body.compromised {
        app.store.replace_compromised_keys(&new, &metadata).await?;
        tracing::warn!(by = ?metadata.actor, r#use = ?body.purpose, "keys were declared compromised");
    } else {
        let published = app.store.publish_keys(&new, &metadata).await?;
        published.map_err(refused)?;
    }
    app.keys.reload().await?;
    all(&app).await
}
