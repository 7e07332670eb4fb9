//! What administration takes and shows of keys: of administrators, and of the server's own.

use serde_json::Value;

use super::{
    administered::algorithms,
    schema::{flag, id, moment, object, one_of, or, or_null, text, text_of},
};
use crate::{
    domain::{AdminKeyId, AdminRole, KeyStatus},
    http::admin::admin_keys,
};

fn roles() -> Value {
    one_of([AdminRole::Admin, AdminRole::Auditor, AdminRole::Metrics])
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let key = || {
        object()
            .must("admin_key_id", id(AdminKeyId::PREFIX), "")
            .must("name", text(), "Recorded with all that the key does.")
            .must("role", roles(), "")
            .must("created_at", moment(), "")
    };
    let new_key = object()
        .must(
            "name",
            text_of(1, admin_keys::MAX_NAME_CHARACTERS),
            "Printable characters; no other key has it.",
        )
        .must(
            "role",
            roles(),
            "`admin` may do everything, `auditor` reads, `metrics` opens the metrics only.",
        );
    let purposes = || one_of(["signing", "derivation"]);
    let statuses = one_of([
        KeyStatus::Next,
        KeyStatus::Active,
        KeyStatus::Retiring,
        KeyStatus::Retired,
        KeyStatus::Compromised,
    ]);
    let own_key = object()
        .must("key_id", text(), "Of a signing key the `kid`.")
        .must(
            "use",
            purposes(),
            "Tokens are signed with, or codes and refresh tokens derived from it.",
        )
        .may("alg", algorithms(), "Of a signing key.")
        .must("status", statuses, "How it stands among the others.")
        .must("created_at", moment(), "")
        .may("activated_at", moment(), "Since when it is used.")
        .may("activates_at", moment(), "When it will be used.")
        .may(
            "retires_at",
            moment(),
            "When the last of what it made ends.",
        )
        .may("retired_at", moment(), "")
        .may("compromised_at", moment(), "");
    let rotation = object()
        .must("use", purposes(), "Which keys.")
        .may(
            "alg",
            or_null(algorithms()),
            "With `signing`: for this algorithm alone; absent: for all.",
        )
        .may(
            "compromised",
            or(flag(), false),
            "Somebody else may have the former ones.",
        );
    vec![
        ("AdminKey", key().done()),
        ("NewAdminKey", new_key.closed().done()),
        (
            "CreatedAdminKey",
            key().must("admin_key", text(), "Shown this once.").done(),
        ),
        ("Key", own_key.done()),
        ("KeyRotation", rotation.closed().done()),
    ]
}
