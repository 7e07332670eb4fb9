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
/// Through the stream `$3`, in which versions stand in the order of positions.
pub(crate) const OF_STREAM: Audited = audited!("stream = $3 and", "version");
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

/// How many requests an agent has, counted up to `$2`.
pub(crate) const COUNT_OF_AGENT: Text = both(
    "select count(*) as number from
     (select 1 from requests where agent_id = $1 limit $2) as counted",
);
/// How many requests a client has, counted up to `$2`.
pub(crate) const COUNT_OF_CLIENT: Text = both(
    "select count(*) as number from
     (select 1 from requests where client_id = $1 limit $2) as counted",
);

/// The version at which a request's code was redeemed.
pub(crate) const REDEEMED_AT: Text = both(
    "select version as number from events
     where stream = $1 and type = 'CodeRedeemed' order by version limit 1",
);

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

    use super::*;

    /// How SQLite goes about a statement: a line for each step.
    async fn plan(connection: &mut SqliteConnection, text: Text) -> Vec<String> {
        let explained = AssertSqlSafe(format!("explain query plan {}", text.sqlite));
        let rows = sqlx::query(explained).fetch_all(connection).await.unwrap();
        rows.iter().map(|row| row.get("detail")).collect()
    }

    #[tokio::test]
    async fn no_question_looks_at_the_whole_log_when_a_filter_says_where_to_look() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::migrate!("./migrations")
            .run(&mut connection)
            .await
            .unwrap();
        let through = |index: &str, of: &str| format!("SEARCH events USING INDEX {index} ({of})");
        let by_position = through("sqlite_autoindex_events_1", "position>?");
        let by_stream = through("sqlite_autoindex_events_2", "stream=?");
        for (audited, events, sorted) in [
            (IN_ORDER, &by_position, false),
            (OF_STREAM, &by_stream, false),
            (OF_AGENT, &by_stream, true),
            (OF_CLIENT, &by_stream, true),
        ] {
            for text in [audited.onward, audited.newest] {
                let plan = plan(&mut connection, text).await;
                assert!(plan.contains(events), "{}: {plan:#?}", text.sqlite);
                let scanned = |step: &&String| step.starts_with("SCAN");
                // The outcome of a step, not a table.
                let named =
                    |step: &&String| step.contains("CONSTANT ROW") || step.contains("newest");
                let mut scans = plan.iter().filter(scanned);
                assert!(scans.all(|step| named(&step)), "{}: {plan:#?}", text.sqlite);
                let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE"));
                assert_eq!(sorts, sorted, "{}: {plan:#?}", text.sqlite);
            }
        }
        let plan = plan(&mut connection, REDEEMED_AT).await;
        assert_eq!(plan, [by_stream]);
    }
}
