//! What may not be in the log: secrets, people, keys, and what a request came with.

use super::{Text, both};

pub(crate) const INSERT_DETAILS: Text = rows!(
    "insert into request_details (request_id, state, nonce, address_hash, address_key, parameters_mac, expires_at)
     select r.value->>'request_id', r.value->>'state', r.value->>'nonce', r.value->>'address_hash',
            r.value->>'address_key', r.value->>'parameters_mac', cast(r.value->>'expires_at' as bigint)
     from",
    ""
);
pub(crate) const DELETE_DETAILS: Text =
    texts!("delete from request_details where request_id in", "");
pub(crate) const DELETE_CLAIMS: Text = texts!("delete from claims where key in", "");
pub(crate) const SWEEP_DETAILS: Text = both("delete from request_details where expires_at < $1");
pub(crate) const SWEEP_CLAIMS: Text = both("delete from claims where expires_at < $1");
pub(crate) const INSERT_CREDENTIALS: Text = rows!(
    "insert into credentials (id, holder, secret_hash, created_at)
     select r.value->>'id', r.value->>'holder', r.value->>'secret_hash', cast(r.value->>'created_at' as bigint)
     from",
    ""
);
/// Those that live, by the clock that judges lifetimes.
pub(crate) const CREDENTIALS: Text = Text {
    sqlite: "select id, secret_hash from credentials
        where holder = $1 and (expires_at is null or expires_at > cast(unixepoch('subsec') * 1000000 as integer))
        order by created_at desc limit 2",
    postgres: "select id, secret_hash from credentials
        where holder = $1
          and (expires_at is null or expires_at > (extract(epoch from clock_timestamp()) * 1000000)::bigint)
        order by created_at desc limit 2",
};
/// Until when the former secret lives, where one does, by the same clock.
pub(crate) const FORMER_CREDENTIAL: Text = Text {
    sqlite: "select max(expires_at) as number from credentials
        where holder = $1 and expires_at > cast(unixepoch('subsec') * 1000000 as integer)",
    postgres: "select max(expires_at) as number from credentials
        where holder = $1 and expires_at > (extract(epoch from clock_timestamp()) * 1000000)::bigint",
};
/// Of holders that are given a new secret: a former one that is to end at once, or that was in its
/// grace already. [`EXPIRE_CREDENTIALS`] follows it.
pub(crate) const END_CREDENTIALS: Text = rows!(
    "delete from credentials where id in (select c.id from",
    "join credentials c on c.holder = r.value->>'holder'
     where c.expires_at is not null or r.value->>'until' is null)"
);
pub(crate) const EXPIRE_CREDENTIALS: Text = rows!(
    "update credentials set expires_at = cast(r.value->>'until' as bigint) from",
    "where r.value->>'holder' = credentials.holder"
);
pub(crate) const DELETE_CREDENTIALS: Text = texts!("delete from credentials where holder in", "");
pub(crate) const SWEEP_CREDENTIALS: Text = both("delete from credentials where expires_at < $1");
pub(crate) const INSERT_PEOPLE: Text = rows!(
    "insert into people (owner_id, email_key, email, name)
     select r.value->>'owner_id', r.value->>'email_key', r.value->>'email', r.value->>'name' from",
    "where true on conflict (owner_id) do update set email_key = excluded.email_key,
       email = excluded.email, name = excluded.name"
);
pub(crate) const DELETE_PEOPLE: Text = texts!("delete from people where owner_id in", "");
pub(crate) const PERSON: Text =
    both("select email_key, email, name from people where owner_id = $1");
pub(crate) const OWNER_BY_EMAIL: Text = both("select owner_id from people where email_key = $1");
pub(crate) const INSERT_PROFILES: Text = rows!(
    "insert into agent_profiles (agent_id, agent_name)
     select r.value->>'agent_id', r.value->>'agent_name' from",
    "where true on conflict (agent_id) do update set agent_name = excluded.agent_name"
);
pub(crate) const DELETE_PROFILES: Text = texts!("delete from agent_profiles where agent_id in", "");
pub(crate) const PROFILE: Text = both("select agent_name from agent_profiles where agent_id = $1");
pub(crate) const INSERT_ADDRESS_KEYS: Text = rows!(
    "insert into address_keys (scope, sealed, created_at)
     select r.value->>'scope', r.value->>'sealed', cast(r.value->>'created_at' as bigint) from",
    "where true on conflict (scope) do nothing"
);
pub(crate) const ADDRESS_KEY: Text = both("select sealed from address_keys where scope = $1");
pub(crate) const DELETE_ADDRESS_KEYS: Text = texts!("delete from address_keys where scope in", "");
pub(crate) const SWEEP_ADDRESS_KEYS: Text =
    both("delete from address_keys where scope like 'day/%' and created_at < $1");
pub(crate) const INSERT_SIGNING_KEYS: Text = rows!(
    "insert into signing_keys (id, alg, sealed, created_at)
     select r.value->>'id', r.value->>'alg', r.value->>'sealed', cast(r.value->>'created_at' as bigint) from",
    ""
);
/// Every key there has been, in the order in which they were made.
pub(crate) const KEYS: Text = both("select id, version, state as body from keys order by position");
/// Grows with every event about a key.
pub(crate) const KEYS_MARK: Text =
    both("select cast(coalesce(sum(version), 0) as bigint) as number from keys");
/// Keys that have ended have no row here.
pub(crate) const SIGNING_KEYS: Text =
    both("select id, alg, sealed from signing_keys order by created_at desc, id");
pub(crate) const DELETE_SIGNING_KEYS: Text = texts!("delete from signing_keys where id in", "");
pub(crate) const DELETE_DERIVATION_KEYS: Text =
    texts!("delete from derivation_keys where id in", "");
/// Sign-ins that have not ended, under any of the derivation keys `$1`, in pages by id. The tag of a state
/// stands first in its text, and an id of a key nowhere but among those that the sign-in was derived under.
pub(crate) const SIGN_INS_UNDER: Text = Text {
    sqlite: "select id from requests where agent_id is not null and id > $2
        and (state like '{\"state\":\"authenticated\"%' or state like '{\"state\":\"redeemed\"%')
        and exists (select 1 from json_each($1) as k where instr(requests.state, '\"' || k.value || '\"') > 0)
        order by id limit $3",
    postgres: "select id from requests where agent_id is not null and id > $2
        and (state like '{\"state\":\"authenticated\"%' or state like '{\"state\":\"redeemed\"%')
        and exists (select 1 from json_array_elements_text($1::json) as k(value)
            where strpos(requests.state, '\"' || k.value || '\"') > 0)
        order by id limit $3",
};
pub(crate) const INSERT_DERIVATION_KEYS: Text = rows!(
    "insert into derivation_keys (id, sealed, created_at)
     select r.value->>'id', r.value->>'sealed', cast(r.value->>'created_at' as bigint) from",
    ""
);
pub(crate) const DERIVATION_KEYS: Text =
    both("select id, sealed from derivation_keys order by created_at desc, id");
pub(crate) const INSERT_ADMIN_KEYS: Text = rows!(
    "insert into admin_keys (id, name, role, secret_mac, created_at)
     select r.value->>'id', r.value->>'name', r.value->>'role', r.value->>'secret_mac',
            cast(r.value->>'created_at' as bigint) from",
    ""
);
/// A table with sealed texts: what they are sealed for, pages of them, and putting others in their place.
pub(crate) struct Sealed {
    pub(crate) kind: &'static str,
    /// `$1` the last name read, `$2` how many.
    pub(crate) page: Text,
    pub(crate) update: Text,
}

/// Everything that is sealed under the master key.
pub(crate) const SEALED: [Sealed; 4] = [
    Sealed {
        kind: "server",
        page: both(
            "select name, value as sealed from server where name = 'root_key' and name > $1 limit $2",
        ),
        update: UPDATE_SERVER_VALUES,
    },
    Sealed {
        kind: "signing_key",
        page: both(
            "select id as name, sealed from signing_keys where id > $1 order by id limit $2",
        ),
        update: rows!(
            "update signing_keys set sealed = r.value->>'sealed' from",
            "where r.value->>'name' = signing_keys.id"
        ),
    },
    Sealed {
        kind: "derivation_key",
        page: both(
            "select id as name, sealed from derivation_keys where id > $1 order by id limit $2",
        ),
        update: rows!(
            "update derivation_keys set sealed = r.value->>'sealed' from",
            "where r.value->>'name' = derivation_keys.id"
        ),
    },
    Sealed {
        kind: "address_key",
        page: both(
            "select scope as name, sealed from address_keys where scope > $1 order by scope limit $2",
        ),
        update: rows!(
            "update address_keys set sealed = r.value->>'sealed' from",
            "where r.value->>'name' = address_keys.scope"
        ),
    },
];
pub(crate) const UPDATE_SERVER_VALUES: Text = rows!(
    "update server set value = r.value->>'sealed' from",
    "where r.value->>'name' = server.name"
);
/// PostgreSQL only: connections of ours besides this one.
pub(crate) const OTHER_CONNECTIONS: Text = both(
    "select count(*) as number from pg_stat_activity
     where datname = current_database() and application_name = 'auth-agent' and pid <> pg_backend_pid()",
);
pub(crate) const ADMIN_KEYS: Text =
    both("select id, name, role, created_at from admin_keys where id > $1 order by id limit $2");
pub(crate) const ADMIN_KEY: Text =
    both("select id, name, role, created_at from admin_keys where id = $1");
pub(crate) const ADMIN_KEY_BY_MAC: Text =
    both("select id, name, role, created_at from admin_keys where secret_mac = $1");
pub(crate) const DELETE_ADMIN_KEYS: Text = texts!("delete from admin_keys where id in", "");
pub(crate) const SERVER_VALUE: Text = both("select value from server where name = $1");
pub(crate) const INSERT_SERVER_VALUES: Text = rows!(
    "insert into server (name, value) select r.value->>'name', r.value->>'value' from",
    ""
);

/// The migrations that have been applied, whoever applied them.
pub(crate) const MIGRATIONS: Text = both("select version from _sqlx_migrations");

/// Whether the database has been set up: asked before anything is touched.
pub(crate) const HAS_TABLES: Text = Text {
    sqlite: "select count(*) as number from sqlite_master where type = 'table' and name = 'server'",
    postgres: "select count(*) as number from information_schema.tables
               where table_schema = current_schema() and table_name = 'server'",
};
