//! Owners: list, show, and the kill switch for all of a person's agents.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
};
use serde_json::{Value, json};

use super::{Administrator, Paging, listed, unknown};
use crate::{
    domain::{Owner, OwnerId},
    http::{
        ApiError,
        app::App,
        extract::{Caller, PathId},
    },
};

fn shown(id: &OwnerId, owner: &Owner, name: Option<&str>, email: Option<&str>) -> Value {
    json!({
        "owner_id": id,
        "user_name": name,
        "user_email": email,
        "email_verified": false,
        "status": owner.admission.status,
    })
}

/// GET /api/admin/owners.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: RawQuery,
) -> Result<Json<Value>, ApiError> {
    let (paging, _) = Paging::read(&query)?;
    let page = app.store.list_owners(paging.after, paging.limit).await?;
    let items = page
        .items
        .iter()
        .map(|item| {
            shown(
                &item.id,
                &item.state,
                item.name.as_deref(),
                item.email.as_deref(),
            )
        })
        .collect();
    Ok(Json(listed(items, page.next)))
}

/// GET /api/admin/owners/{id}.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Result<Json<Value>, ApiError> {
    let id: OwnerId = id.parse().map_err(|_| unknown("owner"))?;
    let owner = app
        .store
        .owner(&id)
        .await?
        .ok_or_else(|| unknown("owner"))?;
    let person = app.store.person(&id).await?;
    let (name, email) = person.map_or((None, None), |person| {
        (Some(person.name), Some(person.email))
    });
    Ok(Json(shown(
        &id,
        &owner.state,
        name.as_deref(),
        email.as_deref(),
    )))
}

/// POST /api/admin/owners/{id}/suspend.
pub(super) async fn suspend(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Value>, ApiError> {
    switch(&app, &administrator, &caller, &id, true).await
}

/// POST /api/admin/owners/{id}/reinstate.
pub(super) async fn reinstate(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Value>, ApiError> {
    switch(&app, &administrator, &caller, &id, false).await
}

async fn switch(
    app: &App,
    administrator: &Administrator,
    caller: &Caller,
    id: &str,
    suspend: bool,
) -> Result<Json<Value>, ApiError> {
    let id: OwnerId = id.parse().map_err(|_| unknown("owner"))?;
    let metadata = administrator.acts(app, caller).await?;
    let decide = |owner: &Owner| {
        if suspend {
            owner.suspend()
        } else {
            owner.reinstate()
        }
    };
    app.store
        .on_owner(&id, &metadata, decide)
        .await?
        .ok_or_else(|| unknown("owner"))?;
    let status = if suspend { "suspended" } else { "active" };
    Ok(Json(json!({ "owner_id": id, "status": status })))
}
