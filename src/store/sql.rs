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
pub(crate) mod audit;
pub(crate) mod copied;
mod vault;

#[cfg(test)]
mod plans;

pub(crate) use vault::*;

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
/// Requests by their ids, with what tells a reload while they wait.
pub(crate) const HELD_REQUESTS: Text = texts!(
    "select r.id as id, r.state as body, d.parameters_mac as parameters_mac
     from requests r left join request_details d on d.request_id = r.id where r.id in",
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

macro_rules! situation {
    ($clock:literal) => {
        concat!(
            "select 'request' as kind, r.id as id, r.version as version, r.state as body, d.state as state, d.nonce as nonce,
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
        from keys k where k.ended = 0",
            $clock
        )
    };
}

/// `$1` request, `$2` agent (or null: the one that signed in). Everything that a decision about a
/// request may look at, in one statement and so of one moment. The keys that have not ended are one
/// row: `purpose id version activated`, separated by commas.
pub(crate) const SITUATION: Text = Text {
    sqlite: situation!(""),
    postgres: situation!(
        "
        union all select 'clock', '', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
            null, null, null, null, null, null, null, null"
    ),
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
/// Those of the owner `$3`.
pub(crate) const LIST_AGENTS_OF_OWNER: Text = both(
    "select a.id, a.version, a.position, a.state as body, p.agent_name as name
     from agents a left join agent_profiles p on p.agent_id = a.id
     where a.position > $1 and a.owner_id = $3 order by a.position limit $2",
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
/// `$1` the last id looked at, `$2` how many requests are looked at; `$3` agent, `$4` client, `$5` owner,
/// each null when it is not asked for. Of each that is looked at the id; of those that fit, whose code was
/// redeemed and that have not ended, the fold too, with the folds of those they depend on. The tag of a
/// state stands first in its text.
macro_rules! granted {
    ($of:literal) => {
        both(concat!(
            "select r.id as id, r.state as request, c.state as client, a.state as agent, o.state as owner
     from (select id, client_id, agent_id, owner_id,
                  case when state like '{\"state\":\"redeemed\"%'
                        and ($3 is null or agent_id = $3)
                        and ($4 is null or client_id = $4)
                        and ($5 is null or owner_id = $5) then state end as state
           from requests where id > $1 ",
            $of,
            " order by id limit $2) as r
          left join clients c on r.state is not null and c.id = r.client_id
          left join agents a on r.state is not null and a.id = r.agent_id
          left join owners o on r.state is not null and o.id = r.owner_id
     order by r.id"
        ))
    };
}

pub(crate) const GRANTED: Text = granted!("");
/// Looks at requests of the agent alone.
pub(crate) const GRANTED_BY_AGENT: Text = granted!("and agent_id = $3");
/// Looks at requests of the client alone.
pub(crate) const GRANTED_AT_CLIENT: Text = granted!("and client_id = $4");
/// Looks at requests of the owner's agents alone.
pub(crate) const GRANTED_OF_OWNER: Text = granted!("and owner_id = $5");
