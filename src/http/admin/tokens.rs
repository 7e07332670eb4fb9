//! Grants: those that live, and the end of one.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
};
use http::StatusCode;
use serde_json::{Value, json};

use super::{Administrator, Paging, filter, listed, unknown};
use crate::{
    domain::{
        Decision, RequestId,
        auth_request::{RevokedReason, revoke_grant},
    },
    http::{
        ApiError,
        app::App,
        extract::{Caller, PathId},
    },
    store::{GrantFilter, LivingGrant},
};

/// What the sign-ins may be chosen by.
const FILTERS: [&str; 3] = ["agent_id", "client_id", "owner_id"];

fn shown(living: &LivingGrant) -> Option<Value> {
    let activity = living.request.active(&living.standing)?;
    let by = activity.sign_in;
    Some(json!({
        "sid": living.id,
        "agent_id": by.agent_id,
        "owner_id": by.owner_id,
        "client_id": living.request.asked().client_id,
        "model": by.model,
        "scope": activity.grant.scope,
        "binding": by.binding,
        "issued_at": by.at,
        "expires_at": living.expires_at,
    }))
}

/// GET /api/admin/tokens.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: RawQuery,
) -> Result<Json<Value>, ApiError> {
    let (paging, parameters) = Paging::<RequestId>::read(&query, &FILTERS)?;
    let asked = GrantFilter {
        after: paging.after,
        agent_id: filter(&parameters, "agent_id")?,
        client_id: filter(&parameters, "client_id")?,
        owner_id: filter(&parameters, "owner_id")?,
        limit: paging.limit,
    };
    let page = app.store.list_grants(&asked, &app.lifetimes).await?;
    let items = page.items.iter().filter_map(shown).collect();
    Ok(Json(listed(items, page.next)))
}

/// DELETE /api/admin/tokens/{sid}: from the answer on, the code and every token of that sign-in is dead at
/// every endpoint. A second time changes nothing.
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    PathId(sid): PathId,
) -> Result<StatusCode, ApiError> {
    let sid: RequestId = sid.parse().map_err(|_| unknown("sign-in"))?;
    let metadata = administrator.acts(&app, &caller).await?;
    let (signed_in, _) = app
        .store
        .on_request(&sid, None, &metadata, |seen| match &seen.request {
            // A page at which nobody signed in holds nothing that could be revoked.
            Some(request) if request.state.sign_in().is_some() => {
                let Decision { facts, .. } = revoke_grant(&request.state, RevokedReason::Admin);
                Decision::with(facts, true)
            }
            _ => Decision::unchanged(false),
        })
        .await?;
    signed_in
        .then_some(StatusCode::NO_CONTENT)
        .ok_or_else(|| unknown("sign-in"))
}
