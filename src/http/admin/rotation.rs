//! A new secret for a client or an agent, and how long the former one stays valid beside it.

use axum::extract::Request;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Number, Value, json};

use crate::{
    crypto::{Secret, SecretKind},
    domain::Admission,
    edge,
    http::{
        ApiError,
        app::App,
        extract::{MAX_BODY_BYTES, json_or_nothing},
    },
    store::{NewCredential, Rotation, Store, StoreError},
};

/// Where it stands until when the former secret is valid.
const UNTIL: &str = "previous_secret_expires_at";

/// Adds to what is shown of a client or an agent until when its former secret is valid, if one is.
pub(super) async fn tell_former_secret(
    store: &Store,
    holder: &str,
    admission: &Admission,
    answer: &mut Value,
) -> Result<(), StoreError> {
    // No secret of one that has ended opens anything.
    if !admission.is_revoked()
        && let Some(until) = store.former_secret_until(holder).await?
    {
        answer[UNTIL] = json!(until);
    }
    Ok(())
}

/// Longest grace, 30 days: a secret that is to be replaced should be.
pub(in crate::http) const MAX_GRACE_SECONDS: u32 = 30 * 24 * 60 * 60;

/// How long the former secret stays valid; not at all, when nothing is said.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    grace_seconds: Option<Number>,
}

/// A rotation to be committed, with the secret to be shown for it. No `Debug`.
pub(super) struct Rotating {
    pub(super) secret: Secret,
    pub(super) rotation: Rotation,
}

impl Rotating {
    /// Reads what is asked for, and makes a secret for the holder.
    pub(super) async fn of(
        app: &App,
        kind: SecretKind,
        holder: &str,
        request: Request,
    ) -> Result<Self, ApiError> {
        let body: RotateBody = json_or_nothing(request, MAX_BODY_BYTES).await?;
        let grace = body
            .grace_seconds
            .map_or(Some(0), |seconds| u32::try_from(seconds.as_u64()?).ok())
            .filter(|seconds| *seconds <= MAX_GRACE_SECONDS)
            .ok_or_else(|| {
                ApiError::invalid_request(format!(
                    "grace_seconds must be a whole number, 0 to {MAX_GRACE_SECONDS}"
                ))
            })?;
        let secret = app.tagger.issue(kind, holder, edge::random());
        let secret_hash = app.hasher.hash(&secret).await?;
        let now = app.store.now().await?;
        let credential = NewCredential {
            id: edge::new_event_id().to_string(),
            secret_hash,
            created_at: now,
        };
        let grace = (grace > 0).then(|| SignedDuration::from_secs(grace.into()));
        let rotation = Rotation {
            credential,
            previous_expires_at: grace.map(|grace| now + grace),
        };
        Ok(Self { secret, rotation })
    }

    /// Adds until when the former secret is valid, if it is.
    pub(super) fn told(&self, mut answer: Value) -> Value {
        if let Some(until) = self.rotation.previous_expires_at {
            answer[UNTIL] = json!(until);
        }
        answer
    }
}
