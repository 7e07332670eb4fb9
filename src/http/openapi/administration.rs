//! Administration: all that stands below `/api/admin`.

use serde_json::{Value, json};

use super::{
    operation::{EVENTS, JSON, Operation, delete, get, post, put},
    schema::{id, integer, list, moment, named, object, one_of, or, page_of, text, text_like},
};
use crate::{
    domain::{AdminKeyId, AdmissionStatus, AgentId, ClientId, OwnerId, RequestId},
    http::admin::{DEFAULT_LIMIT, MAX_LIMIT},
    oauth::ErrorCode as Code,
};

pub(super) const CLIENTS: &str = "Administration: clients";
pub(super) const AGENTS: &str = "Administration: agents";
pub(super) const OWNERS: &str = "Administration: owners";
pub(super) const ADMIN_KEYS: &str = "Administration: admin keys";
pub(super) const KEYS: &str = "Administration: server keys";
pub(super) const LOG: &str = "Administration: sign-ins and log";

const CLIENT: &str = "client_0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const AGENT: &str = "agent_6f1c2d3e4b5a69788796a5b4c3d2e1f0";
const OWNER: &str = "owner_5a69788796a5b4c3d2e1f06f1c2d3e4b";
const ADMIN_KEY: &str = "admin_key_0190a0c4d2f17c3e9a5b6c7d8e9f0a1b";
const REQUEST: &str = "req_0190a0c4d2f17c3e9a5b6c7d8e9f0a1b";
const AT: &str = "2026-01-31T12:00:00Z";

/// RFC 6750 section 2.1 below everything, for which a key is asked before a path is looked up.
fn administered(operation: Operation, tag: &'static str) -> Operation {
    operation
        .tagged(tag)
        .secured("adminKey")
        .refuses(Code::Unauthorized, "there is no living admin key in the Authorization header")
        .refuses(Code::InsufficientScope, "the key's role is not enough: `auditor` reads and changes nothing, `metrics` opens the metrics only")
        .asks_the_store()
}

fn listing(operation: Operation, cursor: Value) -> Operation {
    let limit = or(integer(1, MAX_LIMIT.into()), DEFAULT_LIMIT);
    operation
        .query("limit", limit, "Items at most.")
        .query("after", cursor, "The `next` of an earlier answer.")
        .refuses(
            Code::InvalidRequest,
            "a parameter of the query cannot be used",
        )
}

fn takes(operation: Operation, schema: &str, example: &Value) -> Operation {
    operation.takes(&[JSON], &named(schema), true, example)
}

/// Operations on one thing, which may be none.
fn on_one(operation: Operation, tag: &'static str, (noun, prefix): (&str, &str)) -> Operation {
    administered(operation, tag)
        .path("id", id(prefix), "Which one.")
        .refuses(Code::NotFound, &format!("no such {noun}"))
}

const A_CLIENT: (&str, &str) = ("client", ClientId::PREFIX);
const AN_AGENT: (&str, &str) = ("agent", AgentId::PREFIX);
const AN_OWNER: (&str, &str) = ("owner", OwnerId::PREFIX);
const AN_ADMIN_KEY: (&str, &str) = ("admin key", AdminKeyId::PREFIX);

fn rotates(operation: Operation) -> Operation {
    operation
        .says("The new secret is shown this once. At most two are valid at a time.")
        .takes(
            &[JSON],
            &named("Rotation"),
            false,
            &json!({ "grace_seconds": 3600 }),
        )
        .refuses(
            Code::InvalidRequest,
            "it was revoked, or is a public client, and has no use for a secret",
        )
        .refuses(Code::SlowDown, "too many secrets are being hashed")
}

fn switched(operation: Operation, noun: &'static str, id_of: Value, example: Value) -> Operation {
    let schema = object()
        .must(
            match noun {
                "agent" => "agent_id",
                _ => "owner_id",
            },
            id_of,
            "",
        )
        .must(
            "status",
            one_of([AdmissionStatus::Active, AdmissionStatus::Suspended]),
            "From here on.",
        );
    operation
        .answers_json(200, schema.done(), "How it stands from here on.", example)
        .refuses(Code::InvalidRequest, "it has ended for good")
}

fn of_clients() -> Vec<Operation> {
    let client = json!({
        "client_id": CLIENT, "client_name": "Profilio", "redirect_uris": ["https://profilio.example/callback"],
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        "scope": "openid profile email offline_access", "id_token_signed_response_alg": "RS256",
        "access_token_signed_response_alg": "EdDSA", "subject": "agent", "minimum_binding": "address",
        "status": "active",
    });
    let mut created = client.clone();
    created["client_secret"] = json!("cs_...");
    created["client_secret_expires_at"] = json!(0);
    let mut whole = client.clone();
    whole["previous_secret_expires_at"] = json!(AT);
    let asked = json!({ "client_name": "Profilio", "redirect_uris": ["https://profilio.example/callback"] });
    let metadata = |operation: Operation| {
        operation
            .refuses(Code::InvalidRedirectUri, "a redirect URI is not https, http on loopback, or for a public client a private-use scheme; or has a fragment, wildcard or userinfo")
            .refuses(Code::InvalidClientMetadata, "another field cannot be what it is")
    };
    let one = |operation| on_one(operation, CLIENTS, A_CLIENT);
    vec![
        listing(administered(get("/api/admin/clients", "listClients", "List clients"), CLIENTS), text_like("^[0-9]+$"))
            .answers_json(200, page_of("Client"), "A page of the list.", json!({ "items": [client], "next": null })),
        metadata(takes(administered(post("/api/admin/clients", "createClient", "Register a client"), CLIENTS), "NewClient", &asked))
            .says("Field names are those of RFC 7591. A field that is not known is refused by name.")
            .answers_json(201, named("CreatedClient"), "The client, with its secret, which is shown this once.", created)
            .refuses(Code::SlowDown, "too many secrets are being hashed"),
        one(get("/api/admin/clients/{id}", "showClient", "Show a client"))
            .answers_json(200, named("WholeClient"), "The client.", whole),
        metadata(takes(one(put("/api/admin/clients/{id}", "updateClient", "Change a client")), "ClientChanges", &json!({ "client_name": "Profilio 2" })))
            .says("Changes the fields given; null takes one back to its default.")
            .answers_json(200, named("Client"), "The client as it is from here on.", client),
        one(delete("/api/admin/clients/{id}", "revokeClient", "Revoke a client"))
            .says("From the answer on nobody signs in there, and what was signed in is dead at every endpoint.")
            .answers(204, "Revoked; a second time changes nothing."),
        rotates(one(post("/api/admin/clients/{id}/rotate-secret", "rotateClientSecret", "Give a client a new secret")))
            .answers_json(200, named("RotatedClientSecret"), "The new secret.", json!({
                "client_id": CLIENT, "client_secret": "cs_...", "client_secret_expires_at": 0,
                "previous_secret_expires_at": AT,
            })),
    ]
}

fn of_agents() -> Vec<Operation> {
    let agent = json!({
        "agent_id": AGENT, "agent_name": "Errand Runner", "owner_id": OWNER, "model": "claude-opus-4",
        "minimum_binding": "address", "status": "active",
    });
    let mut created = agent.clone();
    created["agent_secret"] = json!("as_...");
    let mut whole = agent.clone();
    whole["user_email"] = json!("ada@people.example");
    whole["user_name"] = json!("Ada Lovelace");
    let asked = json!({ "agent_name": "Errand Runner", "user_email": "ada@people.example", "user_name": "Ada Lovelace" });
    let one = |operation| on_one(operation, AGENTS, AN_AGENT);
    let stands = |status| json!({ "agent_id": AGENT, "status": status });
    vec![
        listing(administered(get("/api/admin/agents", "listAgents", "List agents"), AGENTS), text_like("^[0-9]+$"))
            .query("owner_id", id(OwnerId::PREFIX), "Of this owner alone.")
            .query("user_email", text(), "Of the owner with this address alone; case makes no difference.")
            .answers_json(200, page_of("Agent"), "A page of the list.", json!({ "items": [agent], "next": null })),
        takes(administered(post("/api/admin/agents", "createAgent", "Register an agent"), AGENTS), "NewAgent", &asked)
            .says("An owner with that address is found or made.")
            .answers_json(201, named("CreatedAgent"), "The agent, with its secret, which is shown this once.", created)
            .refuses(Code::SlowDown, "too many secrets are being hashed"),
        one(get("/api/admin/agents/{id}", "showAgent", "Show an agent"))
            .answers_json(200, named("WholeAgent"), "The agent, and who is behind it.", whole),
        takes(one(put("/api/admin/agents/{id}", "updateAgent", "Change an agent")), "AgentChanges", &json!({ "agent_name": "Errand Runner 2" }))
            .says("Changes the fields given; null takes one back to its default.")
            .answers_json(200, named("Agent"), "The agent as it is from here on.", agent),
        one(delete("/api/admin/agents/{id}", "revokeAgent", "Revoke an agent"))
            .says("From the answer on it signs in nowhere, and what it signed in to is dead at every endpoint.")
            .answers(204, "Revoked; a second time changes nothing."),
        switched(one(post("/api/admin/agents/{id}/suspend", "suspendAgent", "Suspend an agent")), "agent", id(AgentId::PREFIX), stands("suspended"))
            .says("The kill switch: from the answer on everything it signed in to is dead at every endpoint."),
        switched(one(post("/api/admin/agents/{id}/reinstate", "reinstateAgent", "Let an agent in again")), "agent", id(AgentId::PREFIX), stands("active"))
            .says("It may sign in again; what was dead stays dead."),
        rotates(one(post("/api/admin/agents/{id}/rotate-secret", "rotateAgentSecret", "Give an agent a new secret")))
            .answers_json(200, named("RotatedAgentSecret"), "The new secret.", json!({
                "agent_id": AGENT, "agent_secret": "as_...", "previous_secret_expires_at": AT,
            })),
    ]
}

fn of_owners() -> Vec<Operation> {
    let owner = json!({
        "owner_id": OWNER, "user_name": "Ada Lovelace", "user_email": "ada@people.example",
        "email_verified": false, "status": "active",
    });
    let one = |operation| on_one(operation, OWNERS, AN_OWNER);
    let stands = |status| json!({ "owner_id": OWNER, "status": status });
    vec![
        listing(administered(get("/api/admin/owners", "listOwners", "List owners"), OWNERS), text_like("^[0-9]+$"))
            .answers_json(200, page_of("Owner"), "A page of the list.", json!({ "items": [owner], "next": null })),
        one(get("/api/admin/owners/{id}", "showOwner", "Show an owner"))
            .answers_json(200, named("Owner"), "The owner.", owner.clone()),
        takes(one(put("/api/admin/owners/{id}", "updateOwner", "Change an owner")), "OwnerChanges", &json!({ "user_name": "Ada King" }))
            .says("Changes the fields given.")
            .answers_json(200, named("Owner"), "The owner as it is from here on.", owner)
            .refuses(Code::Conflict, "another owner has this address"),
        one(delete("/api/admin/owners/{id}", "eraseOwner", "Erase an owner"))
            .says("From the answer on nothing of the person is known here, and their agents have ended with all that they signed in to.")
            .answers(204, "Erased; a second time changes nothing."),
        switched(one(post("/api/admin/owners/{id}/suspend", "suspendOwner", "Suspend an owner")), "owner", id(OwnerId::PREFIX), stands("suspended"))
            .says("The kill switch for all agents of a person."),
        switched(one(post("/api/admin/owners/{id}/reinstate", "reinstateOwner", "Let an owner's agents in again")), "owner", id(OwnerId::PREFIX), stands("active"))
            .says("Their agents may sign in again; what was dead stays dead."),
    ]
}

fn of_admin_keys() -> Vec<Operation> {
    let key = json!({ "admin_key_id": ADMIN_KEY, "name": "night shift", "role": "auditor", "created_at": AT });
    let mut created = key.clone();
    created["admin_key"] = json!("ak_...");
    let one = |operation| on_one(operation, ADMIN_KEYS, AN_ADMIN_KEY);
    vec![
        listing(
            administered(
                get("/api/admin/admin-keys", "listAdminKeys", "List admin keys"),
                ADMIN_KEYS,
            ),
            id(AdminKeyId::PREFIX),
        )
        .answers_json(
            200,
            page_of("AdminKey"),
            "A page of the list.",
            json!({ "items": [key], "next": null }),
        ),
        takes(
            administered(
                post(
                    "/api/admin/admin-keys",
                    "createAdminKey",
                    "Make an admin key",
                ),
                ADMIN_KEYS,
            ),
            "NewAdminKey",
            &json!({ "name": "night shift", "role": "auditor" }),
        )
        .answers_json(
            201,
            named("CreatedAdminKey"),
            "The key, which is shown this once.",
            created,
        )
        .refuses(Code::Conflict, "another admin key has this name"),
        one(get(
            "/api/admin/admin-keys/{id}",
            "showAdminKey",
            "Show an admin key",
        ))
        .answers_json(200, named("AdminKey"), "The key, without its value.", key),
        one(delete(
            "/api/admin/admin-keys/{id}",
            "revokeAdminKey",
            "Revoke an admin key",
        ))
        .says("From the answer on no node takes it.")
        .answers(204, "Revoked.")
        .refuses(Code::Conflict, "it is the last key of role `admin`"),
    ]
}

fn of_own_keys() -> Vec<Operation> {
    let items = json!({ "items": [{
        "key_id": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "use": "signing", "alg": "EdDSA",
        "status": "active", "created_at": AT, "activated_at": AT,
    }] });
    let all = || {
        object()
            .must(
                "items",
                list(named("Key")),
                "In the order in which they were made.",
            )
            .done()
    };
    vec![
        administered(get("/api/admin/keys", "listKeys", "List the server's own keys"), KEYS)
            .says("Every key there has been; private halves never leave.")
            .answers_json(200, all(), "The keys.", items.clone())
            .refuses(Code::InvalidRequest, "the list takes no parameters"),
        takes(administered(post("/api/admin/keys/rotate", "rotateKeys", "Make new keys"), KEYS), "KeyRotation", &json!({ "use": "signing", "alg": "EdDSA" }))
            .says("They work once they have been published for long enough; or at once, when the former ones are compromised: then whatever was made with those is dead.")
            .answers_json(200, all(), "The keys as they are from here on.", items)
            .refuses(Code::Conflict, "a new key is published already and about to be used"),
    ]
}

fn of_log() -> Vec<Operation> {
    let grant = json!({
        "sid": REQUEST, "agent_id": AGENT, "owner_id": OWNER, "client_id": CLIENT, "model": "claude-opus-4",
        "scope": "openid profile", "binding": "browser", "issued_at": AT, "expires_at": "2026-03-02T12:00:00Z",
    });
    let event: Value = serde_json::from_str(include_str!(
        "../../../events/auth_request/Created.1.sample.json"
    ))
    .unwrap_or_default();
    vec![
        listing(administered(get("/api/admin/tokens", "listGrants", "List living sign-ins"), LOG), id(RequestId::PREFIX))
            .says("Those that have run out are looked at too, only so many for one page: it may hold fewer than `limit`, or none, and still have a `next`.")
            .query("agent_id", id(AgentId::PREFIX), "Of this agent alone.")
            .query("client_id", id(ClientId::PREFIX), "At this website alone.")
            .query("owner_id", id(OwnerId::PREFIX), "Of this owner's agents alone.")
            .answers_json(200, page_of("LivingGrant"), "A page of the list.", json!({ "items": [grant], "next": null })),
        on_one(delete("/api/admin/tokens/{id}", "revokeGrant", "End a sign-in"), LOG, ("sign-in", RequestId::PREFIX))
            .says("By its `sid`. From the answer on its code and every token of it is dead at every endpoint.")
            .answers(204, "Ended; a second time changes nothing."),
        listing(administered(get("/api/admin/audit-log", "readAuditLog", "Read the audit log"), LOG), text_like("^[0-9]+$"))
            .says("Events as they were written, in JSON, one a line, or as a live tail: as `Accept` asks. That the log was read is itself an event. A tail sends `event` events with the position as `id`, and first one that has an `id` alone: where it begins, which is the end of the log unless `after` or `Last-Event-ID` says otherwise.")
            .query("stream", text(), "Of this stream alone, as in `agent/agent_...`.")
            .query("type", text(), "Of this type alone, as in `AgentAuthenticated`.")
            .query("agent_id", id(AgentId::PREFIX), "About this agent alone.")
            .query("client_id", id(ClientId::PREFIX), "About this website alone.")
            .query("since", moment(), "Not before this time.")
            .query("until", moment(), "Before this time.")
            .query("last", integer(1, MAX_LIMIT.into()), "The newest so many, in order; with neither `after` nor `limit`.")
            .header("Last-Event-ID", text(), "Of a tail: the position of the last event that was seen. Behind the end of the log it is refused, as `after` is: the log was restored since.")
            .answers_json(200, page_of("Event"), "The events.", json!({ "items": [event], "next": null }))
            .answers_with(200, "application/x-ndjson", text(), "The events.")
            .answers_with(200, EVENTS, text(), "The events."),
    ]
}

pub(super) fn operations() -> Vec<Operation> {
    [
        of_clients(),
        of_agents(),
        of_owners(),
        of_admin_keys(),
        of_own_keys(),
        of_log(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
