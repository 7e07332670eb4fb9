-- Valid on SQLite and PostgreSQL alike. Times are microseconds since the epoch, UTC.

-- The log: the system of record. `body` is the whole envelope, written once; every other column is
-- a copy for looking up. `leaf_hash` is SHA-256(0x00 || body), in hex. An archived event is a stub: its
-- body, empty here, is in a file that an event of the stream `maintenance/<day>` names.
create table events (
    position bigint not null primary key,
    stream text not null,
    version bigint not null,
    type text not null,
    occurred_at bigint not null,
    body text not null,
    leaf_hash text not null,
    unique (stream, version)
);

-- Unique claims, decided in the transaction of the append that makes them. Those of a request go
-- with what else the vault kept for it.
create table claims (
    key text not null primary key,
    value text not null,
    expires_at bigint
);
create index claims_by_end on claims (expires_at) where expires_at is not null;

-- Inline projections: written in the transaction of the append. `state` is the fold of the stream
-- at `version`; `position` is that of the stream's first event, which is the order of lists.
create table requests (
    id text not null primary key,
    version bigint not null,
    position bigint not null,
    client_id text not null,
    agent_id text,
    owner_id text,
    state text not null
);
create index requests_by_client on requests (client_id, id);
create index requests_by_agent on requests (agent_id, id) where agent_id is not null;
create index requests_by_owner on requests (owner_id, id) where owner_id is not null;

create table agents (
    id text not null primary key,
    version bigint not null,
    position bigint not null unique,
    owner_id text not null,
    state text not null
);

create index agents_by_owner on agents (owner_id);

create table clients (
    id text not null primary key,
    version bigint not null,
    position bigint not null unique,
    state text not null
);

create table owners (
    id text not null primary key,
    version bigint not null,
    position bigint not null unique,
    state text not null
);

-- Signing and derivation keys, without the keys themselves, which the vault has. `activated` is the
-- position of the event that put it to use; of one that has ended, `ended` is 1.
create table keys (
    id text not null primary key,
    version bigint not null,
    position bigint not null unique,
    purpose text not null,
    activated bigint,
    ended bigint not null,
    state text not null
);
create index keys_that_live on keys (ended) where ended = 0;

-- How far each inline projection and each follower has come, and the archiving of ended requests. A writer moves those that it knows: a
-- program that projects more finds out what it has missed.
create table checkpoints (
    name text not null primary key,
    position bigint not null
);
insert into checkpoints (name, position) values
    ('requests', 0), ('agents', 0), ('clients', 0), ('owners', 0), ('keys', 0),
    ('statistics', 0), ('revocations', 0), ('compromises', 0), ('abandoned', 0), ('finished', 0);

-- Asynchronous projection: counters.
create table statistics (
    name text not null primary key,
    value bigint not null
);
insert into statistics (name, value) values ('sign_ins', 0);

-- The vault: what may not be in the log.
create table server (
    name text not null primary key,
    value text not null
);

-- Secrets of agents and clients, hashed: the newest, and for the length of its grace the one before.
create table credentials (
    id text not null primary key,
    holder text not null,
    secret_hash text not null,
    created_at bigint not null,
    expires_at bigint
);
create index credentials_by_holder on credentials (holder);
create index credentials_by_end on credentials (expires_at) where expires_at is not null;

create table people (
    owner_id text not null primary key,
    email_key text not null unique,
    email text not null,
    name text not null
);

create table agent_profiles (
    agent_id text not null primary key,
    agent_name text not null
);

create table request_details (
    request_id text not null primary key,
    state text,
    nonce text,
    address_hash text not null,
    address_key text not null,
    parameters_mac text not null,
    expires_at bigint not null
);
create index request_details_by_end on request_details (expires_at);

create table address_keys (
    scope text not null primary key,
    sealed text not null,
    created_at bigint not null
);
create index address_keys_of_days on address_keys (created_at) where scope like 'day/%';

create table signing_keys (
    id text not null primary key,
    alg text not null,
    sealed text not null,
    created_at bigint not null
);

create table derivation_keys (
    id text not null primary key,
    sealed text not null,
    created_at bigint not null
);

-- Those that live. Which role may what is the program's to know.
create table admin_keys (
    id text not null primary key,
    name text not null unique,
    role text not null,
    secret_mac text not null unique,
    created_at bigint not null
);
