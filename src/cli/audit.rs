//! `audit`: what happened, read from the log or followed live.

mod follow;

use std::ops::ControlFlow;

use clap::Args;
use serde_json::Value;

use super::{Failure, Output, admin::Admin, output::one_line, server::ServerChoice, table};
use crate::http::LOCAL_OPERATOR;

/// Where the log is read.
const PATH: &str = "/api/admin/audit-log";

/// Which events, and how many.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Begin after this position; --follow begins with what happens from now on
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Show so many events at most
    #[arg(
        long, value_name = "NUMBER", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["all", "follow"]
    )]
    limit: u32,
    /// Show all of them
    #[arg(long, conflicts_with = "follow")]
    all: bool,
    /// Show the newest so many, at most 500
    #[arg(
        long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=500),
        conflicts_with_all = ["after", "limit", "all", "follow"]
    )]
    last: Option<u32>,
    /// Only those of this stream
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// Only those of this type, such as AgentAuthenticated
    #[arg(long = "type", value_name = "TYPE")]
    type_name: Option<String>,
    /// Only those that concern this agent
    #[arg(long = "agent", value_name = "AGENT_ID")]
    agent_id: Option<String>,
    /// Only those that concern this client
    #[arg(long = "client", value_name = "CLIENT_ID")]
    client_id: Option<String>,
    /// Only from this time on, as in 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Show events as they happen, until Ctrl-C; goes on by itself after a cut
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    server: ServerChoice,
}

/// Does the job.
pub(crate) async fn run(args: Audit, output: Output) -> Result<(), Failure> {
    for (kind, id) in [
        (&super::agent::KIND, &args.agent_id),
        (&super::client::KIND, &args.client_id),
    ] {
        id.as_deref().map(|id| kind.at(id)).transpose()?;
    }
    let mut query = Vec::new();
    for (name, value) in [
        ("stream", args.stream),
        ("type", args.type_name),
        ("agent_id", args.agent_id),
        ("client_id", args.client_id),
        ("since", args.since),
        ("until", args.until),
    ] {
        query.extend(value.map(|value| (name, value)));
    }
    let after = args.after.map(|after| after.to_string());
    let admin = Admin::open(args.server).await?;
    if args.follow {
        return match &admin {
            Admin::Remote(remote) => follow::run(remote, query, after, output).await,
            Admin::Local(_) => {
                admin.close().await;
                Err(Failure::usage(
                    "no server runs, so nothing happens that could be followed: leave out --follow, or \
                     start one with `auth-agent serve`",
                ))
            }
        };
    }
    let told = |items: Vec<Value>| {
        items.iter().for_each(|event| tell(event, output));
        // Nobody reads on.
        match output.untold() {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    };
    let next = match args.last {
        Some(last) => {
            let page = admin.newest(PATH, &query, last).await;
            page.map(|page| {
                let _ = told(page.items);
                page.next
            })
        }
        None => {
            let most = (!args.all).then(|| usize::try_from(args.limit).unwrap_or(usize::MAX));
            let after = after.as_deref();
            admin.each_page(PATH, &query, after, most, told).await
        }
    };
    admin.close().await;
    if let Some(next) = next? {
        output.hint(&format!(
            "there are more: --all shows them, or --after {next}"
        ));
    }
    Ok(())
}

/// An event: a line for people, the event as it was written for programs.
fn tell(event: &Value, output: Output) {
    output.json(event);
    output.line(line(event));
}

/// What people read of an event: when, what, where, who, and what is short to say of it.
fn line(event: &Value) -> String {
    // As text: a JSON value does not heed the width.
    let position = event["position"].to_string();
    let begin = |when: &str| {
        format!(
            "{position:>8}  {when}  {:<20}  {}",
            text(&event["type"]),
            text(&event["stream"]),
        )
    };
    if event["archived"] == true {
        // Its words are in the archive's file.
        return begin("archived");
    }
    let (begin, details) = (begin(&text(&event["occurred_at"])), details(event));
    format!("{begin}  {}{details}", actor(event))
}

fn text(value: &Value) -> String {
    one_line(value.as_str().unwrap_or_default())
}

fn actor(event: &Value) -> String {
    let actor = &event["metadata"]["actor"];
    let (kind, id) = (text(&actor["type"]), text(&actor["id"]));
    match (&*kind, &*id) {
        (kind, "") => kind.to_owned(),
        // Who had no key.
        ("admin_key", LOCAL_OPERATOR) => LOCAL_OPERATOR.to_owned(),
        // Their ids say what they are.
        ("agent" | "client", id) => id.to_owned(),
        (kind, id) => format!("{} {id}", kind.replace('_', " ")),
    }
}

/// Why something happened, or what it was about, where the event says so in a word.
fn details(event: &Value) -> String {
    const TOLD: [&str; 7] = [
        "reason", "model", "binding", "name", "role", "settings", "alg",
    ];
    let told = TOLD.iter().filter_map(|member| {
        let value = &event["payload"][*member];
        (!value.is_null()).then(|| format!("{member} {}", table::text(value)))
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() {
        String::new()
    } else {
        format!("  ({})", told.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_who_and_why_and_what_left_the_log() {
        let mut event = json!({
            "position": 7, "occurred_at": "2026-01-31T12:00:00Z", "type": "Revoked",
            "stream": "auth_request/req_1", "metadata": {"actor": {"type": "admin_key", "id": "Ada"}},
            "payload": {"reason": "agent_suspended", "exp": 1},
        });
        let told = "       7  2026-01-31T12:00:00Z  Revoked               auth_request/req_1  admin key Ada  \
                    (reason agent_suspended)";
        assert_eq!(line(&event), told);
        event["payload"] = json!({});
        assert!(line(&event).ends_with("  admin key Ada"));
        let stub = json!({
            "position": 7, "type": "Revoked", "stream": "auth_request/req_1", "version": 3,
            "leaf_hash": "00", "archived": true,
        });
        assert_eq!(
            line(&stub),
            "       7  archived  Revoked               auth_request/req_1"
        );
    }
}
