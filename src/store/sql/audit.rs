//! What an auditor asks of the log.
//!
//! The filters are the same in every text, each null when it is not used. What differs is how the events
//! are come by: one after the other from a position on, or through the streams that can fit, so that
//! whoever asks for a few events of a long log has few looked at.

use super::{Text, both};

/// The two questions, for one way to come by the events. `$1` position, `$2` limit, then the filters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Audited {
    /// The first that fit.
    pub(crate) onward: Text,
    /// Where the newest that fit begin.
    pub(crate) newest: Text,
}

/// `head`, what is left of the events of a `walk` behind `$1`, `tail`. The ids of requests are in no
/// stream's name but their own.
macro_rules! filtered {
    ($head:literal, $walk:literal, $tail:expr) => {
        both(concat!(
            $head,
            " from events where ",
            $walk,
            " position > $1
       and ($3 is null or stream = $3)
       and ($4 is null or type = $4)
       and ($5 is null or stream = 'agent/' || $5 or exists (select 1 from requests
            where id = substr(stream, length('auth_request/') + 1) and agent_id = $5))
       and ($6 is null or stream = 'client/' || $6 or exists (select 1 from requests
            where id = substr(stream, length('auth_request/') + 1) and client_id = $6))
       and ($7 is null or occurred_at >= $7)
       and ($8 is null or occurred_at < $8)
     ",
            $tail
        ))
    };
}

/// A walk through events, which has them in the `order` of a column.
macro_rules! audited {
    ($walk:literal, $order:literal) => {
        Audited {
            onward: filtered!(
                "select position, stream, version, type, body, leaf_hash",
                $walk,
                concat!("order by ", $order, " limit $2")
            ),
            newest: filtered!(
                "select coalesce(min(position), 0) as number from (select position",
                $walk,
                concat!("order by ", $order, " desc limit $2) as newest")
            ),
        }
    };
}

/// From a position on.
pub(crate) const IN_ORDER: Audited = audited!("", "position");
/// Through the stream `$3`, in which versions stand in the order of positions: from where `$1` is its event,
/// as when it is read page by page.
pub(crate) const OF_STREAM: Audited = audited!(
    "stream = $3 and version > coalesce(
            (select version from events where position = $1 and stream = $3), 0) and",
    "version"
);
/// Through the streams of the agent `$5`.
pub(crate) const OF_AGENT: Audited = audited!(
    "stream in (select 'agent/' || $5
            union all select 'auth_request/' || id from requests where agent_id = $5) and",
    "position"
);
/// Through the streams of the client `$6`.
pub(crate) const OF_CLIENT: Audited = audited!(
    "stream in (select 'client/' || $6
            union all select 'auth_request/' || id from requests where client_id = $6) and",
    "position"
);

/// How many events the requests of an agent have, of `$2` requests at most.
pub(crate) const EVENTS_OF_AGENT: Text = both(
    "select cast(coalesce(sum(version), 0) as bigint) as number from
     (select version from requests where agent_id = $1 limit $2) as counted",
);
/// How many events the requests of a client have, of `$2` requests at most.
pub(crate) const EVENTS_OF_CLIENT: Text = both(
    "select cast(coalesce(sum(version), 0) as bigint) as number from
     (select version from requests where client_id = $1 limit $2) as counted",
);

/// The version at which a request's code was redeemed.
pub(crate) const REDEEMED_AT: Text = both(
    "select version as number from events
     where stream = $1 and type = 'CodeRedeemed' order by version limit 1",
);
