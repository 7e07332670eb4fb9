//! Moving ended streams out of the log. What is left of an event, a stub, has an empty body.

use super::{Text, both};

/// Behind `$1`, as far as every projection and follower has come: which streams began when. `$2` how
/// many events are looked at.
pub(crate) const EVENTS_TO_ARCHIVE: Text = both(
    "select position, stream, type, occurred_at from events
     where position > $1
       and position <= (select min(position) from checkpoints where name not in ('abandoned', 'finished'))
     order by position limit $2",
);
/// Of those requests, which no agent signed in to.
pub(crate) const ABANDONED_AMONG: Text = texts!(
    "select id, version from requests where agent_id is null and id in",
    ""
);
pub(crate) const REQUESTS_AMONG: Text = texts!("select id, version from requests where id in", "");
/// Streams in the order of the log, behind position `$2`, `$3` events at a time.
pub(crate) const EVENTS_OF_STREAMS: Text = texts!(
    "select position, stream, version, body from events where stream in",
    "and position > $2 order by position limit $3"
);
/// `{stream, after, to}`: of that stream the versions behind one and up to another.
///
/// SQLite would leave a stub alone on its page, three quarters of it empty for ever: pages are merged when
/// rows go, not when they shrink. So the row (of which `position` is a key, but not the rowid) moves to
/// where stubs lie close together, and its page is free for new events.
pub(crate) const LEAVE_STUBS: Text = Text {
    sqlite: "update events set body = '', rowid = events.rowid - 4611686018427387904 from json_each($1) as r
     where events.stream = r.value->>'stream'
       and events.version > cast(r.value->>'after' as bigint)
       and events.version <= cast(r.value->>'to' as bigint)",
    postgres: "update events set body = '' from json_array_elements($1::json) as r(value)
     where events.stream = r.value->>'stream'
       and events.version > cast(r.value->>'after' as bigint)
       and events.version <= cast(r.value->>'to' as bigint)",
};
pub(crate) const DELETE_REQUESTS: Text = texts!("delete from requests where id in", "");
