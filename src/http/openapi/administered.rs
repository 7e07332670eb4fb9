//! What administration takes and shows.

use serde_json::{Value, json};

use super::{
    schema::{
        Object, exactly, flag, id, integer, list, list_of, moment, named, object, one_of, or,
        or_null, scope, text, text_like, text_of, uri,
    },
    sign_in::bindings,
};
use crate::{
    domain::{
        AdmissionStatus, AgentId, AuthMethod, Binding, ClientId, GrantType, OwnerId, RequestId,
        SubjectKind, TokenAlgorithm,
    },
    http::admin::{agents, clients, rotation::MAX_GRACE_SECONDS},
    oauth::SCOPES_SUPPORTED,
};

pub(super) fn algorithms() -> Value {
    one_of([
        TokenAlgorithm::RS256,
        TokenAlgorithm::ES256,
        TokenAlgorithm::EdDSA,
    ])
}

fn admissions() -> Value {
    one_of([
        AdmissionStatus::Active,
        AdmissionStatus::Suspended,
        AdmissionStatus::Revoked,
    ])
}

/// What is asked of a client (RFC 7591 section 2).
fn client_fields() -> Object {
    let grants = [GrantType::AuthorizationCode, GrantType::RefreshToken];
    let methods = [
        AuthMethod::ClientSecretBasic,
        AuthMethod::ClientSecretPost,
        AuthMethod::None,
    ];
    let subjects = one_of([SubjectKind::Agent, SubjectKind::Owner]);
    object()
        .must(
            "client_name",
            text_of(1, clients::MAX_NAME_CHARACTERS),
            "Printable characters; shown on the waiting page.",
        )
        .must(
            "redirect_uris",
            list_of(uri(), 1, clients::MAX_REDIRECT_URIS),
            "Where browsers may be sent back to, each an exact text.",
        )
        .may(
            "grant_types",
            or(or_null(list(one_of(grants))), grants),
            "With `authorization_code` among them.",
        )
        .may(
            "response_types",
            or(or_null(list(exactly("code"))), ["code"]),
            "",
        )
        .may(
            "token_endpoint_auth_method",
            or_null(one_of(methods)),
            "Absent: Basic or post. `none`: a public client, without a secret.",
        )
        .may(
            "scope",
            or(or_null(scope()), SCOPES_SUPPORTED.join(" ")),
            "What it may ask for.",
        )
        .may(
            "id_token_signed_response_alg",
            or(or_null(algorithms()), TokenAlgorithm::default()),
            "",
        )
        .may(
            "access_token_signed_response_alg",
            or(or_null(algorithms()), TokenAlgorithm::EdDSA),
            "",
        )
        .may(
            "subject",
            or(or_null(subjects), SubjectKind::default()),
            "Whom `sub` names in its tokens.",
        )
        .may(
            "minimum_binding",
            or(or_null(bindings()), Binding::default()),
            "The least binding with which an agent may sign in.",
        )
        .may(
            "client_uri",
            or_null(uri()),
            "Its home page, http or https; its origin counts for `expected_origin`.",
        )
}

fn client() -> Object {
    object()
        .must("client_id", id(ClientId::PREFIX), "")
        .must("client_name", text(), "")
        .must("redirect_uris", list(text()), "")
        .must("grant_types", list(text()), "")
        .must("response_types", list(exactly("code")), "")
        .may(
            "token_endpoint_auth_method",
            text(),
            "Absent: Basic or post, as it likes.",
        )
        .must("scope", scope(), "")
        .must("id_token_signed_response_alg", algorithms(), "")
        .must("access_token_signed_response_alg", algorithms(), "")
        .must(
            "subject",
            one_of([SubjectKind::Agent, SubjectKind::Owner]),
            "",
        )
        .must("minimum_binding", bindings(), "")
        .may("client_uri", uri(), "")
        .must("status", admissions(), "")
}

/// What is asked of an agent itself.
fn agent_fields() -> Object {
    let name = || text_of(1, agents::MAX_NAME_CHARACTERS);
    let scopes = json!({ "type": ["string", "array", "null"], "items": { "type": "string" } });
    let clients = list_of(id(ClientId::PREFIX), 0, agents::MAX_ALLOWED_CLIENTS);
    object()
        .must("agent_name", name(), "Printable characters.")
        .may(
            "model",
            or_null(name()),
            "The model it is registered with, for the record.",
        )
        .may(
            "capabilities",
            or_null(list_of(name(), 0, agents::MAX_CAPABILITIES)),
            "What it can do, for the record.",
        )
        .may(
            "allowed_scopes",
            scopes,
            "Scopes that it may be granted, as a list or a text; absent: all.",
        )
        .may(
            "allowed_clients",
            or_null(clients),
            "Websites that it may sign in to; absent: all that an administrator registered.",
        )
        .may(
            "minimum_binding",
            or(or_null(bindings()), Binding::default()),
            "The least binding with which it may sign in.",
        )
}

fn person_fields() -> Object {
    object()
        .must(
            "user_email",
            text_like(r"^\s*[^\s@]+@[^\s@]+\s*$"),
            "The owner's address, at most 254 bytes; case makes no difference.",
        )
        .must(
            "user_name",
            text_of(1, agents::MAX_NAME_CHARACTERS),
            "The owner's name.",
        )
}

fn agent() -> Object {
    object()
        .must("agent_id", id(AgentId::PREFIX), "")
        .must(
            "agent_name",
            or_null(text()),
            "Null when it is known no more.",
        )
        .must("owner_id", id(OwnerId::PREFIX), "The person behind it.")
        .may("model", text(), "The model it was registered with.")
        .may("capabilities", list(text()), "")
        .may("allowed_scopes", scope(), "Absent: all.")
        .may(
            "allowed_clients",
            list(id(ClientId::PREFIX)),
            "Absent: all that an administrator registered.",
        )
        .must("minimum_binding", bindings(), "")
        .must("status", admissions(), "")
}

/// Of a client or an agent that was given a new secret.
fn former_secret() -> Object {
    object().may(
        "previous_secret_expires_at",
        moment(),
        "Until when the former secret is valid, if it still is.",
    )
}

fn of_clients_and_agents() -> Vec<(&'static str, Value)> {
    let secret = || {
        object()
            .must("client_secret", text(), "Shown this once.")
            .must(
                "client_secret_expires_at",
                exactly(0),
                "0: it does not end by itself (RFC 7591).",
            )
    };
    let grace = or(or_null(integer(0, MAX_GRACE_SECONDS.into())), 0);
    vec![
        ("NewClient", client_fields().closed().done()),
        ("ClientChanges", client_fields().partly().closed().done()),
        ("Client", client().done()),
        ("WholeClient", client().with(former_secret()).done()),
        (
            "CreatedClient",
            client()
                .may(
                    "client_secret",
                    text(),
                    "Shown this once; a public client has none.",
                )
                .may(
                    "client_secret_expires_at",
                    exactly(0),
                    "0: it does not end by itself (RFC 7591).",
                )
                .done(),
        ),
        (
            "RotatedClientSecret",
            object()
                .must("client_id", id(ClientId::PREFIX), "")
                .with(secret())
                .with(former_secret())
                .done(),
        ),
        (
            "NewAgent",
            agent_fields().with(person_fields()).closed().done(),
        ),
        ("AgentChanges", agent_fields().partly().closed().done()),
        ("Agent", agent().done()),
        (
            "WholeAgent",
            agent()
                .may("user_email", text(), "The owner's address.")
                .may("user_name", text(), "The owner's name.")
                .with(former_secret())
                .done(),
        ),
        (
            "CreatedAgent",
            agent()
                .must("agent_secret", text(), "Shown this once.")
                .done(),
        ),
        (
            "RotatedAgentSecret",
            object()
                .must("agent_id", id(AgentId::PREFIX), "")
                .must("agent_secret", text(), "Shown this once.")
                .with(former_secret())
                .done(),
        ),
        (
            "Rotation",
            object()
                .may(
                    "grace_seconds",
                    grace,
                    "How long the former secret stays valid.",
                )
                .closed()
                .done(),
        ),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let owner = object()
        .must("owner_id", id(OwnerId::PREFIX), "")
        .must("user_name", or_null(text()), "Null once erased.")
        .must("user_email", or_null(text()), "Null once erased.")
        .must(
            "email_verified",
            flag(),
            "Whether the address has been shown to be theirs.",
        )
        .must("status", one_of(["active", "suspended", "erased"]), "");
    let grant = object()
        .must("sid", id(RequestId::PREFIX), "The sign-in.")
        .must("agent_id", id(AgentId::PREFIX), "")
        .must("owner_id", id(OwnerId::PREFIX), "")
        .must("client_id", id(ClientId::PREFIX), "")
        .must("model", text(), "The model that the agent said it is.")
        .must("scope", scope(), "What was granted.")
        .must("binding", bindings(), "")
        .must("issued_at", moment(), "When the agent signed in.")
        .must(
            "expires_at",
            moment(),
            "When the last token ends unless it is refreshed.",
        );
    let mut schemas = of_clients_and_agents();
    schemas.extend([
        ("Owner", owner.done()),
        ("OwnerChanges", person_fields().partly().closed().done()),
        ("LivingGrant", grant.done()),
        (
            "Event",
            json!({
                "description": "As it was written; or, of one that was archived, what the log still holds of it.",
                "oneOf": [named("WrittenEvent"), named("ArchivedEvent")],
            }),
        ),
        ("WrittenEvent", written_event()),
        ("ArchivedEvent", archived_event()),
    ]);
    schemas
}

fn archived_event() -> Value {
    object()
        .must("position", json!({ "type": "integer", "minimum": 1 }), "Place in the whole log.")
        .must("stream", text(), "What it was about.")
        .must("version", json!({ "type": "integer", "minimum": 1 }), "Place in its stream.")
        .must("type", text(), "What happened.")
        .must(
            "leaf_hash",
            text_like("^[0-9a-f]{64}$"),
            "SHA-256 of a zero byte and its text, in hex; the text is in the file that an `Archived` event names.",
        )
        .must("archived", exactly(true), "It was.")
        .closed()
        .done()
}

/// The very schema that the log is held to.
fn written_event() -> Value {
    let text = include_str!("../../../events/envelope.1.schema.json");
    let mut schema: Value = serde_json::from_str(text).unwrap_or_default();
    if let Some(members) = schema.as_object_mut() {
        members.retain(|name, _| !name.starts_with('$'));
    }
    schema
}
