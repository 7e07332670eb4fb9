//! Admin keys: make one, list, show, revoke.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, Request, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Administrator, Paging,
    clients::shown_name,
    entry::{self, RESERVED_NAMES},
    listed, unknown,
};
use crate::{
    domain::{AdminKeyId, AdminRole},
    edge,
    http::{
        ApiError,
        app::App,
        extract::{Caller, MAX_BODY_BYTES, PathId, json_within},
    },
    oauth::ErrorCode,
    store::{AdminKey, KeyStays, NameTaken, folded_name},
};

/// Longest name, in characters.
pub(in crate::http) const MAX_NAME_CHARACTERS: usize = 64;

/// What is asked for. A field that is not known is refused by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    name: String,
    role: AdminRole,
}

fn name(text: &str) -> Result<String, ApiError> {
    let name = shown_name("name", text, MAX_NAME_CHARACTERS).map_err(ApiError::invalid_request)?;
    if RESERVED_NAMES.contains(&&*folded_name(&name)) {
        return Err(ApiError::invalid_request(
            "name is one that the server itself uses: take another",
        ));
    }
    Ok(name)
}

fn shown(key: &AdminKey) -> Value {
    json!({
        "admin_key_id": key.id, "name": key.name, "role": key.role, "created_at": key.created_at,
    })
}

/// POST /api/admin/admin-keys: 201 with the key, shown this once.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let body: Body = json_within(request, MAX_BODY_BYTES).await?;
    let name = name(&body.name)?;
    let now = app.store.now().await?;
    let value = entry::issue(&app.tagger);
    let mac = app
        .hash_keys
        .admin_keys
        .mac_hex(&[value.expose().as_bytes()]);
    let key = AdminKey {
        id: edge::new_admin_key_id(now),
        name,
        role: body.role,
        created_at: now,
    };
    let metadata = administrator.acts(&app, &caller).await?;
    app.store
        .make_admin_key(&key, &mac, &metadata)
        .await?
        .map_err(|NameTaken| {
            ApiError::new(
                ErrorCode::Conflict,
                "another admin key has this name: take another, or delete that one first",
            )
        })?;
    let mut answer = shown(&key);
    answer["admin_key"] = json!(value.expose());
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// GET /api/admin/admin-keys.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: RawQuery,
) -> Result<Json<Value>, ApiError> {
    let (paging, _) = Paging::<AdminKeyId>::read(&query, &[])?;
    let page = app
        .store
        .list_admin_keys(paging.after, paging.limit)
        .await?;
    Ok(Json(listed(
        page.items.iter().map(shown).collect(),
        page.next,
    )))
}

fn id_of(text: &str) -> Result<AdminKeyId, ApiError> {
    text.parse().map_err(|_| unknown("admin key"))
}

/// GET /api/admin/admin-keys/{id}.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Result<Json<Value>, ApiError> {
    let key = app.store.admin_key(&id_of(&id)?).await?;
    let key = key.ok_or_else(|| unknown("admin key"))?;
    Ok(Json(shown(&key)))
}

/// DELETE /api/admin/admin-keys/{id}: from the answer on no node takes it.
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    let id = id_of(&id)?;
    let metadata = administrator.acts(&app, &caller).await?;
    let another_way = app.admin_keys.has_environment() || administrator.is_without_a_row();
    let revoked = app
        .store
        .revoke_admin_key(&id, another_way, &metadata)
        .await?;
    revoked.map_err(|stays| match stays {
        KeyStays::Unknown => unknown("admin key"),
        KeyStays::LastAdmin => ApiError::new(
            ErrorCode::Conflict,
            "this is the last key of role admin: make another one first",
        ),
    })?;
    Ok(StatusCode::NO_CONTENT)
}
