//! What agents, clients and owners have in common for an administrator: the list, the look at one, the
//! kill switch and back, the end.

use std::{fmt::Display, future::Future, str::FromStr, sync::Arc};

use axum::{
    Json,
    extract::{RawQuery, State},
};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Administrator, Paging, listed, revoked_for_good, unknown};
use crate::{
    domain::{Decision, Metadata, RevokedForGood, Versioned},
    http::{
        ApiError,
        app::App,
        extract::{Caller, PathId},
    },
    oauth::Parameters,
    store::{Listed, Page, Store, StoreError},
};

/// What a decision about the kill switch yields.
pub(super) type Switched<F> = Decision<Result<(), RevokedForGood>, F>;

/// Somebody whom administrators decide about.
pub(super) trait Subject: Sized + Send + Sync + 'static {
    /// What one of them is called.
    const NOUN: &'static str;
    type Id: FromStr + Display + Serialize + Send + Sync + 'static;
    type Fact: Send;

    fn read(
        store: &Store,
        id: &Self::Id,
    ) -> impl Future<Output = Result<Option<Versioned<Self>>, StoreError>> + Send;

    /// What a list of them may be narrowed by.
    const FILTERS: &'static [&'static str] = &[];

    /// A part of the list; `parameters` hold the filters.
    fn page(
        app: &App,
        paging: Paging<u64>,
        parameters: &Parameters,
    ) -> impl Future<Output = Result<Page<Listed<Self::Id, Self>>, ApiError>> + Send;

    /// Takes a decision about one; `None` when there is no such one.
    fn decided<T: Send>(
        store: &Store,
        id: &Self::Id,
        metadata: &Metadata,
        decide: impl FnMut(&Self) -> Decision<T, Self::Fact> + Send,
    ) -> impl Future<Output = Result<Option<T>, StoreError>> + Send;

    /// One as a list shows it.
    fn shown(listed: &Listed<Self::Id, Self>) -> Value;

    /// One by itself, with all that the vault knows.
    fn whole(
        store: &Store,
        id: Self::Id,
        state: Self,
    ) -> impl Future<Output = Result<Value, StoreError>> + Send;
}

/// Somebody who can be stopped, and let in again.
pub(super) trait Suspendable: Subject {
    fn suspended(&self) -> Switched<Self::Fact>;
    fn reinstated(&self) -> Switched<Self::Fact>;
}

/// Somebody who can be ended for good.
pub(super) trait Revocable: Subject {
    fn revoked(&self) -> Decision<(), Self::Fact>;
}

/// The id in a path; what cannot be one is nobody's.
pub(super) fn id_of<S: Subject>(text: &str) -> Result<S::Id, ApiError> {
    text.parse().map_err(|_| unknown(S::NOUN))
}

/// One as it stands now.
pub(super) async fn found<S: Subject>(app: &App, id: &S::Id) -> Result<S, ApiError> {
    let found = S::read(&app.store, id).await?;
    found
        .map(|found| found.state)
        .ok_or_else(|| unknown(S::NOUN))
}

/// GET /api/admin/agents · clients · owners.
pub(super) async fn list<S: Subject>(
    State(app): State<Arc<App>>,
    query: RawQuery,
) -> Result<Json<Value>, ApiError> {
    let (paging, parameters) = Paging::read(&query, S::FILTERS)?;
    let page = S::page(&app, paging, &parameters).await?;
    let items = page.items.iter().map(S::shown).collect();
    Ok(Json(listed(items, page.next)))
}

/// GET …/{id}.
pub(super) async fn show<S: Subject>(
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Result<Json<Value>, ApiError> {
    let id = id_of::<S>(&id)?;
    let state = found::<S>(&app, &id).await?;
    Ok(Json(S::whole(&app.store, id, state).await?))
}

/// POST …/{id}/suspend: from the answer on, everything signed in to is dead at every endpoint.
pub(super) async fn suspend<S: Suspendable>(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Value>, ApiError> {
    let metadata = administrator.acts(&app, &caller).await?;
    switched(&app, &metadata, &id, S::suspended, "suspended").await
}

/// POST …/{id}/reinstate: sign-ins may begin again; what was dead stays dead.
pub(super) async fn reinstate<S: Suspendable>(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Value>, ApiError> {
    let metadata = administrator.acts(&app, &caller).await?;
    switched(&app, &metadata, &id, S::reinstated, "active").await
}

async fn switched<S: Subject>(
    app: &App,
    metadata: &Metadata,
    id: &str,
    decide: fn(&S) -> Switched<S::Fact>,
    status: &str,
) -> Result<Json<Value>, ApiError> {
    let id = id_of::<S>(id)?;
    S::decided(&app.store, &id, metadata, decide)
        .await?
        .ok_or_else(|| unknown(S::NOUN))?
        .map_err(|gone| revoked_for_good(S::NOUN, gone))?;
    Ok(Json(
        json!({ format!("{}_id", S::NOUN): id, "status": status }),
    ))
}

/// DELETE …/{id}: from the answer on nobody signs in as this agent, or at this website, and what was
/// signed in is dead at every endpoint. A second time changes nothing.
pub(super) async fn revoke<S: Revocable>(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    let id = id_of::<S>(&id)?;
    let metadata = administrator.acts(&app, &caller).await?;
    S::decided(&app.store, &id, &metadata, S::revoked)
        .await?
        .ok_or_else(|| unknown(S::NOUN))?;
    Ok(StatusCode::NO_CONTENT)
}
