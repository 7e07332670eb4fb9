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
    "select id from requests where agent_id is null and id in",
    ""
);
pub(crate) const REQUESTS_AMONG: Text = texts!("select id from requests where id in", "");
/// Whole streams in the order of the log.
pub(crate) const STREAMS_WHOLE: Text = texts!(
    "select stream, version, body from events where stream in",
    "order by position"
);
pub(crate) const LEAVE_STUBS: Text = texts!("update events set body = '' where stream in", "");
pub(crate) const DELETE_REQUESTS: Text = texts!("delete from requests where id in", "");
