//! Every table as it is copied whole: read page by page as JSON objects, written from a JSON array.

use super::{Text, both};

/// A table on its way from one database into another, whichever the two are.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) table: &'static str,
    /// The column that pages are ordered by, unique.
    pub(crate) key: &'static str,
    /// What comes before every key, as text.
    pub(crate) before_all: &'static str,
    pub(crate) count: Text,
    /// `$1` the last key read, as text, `$2` how many rows; each row is one JSON object, `body`.
    pub(crate) page: Text,
    pub(crate) insert: Text,
}

/// How a value stands in a statement: taken out of a row's JSON object.
macro_rules! taken {
    (text, $column:ident) => {
        concat!("r.value->>'", stringify!($column), "'")
    };
    (bigint, $column:ident) => {
        concat!("cast(r.value->>'", stringify!($column), "' as bigint)")
    };
}

/// What is less than every key.
macro_rules! before_all {
    (text) => {
        ""
    };
    (bigint) => {
        "0"
    };
}

macro_rules! page {
    ($object:literal, $table:literal, $key:ident: $key_type:ident $(, $column:ident)*) => {
        concat!(
            "select cast(", $object, "('", stringify!($key), "', ", stringify!($key),
            $(", '", stringify!($column), "', ", stringify!($column),)*
            ") as text) as body from ", $table,
            " where ", stringify!($key), " > cast($1 as ", stringify!($key_type), ")",
            " order by ", stringify!($key), " limit $2"
        )
    };
}

macro_rules! copied {
    ($table:literal, $key:ident: $key_type:ident $(, $column:ident: $type:ident)* $(,)?) => {
        Copied {
            table: $table,
            key: stringify!($key),
            before_all: before_all!($key_type),
            count: both(concat!("select count(*) as number from ", $table)),
            page: Text {
                sqlite: page!("json_object", $table, $key: $key_type $(, $column)*),
                postgres: page!("json_build_object", $table, $key: $key_type $(, $column)*),
            },
            insert: Text {
                sqlite: concat!(
                    "insert into ", $table, " (", stringify!($key), $(", ", stringify!($column),)*
                    ") select ", taken!($key_type, $key), $(", ", taken!($type, $column),)*
                    " from json_each($1) as r"
                ),
                postgres: concat!(
                    "insert into ", $table, " (", stringify!($key), $(", ", stringify!($column),)*
                    ") select ", taken!($key_type, $key), $(", ", taken!($type, $column),)*
                    " from json_array_elements($1::json) as r(value)"
                ),
            },
        }
    };
}

/// Every table of ours.
pub(crate) const COPIED: &[Copied] = &[
    copied!("events", position: bigint, stream: text, version: bigint, type: text,
        occurred_at: bigint, body: text, leaf_hash: text),
    copied!("claims", key: text, value: text, expires_at: bigint),
    copied!("requests", id: text, version: bigint, position: bigint, client_id: text,
        agent_id: text, owner_id: text, state: text),
    copied!("agents", id: text, version: bigint, position: bigint, owner_id: text, state: text),
    copied!("clients", id: text, version: bigint, position: bigint, state: text),
    copied!("owners", id: text, version: bigint, position: bigint, state: text),
    copied!("keys", id: text, version: bigint, position: bigint, purpose: text, activated: bigint,
        ended: bigint, state: text),
    copied!("checkpoints", name: text, position: bigint),
    copied!("statistics", name: text, value: bigint),
    copied!("server", name: text, value: text),
    copied!("credentials", id: text, holder: text, secret_hash: text, created_at: bigint,
        expires_at: bigint),
    copied!("people", owner_id: text, email_key: text, email: text, name: text),
    copied!("agent_profiles", agent_id: text, agent_name: text),
    copied!("request_details", request_id: text, state: text, nonce: text, address_hash: text,
        address_key: text, parameters_mac: text, expires_at: bigint),
    copied!("address_keys", scope: text, sealed: text, created_at: bigint),
    copied!("signing_keys", id: text, alg: text, sealed: text, created_at: bigint),
    copied!("derivation_keys", id: text, sealed: text, created_at: bigint),
    copied!("admin_keys", id: text, name: text, role: text, secret_mac: text,
        created_at: bigint),
];

/// What a backup is made without: no code and no refresh token of the original can be made from it.
pub(crate) const LEFT_OUT: &str = "derivation_keys";

/// What a fresh database is made with, and a copy brings along.
pub(crate) const CLEAR_SEEDS: [Text; 2] = [
    both("delete from checkpoints"),
    both("delete from statistics"),
];
