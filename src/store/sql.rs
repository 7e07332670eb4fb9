//! Every SQL text, lower case, `$1` placeholders, one text for both databases where it can be.
//!
//! Lists travel as one JSON array in one parameter, so that a batch is a handful of statements
//! whatever its size. What unpacks the array differs between the databases and is written
//! `rows!(…)` / `texts!(…)` here, and nowhere else.

/// One statement in the words of either database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// The same words for both.
const fn both(text: &'static str) -> Text {
    Text {
        sqlite: text,
        postgres: text,
    }
}

/// `head`, the objects of the JSON array `$1` as `r.value`, `tail`.
macro_rules! rows {
    ($head:literal, $tail:literal) => {
        Text {
            sqlite: concat!($head, " json_each($1) as r ", $tail),
            postgres: concat!($head, " json_array_elements($1::json) as r(value) ", $tail),
        }
    };
}

/// `head`, the strings of the JSON array `$1` as a one-column list, `tail`.
macro_rules! texts {
    ($head:literal, $tail:literal) => {
        Text {
            sqlite: concat!($head, " (select value from json_each($1)) ", $tail),
            postgres: concat!(
                $head,
                " (select json_array_elements_text($1::json)) ",
                $tail
            ),
        }
    };
}

pub(crate) mod archived;
pub(crate) mod copied;

/// One moment of the whole database, for reading alone.
pub(crate) const BEGIN_READING: Text = Text {
    sqlite: "begin",
    postgres: "begin isolation level repeatable read read only",
};

// ---- the writer ----------------------------------------------------------------------------

/// Takes the write lock before anything is read: a snapshot taken earlier would miss the commit of
/// the previous holder.
pub(crate) const BEGIN: Text = Text {
    sqlite: "begin immediate",
    postgres: "begin isolation level read committed read write",
};
/// PostgreSQL only: one writer at a time in the whole cluster; the key is "authagnt" in ASCII.
pub(crate) const LOCK_CLUSTER: &str = "select pg_advisory_xact_lock(7022647185613745780)";
pub(crate) const COMMIT: Text = both("commit");
pub(crate) const ROLLBACK: Text = both("rollback");

/// `$1` streams, `$2` claims: all that a batch must know before it inserts.
pub(crate) const CHECK_FIRST: Text = Text {
    sqlite: "select 'head' as kind, '' as name, coalesce(max(position), 0) as number, '' as value from events
        union all select 'projected', '', min(position), '' from checkpoints
            where name in ('requests', 'agents', 'clients', 'owners', 'keys')
        union all select 'stream', stream, max(version), '' from events
            where stream in (select value from json_each($1)) group by stream
        union all select 'claim', key, 0, value from claims where key in (select value from json_each($2))",
    postgres: "select 'head' as kind, '' as name, coalesce(max(position), 0) as number, '' as value from events
        union all select 'projected', '', min(position), '' from checkpoints
            where name in ('requests', 'agents', 'clients', 'owners', 'keys')
        union all select 'stream', stream, max(version), '' from events
            where stream in (select json_array_elements_text($1::json)) group by stream
        union all select 'claim', key, 0, value from claims where key in (select json_array_elements_text($2::json))
        union all select 'clock', '', (extract(epoch from clock_timestamp()) * 1000000)::bigint, ''",
};

pub(crate) const INSERT_EVENTS: Text = rows!(
    "insert into events (position, stream, version, type, occurred_at, body, leaf_hash)
     select cast(r.value->>'position' as bigint), r.value->>'stream', cast(r.value->>'version' as bigint),
            r.value->>'type', cast(r.value->>'occurred_at' as bigint), r.value->>'body', r.value->>'leaf_hash'
     from",
    ""
);
pub(crate) const INSERT_CLAIMS: Text = rows!(
    "insert into claims (key, value, expires_at)
     select r.value->>'key', r.value->>'value', cast(r.value->>'expires_at' as bigint) from",
    ""
);
/// The inline projections of this program, here as in [`CHECK_FIRST`].
pub(crate) const SET_PROJECTED: Text = both(
    "update checkpoints set position = $1
     where name in ('requests', 'agents', 'clients', 'owners', 'keys')",
);
/// A write that changes nothing of importance. On SQLite it needs as much room as a step of a sign-in
/// does: a disk with room for one page more is full.
pub(crate) const PROBE: Text = Text {
    sqlite: "insert into server (name, value) values ('probe', hex(randomblob(24576)))
        on conflict (name) do update set value = excluded.value",
    postgres: "update checkpoints set position = position where name = 'requests'",
};
/// Moves a follower's checkpoint on, unless another node has done so.
pub(crate) const ADVANCE_CHECKPOINT: Text =
    both("update checkpoints set position = $1 where name = $2 and position = $3");
/// How far the read models are said to have come.
pub(crate) const PROJECTED: Text = both(
    "select min(position) as number from checkpoints
     where name in ('requests', 'agents', 'clients', 'owners', 'keys')",
);
/// For a rebuild alone: otherwise checkpoints move by [`ADVANCE_CHECKPOINT`].
pub(crate) const RESET_CHECKPOINT: Text =
    both("update checkpoints set position = $1 where name = $2");
pub(crate) const RESET_SIGN_INS: Text =
    both("update statistics set value = $1 where name = 'sign_ins'");
pub(crate) const STATISTICS_SIGN_INS: Text =
    both("select value as number from statistics where name = 'sign_ins'");
pub(crate) const ADD_STATISTIC: Text =
    both("update statistics set value = value + $1 where name = $2");

// ---- inline projections --------------------------------------------------------------------

pub(crate) const UPSERT_REQUESTS: Text = rows!(
    "insert into requests (id, version, position, client_id, agent_id, owner_id, state)
     select r.value->>'id', cast(r.value->>'version' as bigint), cast(r.value->>'position' as bigint),
            r.value->>'client_id', r.value->>'agent_id', r.value->>'owner_id', r.value->>'state'
     from",
    "where true on conflict (id) do update set version = excluded.version,
       agent_id = excluded.agent_id, owner_id = excluded.owner_id, state = excluded.state"
);
pub(crate) const UPSERT_AGENTS: Text = rows!(
    "insert into agents (id, version, position, owner_id, state)
     select r.value->>'id', cast(r.value->>'version' as bigint), cast(r.value->>'position' as bigint),
            r.value->>'owner_id', r.value->>'state'
     from",
    "where true on conflict (id) do update set version = excluded.version, state = excluded.state"
);
pub(crate) const UPSERT_CLIENTS: Text = rows!(
    "insert into clients (id, version, position, state)
     select r.value->>'id', cast(r.value->>'version' as bigint), cast(r.value->>'position' as bigint),
            r.value->>'state'
     from",
    "where true on conflict (id) do update set version = excluded.version, state = excluded.state"
);
pub(crate) const UPSERT_OWNERS: Text = rows!(
    "insert into owners (id, version, position, state)
     select r.value->>'id', cast(r.value->>'version' as bigint), cast(r.value->>'position' as bigint),
            r.value->>'state'
     from",
    "where true on conflict (id) do update set version = excluded.version, state = excluded.state"
);

pub(crate) const UPSERT_KEYS: Text = rows!(
    "insert into keys (id, version, position, purpose, activated, ended, state)
     select r.value->>'id', cast(r.value->>'version' as bigint), cast(r.value->>'position' as bigint),
            r.value->>'purpose', cast(r.value->>'activated' as bigint),
            cast(r.value->>'ended' as bigint), r.value->>'state'
     from",
    "where true on conflict (id) do update set version = excluded.version,
       activated = excluded.activated, ended = excluded.ended, state = excluded.state"
);

pub(crate) const REQUEST_ROWS: Text = texts!(
    "select id, version, position, client_id, agent_id, owner_id, state from requests where id in",
    ""
);
pub(crate) const AGENT_ROWS: Text = texts!(
    "select id, version, position, '' as client_id, cast(null as text) as agent_id, owner_id, state
     from agents where id in",
    ""
);
pub(crate) const CLIENT_ROWS: Text = texts!(
    "select id, version, position, '' as client_id, cast(null as text) as agent_id,
            cast(null as text) as owner_id, state
     from clients where id in",
    ""
);
pub(crate) const OWNER_ROWS: Text = texts!(
    "select id, version, position, '' as client_id, cast(null as text) as agent_id,
            cast(null as text) as owner_id, state
     from owners where id in",
    ""
);
pub(crate) const KEY_ROWS: Text = texts!(
    "select id, version, position, '' as client_id, cast(null as text) as agent_id,
            cast(null as text) as owner_id, state
     from keys where id in",
    ""
);
pub(crate) const COUNT_ROWS: Text = both(
    "select (select count(*) from requests) + (select count(*) from agents)
          + (select count(*) from clients) + (select count(*) from owners)
          + (select count(*) from keys) as number",
);
pub(crate) const CLEAR_PROJECTIONS: [Text; 5] = [
    both("delete from requests"),
    both("delete from agents"),
    both("delete from clients"),
    both("delete from owners"),
    both("delete from keys"),
];

// ---- reading for a decision ----------------------------------------------------------------

/// `$1` request, `$2` agent (or null: the one that signed in). Everything that a decision about a
/// request may look at, in one statement and so of one moment. The keys that have not ended are one
/// row: `purpose id version activated`, separated by commas.
pub(crate) const SITUATION: Text = Text {
    sqlite: "select 'request' as kind, r.id as id, r.version as version, r.state as body, d.state as state, d.nonce as nonce,
            d.address_hash as address_hash, d.address_key as address_key, d.parameters_mac as parameters_mac,
            null as name, null as email
        from requests r left join request_details d on d.request_id = r.id where r.id = $1
        union all select 'client', c.id, c.version, c.state, null, null, null, null, null, null, null
        from clients c where c.id = (select client_id from requests where id = $1)
        union all select 'agent', a.id, a.version, a.state, null, null, null, null, null, null, null
        from agents a where a.id = coalesce($2, (select agent_id from requests where id = $1))
        union all select 'owner', o.id, o.version, o.state, null, null, null, null, null, null, null
        from owners o where o.id = (select owner_id from agents
            where id = coalesce($2, (select agent_id from requests where id = $1)))
        union all select 'person', p.owner_id, 0, null, null, null, null, null, null, p.name, p.email
        from people p where p.owner_id = (select owner_id from requests where id = $1)
        union all select 'keys', '', 0, coalesce(group_concat(k.purpose || ' ' || k.id || ' ' || k.version
            || ' ' || coalesce(k.activated, 0)), ''), null, null, null, null, null, null, null
        from keys k where k.ended = 0",
    postgres: "select 'request' as kind, r.id as id, r.version as version, r.state as body, d.state as state, d.nonce as nonce,
            d.address_hash as address_hash, d.address_key as address_key, d.parameters_mac as parameters_mac,
            null as name, null as email
        from requests r left join request_details d on d.request_id = r.id where r.id = $1
        union all select 'client', c.id, c.version, c.state, null, null, null, null, null, null, null
        from clients c where c.id = (select client_id from requests where id = $1)
        union all select 'agent', a.id, a.version, a.state, null, null, null, null, null, null, null
        from agents a where a.id = coalesce($2, (select agent_id from requests where id = $1))
        union all select 'owner', o.id, o.version, o.state, null, null, null, null, null, null, null
        from owners o where o.id = (select owner_id from agents
            where id = coalesce($2, (select agent_id from requests where id = $1)))
        union all select 'person', p.owner_id, 0, null, null, null, null, null, null, p.name, p.email
        from people p where p.owner_id = (select owner_id from requests where id = $1)
        union all select 'keys', '', 0, coalesce(string_agg(k.purpose || ' ' || k.id || ' ' || k.version
            || ' ' || coalesce(k.activated, 0), ','), ''), null, null, null, null, null, null, null
        from keys k where k.ended = 0
        union all select 'clock', '', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
            null, null, null, null, null, null, null, null",
};

pub(crate) const AGENT: Text = both("select version, state as body from agents where id = $1");
pub(crate) const CLIENT: Text = both("select version, state as body from clients where id = $1");
pub(crate) const OWNER: Text = both("select version, state as body from owners where id = $1");
pub(crate) const DATABASE_CLOCK: &str =
    "select (extract(epoch from clock_timestamp()) * 1000000)::bigint as number";

// ---- the log -------------------------------------------------------------------------------

pub(crate) const VERSION: Text =
    both("select coalesce(max(version), 0) as number from events where stream = $1");
/// The ids of the events that refresh tokens of a request were derived from, in pages by version.
pub(crate) const ISSUING_EVENTS: Text = both(
    "select version, body from events
     where stream = $1 and version > $2 and type in ('CodeRedeemed', 'TokenRefreshed')
     order by version limit $3",
);
/// Which streams have grown, for those who read the rest elsewhere.
pub(crate) const STREAMS_AFTER: Text =
    both("select position, stream from events where position > $1 order by position limit $2");
pub(crate) const EVENTS_AFTER: Text =
    both("select body from events where position > $1 and body <> '' order by position limit $2");
pub(crate) const EVENTS_BETWEEN: Text = both(
    "select body from events where position > $1 and position <= $2 and body <> '' order by position",
);
pub(crate) const HEAD: Text = both("select coalesce(max(position), 0) as number from events");
/// The whole log stream by stream, in pages: `$1`/`$2` are the last stream and version read.
pub(crate) const LOG_BY_STREAM: Text = both(
    "select position, stream, version, type, occurred_at, body, leaf_hash from events
     where (stream, version) > ($1, $2) order by stream, version limit $3",
);
/// `$1` position, `$2` limit, then the filters of the audit log, each null when it is not used.
pub(crate) const AUDIT: Text = both(
    "select position, stream, version, type, body, leaf_hash from events where position > $1
       and ($3 is null or stream = $3)
       and ($4 is null or type = $4)
       and ($5 is null or stream = 'agent/' || $5
            or stream in (select 'auth_request/' || id from requests where agent_id = $5))
       and ($6 is null or stream = 'client/' || $6
            or stream in (select 'auth_request/' || id from requests where client_id = $6))
       and ($7 is null or occurred_at >= $7)
       and ($8 is null or occurred_at < $8)
     order by position limit $2",
);
pub(crate) const CHECKPOINT: Text =
    both("select position as number from checkpoints where name = $1");

// ---- lists and counts ----------------------------------------------------------------------

pub(crate) const LIST_CLIENTS: Text = both(
    "select id, version, position, state as body from clients
     where position > $1 order by position limit $2",
);
pub(crate) const LIST_AGENTS: Text = both(
    "select a.id, a.version, a.position, a.state as body, p.agent_name as name
     from agents a left join agent_profiles p on p.agent_id = a.id
     where a.position > $1 order by a.position limit $2",
);
pub(crate) const LIST_OWNERS: Text = both(
    "select o.id, o.version, o.position, o.state as body, p.name as name, p.email as email
     from owners o left join people p on p.owner_id = o.id
     where o.position > $1 order by o.position limit $2",
);
pub(crate) const STATISTICS: Text = both(
    "select (select count(*) from agents) as agents, (select count(*) from clients) as clients,
            (select value from statistics where name = 'sign_ins') as sign_ins",
);
/// Requests of a client from an id on, which no agent has authenticated: ids are ordered by time.
pub(crate) const PENDING_OF_CLIENT: Text = both(
    "select count(*) as number from requests
     where client_id = $1 and id >= $2 and agent_id is null",
);
/// Sign-ins of an agent, in pages by id.
pub(crate) const REQUESTS_OF_AGENT: Text =
    both("select id from requests where agent_id = $1 and id > $2 order by id limit $3");
/// Requests of a client, in pages by id.
pub(crate) const REQUESTS_OF_CLIENT: Text =
    both("select id from requests where client_id = $1 and id > $2 order by id limit $3");
/// Sign-ins of an owner's agents, in pages by id.
pub(crate) const REQUESTS_OF_OWNER: Text =
    both("select id from requests where owner_id = $1 and id > $2 order by id limit $3");

/// Agents of an owner, in pages by id.
pub(crate) const AGENTS_OF_OWNER: Text =
    both("select id from agents where owner_id = $1 and id > $2 order by id limit $3");
/// Requests whose code was redeemed and that have not ended, with the folds of those they depend on; then
/// the filters, each null when it is not used. The tag of a state stands first in its text.
pub(crate) const GRANTED: Text = both(
    "select r.id as id, r.state as request, c.state as client, a.state as agent, o.state as owner
     from requests r join clients c on c.id = r.client_id
          join agents a on a.id = r.agent_id join owners o on o.id = r.owner_id
     where r.id > $1 and r.state like '{\"state\":\"redeemed\"%'
       and ($2 is null or r.agent_id = $2)
       and ($3 is null or r.client_id = $3)
       and ($4 is null or r.owner_id = $4)
     order by r.id limit $5",
);

// ---- the vault -----------------------------------------------------------------------------

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
/// Of holders that are given a new secret: a former one that is to end at once, or that was in its
/// grace already. [`EXPIRE_CREDENTIALS`] follows it.
pub(crate) const END_CREDENTIALS: Text = rows!(
    "delete from credentials where exists (select 1 from",
    "where r.value->>'holder' = credentials.holder
       and (credentials.expires_at is not null or r.value->>'until' is null))"
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
